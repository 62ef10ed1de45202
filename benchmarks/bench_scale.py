"""What 1M nodes and 5M events make of the cost of writing and reading.

    make bench-scale [ARGS="--runs 900 --rounds 3 --json FILE"]

Two databases of one PostgreSQL with fsync on: a small one of 10 runs of 1,000 nodes, and a large one of ``--runs`` of
them and one run of 100,000, each node with five events. The same new runs are written into both, by turns, in batches
of 512 spans, and the large one is read: the tree of a run as the viewer reads it, beside the bare ``SELECT`` of its
rows. Rows of the fill are made by the database; the indexes are made after them.
"""

from __future__ import annotations

import argparse
import gc
import statistics
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from sqlalchemy import Engine, text

from benchmarks.bench_sink import MeasuredServer, _cpu_seconds, durable_postgresql, migrated
from benchmarks.bench_store import BATCH, Run, batches
from benchmarks.figures import by_name, hand_on
from cmbagent_otel.query.garbage import uncollected
from cmbagent_otel.query.graph import NODES, fetch_nodes
from cmbagent_otel.query.rows import NodeRow, children_of
from cmbagent_otel.spans.record import Record
from cmbagent_otel.store.engine import open_engine
from cmbagent_otel.store.migrate import upgrade
from cmbagent_otel.store.schema import metadata
from cmbagent_otel.store.writer import Writer

_NODES, _LARGE_RUN, _EVENTS, _SMALL = 1_000, 100_000, 5, 10
_RUN_ID = "md5('run' || {0})::uuid::text"
_NODE_ID = "md5('node' || {0} || ' ' || {1})::uuid::text"
# A node's parent is its number without the last digit: ten children each, and depth grows with the digits.
_FILL = (
    f"""
    INSERT INTO sessions (id, name, created_at, last_active_at, status, meta)
    SELECT {_RUN_ID.format("r")}, 'bench', now(), now(), 'active', '{{"recorder": "bench"}}'
      FROM generate_series(0, :runs) r
    """,
    f"""
    INSERT INTO workflow_runs (id, session_id, mode, agent, model, status, started_at, completed_at,
                               checkpoint_frequency_minutes, is_branch, branch_depth, meta)
    SELECT {_RUN_ID.format("r")}, {_RUN_ID.format("r")}, 'bench', 'engineer', 'gpt-4o', 'completed', began, began,
           10, false, 0, '{{"recorder": "bench"}}'
      FROM generate_series(0, :runs) r, LATERAL (SELECT timestamp '2026-01-01' + r * interval '1 hour' AS began) b
    """,
    f"""
    INSERT INTO dag_nodes (id, run_id, session_id, parent_node_id, node_type, agent, status, order_index, depth, meta,
                           trace_id, span_id, name, start_time_unix_nano, end_time_unix_nano, input_tokens,
                           output_tokens, cost_usd)
    SELECT {_NODE_ID.format("r", "n")}, {_RUN_ID.format("r")}, {_RUN_ID.format("r")},
           CASE WHEN n > 0 THEN {_NODE_ID.format("r", "n / 10")} END,
           CASE WHEN n = 0 THEN 'workflow' WHEN n < 100 THEN 'agent' ELSE 'llm' END,
           'engineer', 'completed', CASE WHEN n BETWEEN 1 AND 9 THEN n - 1 ELSE n % 10 END,
           CASE WHEN n = 0 THEN 0 ELSE length(n::text) END,
           jsonb_build_object('kind', 'llm', 'label', 'gpt-4o', 'model', 'gpt-4o', 'provider', 'openai', 'tokens', n),
           lpad(r::text, 32, '0'), lpad(n::text, 16, '0'), 'chat gpt-4o',
           1790000000000000000 + r * 3600000000000 + n * 1000000::bigint,
           1790000000000000000 + r * 3600000000000 + n * 1000000::bigint + 500000, 1200, 90, 0.0039
      FROM generate_series(0, :runs) r,
           generate_series(0, CASE WHEN r = 0 THEN CAST(:large_run AS integer) ELSE :nodes END - 1) n
    """,
    f"""
    INSERT INTO execution_events (id, run_id, node_id, session_id, event_type, event_subtype, agent_name, timestamp,
                                  inputs, outputs, meta, execution_order, depth, status, trace_id, span_id)
    SELECT CASE WHEN e = 0 THEN n.id ELSE md5(n.id || e)::uuid::text END, n.run_id, n.id, n.session_id, 'llm_call',
           'complete', 'engineer', timestamp '2026-01-01' + n.start_time_unix_nano / 1000 * interval '1 microsecond',
           jsonb_build_object('messages', repeat('m', 100)), jsonb_build_object('result', repeat('r', 100)),
           jsonb_build_object('model', 'gpt-4o'), CAST(n.span_id AS integer) * {_EVENTS} + e, n.depth, 'completed',
           n.trace_id, n.span_id
      FROM dag_nodes n, generate_series(0, {_EVENTS} - 1) e
    """,
)


class Cost(NamedTuple):
    """Seconds: on the clock, and of CPU of this process and of the server."""

    wall: float
    cpu: float


def fill(engine: Engine, runs: int, large_run: int) -> None:
    """Make the rows, then the indexes, then what the planner knows of them."""
    with engine.begin() as connection:
        for table in metadata.sorted_tables:
            for index in table.indexes:
                connection.execute(text(f"DROP INDEX {index.name}"))
        connection.execute(text("SET LOCAL session_replication_role = replica"))
        for statement in _FILL:
            connection.execute(text(statement), {"runs": runs, "large_run": large_run, "nodes": _NODES})
    upgrade(engine)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("VACUUM (ANALYZE)"))
        connection.execute(text("CHECKPOINT"))


def write(server: MeasuredServer, writer: Writer, batch: list[Record]) -> Cost:
    """One batch."""
    wall, cpu = time.perf_counter(), time.process_time() + _cpu_seconds(server.pid)
    writer.write(batch)
    return Cost(time.perf_counter() - wall, time.process_time() + _cpu_seconds(server.pid) - cpu)


def writing(server: MeasuredServer, small: Engine, large: Engine, rounds: int) -> list[dict[str, float]]:
    """New runs into both, batch by batch by turns."""
    writers = [Writer(small), Writer(large)]
    found = []
    for number in range(-1, rounds):  # the first round warms up
        spent = [Cost(0, 0), Cost(0, 0)]
        records = [span for each in range(4) for span in Run(10_000 + 4 * number + each).ended]
        for turn, batch in enumerate(batches(records)):
            for which in (0, 1) if turn % 2 else (1, 0):
                cost = write(server, writers[which], list(batch))
                spent[which] = Cost(spent[which].wall + cost.wall, spent[which].cpu + cost.cpu)
        if number >= 0:
            found.append(
                {
                    "at 1M nodes : at 10k, CPU of a write (<= 1.3)": spent[1].cpu / spent[0].cpu,
                    "at 1M nodes : at 10k, time of a write (<= 1.3)": spent[1].wall / spent[0].wall,
                    "CPU us a span, at 10k": spent[0].cpu / len(records) * 1e6,
                    "CPU us a span, at 1M": spent[1].cpu / len(records) * 1e6,
                }
            )
    return found


def reading(engine: Engine, run: int, repeats: int) -> list[dict[str, float]]:
    """The tree of a run, by turns with the bare SELECT of its rows, and by the view ``dag_tree``."""
    found = []
    with engine.connect() as connection:
        run_id = connection.scalar(text(f"SELECT {_RUN_ID.format(run)}"))
        statement = str(NODES.compile(dialect=engine.dialect))
        cursor = connection.connection.cursor()
        for number in range(-2, repeats):
            children: Mapping[str | None, Sequence[NodeRow]] = {}  # those of the last time go
            gc.collect()  # neither pays for what the other has left
            began = time.perf_counter(), time.thread_time()
            cursor.execute(statement, {"run_id": run_id})
            rows = cursor.fetchall()
            bare = time.perf_counter() - began[0], time.thread_time() - began[1]
            count = len(rows)
            del rows
            gc.collect()
            began = time.perf_counter(), time.thread_time()
            with uncollected():  # as the viewer does
                children = children_of(fetch_nodes(connection, str(run_id)))
            gc.collect(0)  # what that has put off
            tree = time.perf_counter() - began[0], time.thread_time() - began[1]
            assert sum(map(len, children.values())) == count
            began = time.perf_counter(), time.thread_time()
            if count <= _NODES:
                connection.execute(text("SELECT * FROM dag_tree WHERE run_id = :run_id"), {"run_id": run_id}).all()
            view = time.perf_counter() - began[0]
            if number < 0:
                continue
            asked = 1.5 if count <= _NODES else 2
            figures = {
                f"tree : bare SELECT, time (<= {asked:g})": tree[0] / bare[0],
                f"tree : bare SELECT, CPU of the reader (<= {asked:g})": tree[1] / bare[1],
                "tree, ms": tree[0] * 1000,
                "bare SELECT, ms": bare[0] * 1000,
            }
            if count <= _NODES:
                figures["dag_tree, ms"] = view * 1000
            found.append(figures)
    return found


def main() -> None:
    """Fill, measure, print, and hand on."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=900, help="of 1,000 nodes; beside them there is one of 100,000")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    with durable_postgresql() as server:
        small, large = (open_engine(migrated(server)) for _ in range(2))
        fill(small, _SMALL - 1, _NODES)
        began = time.perf_counter()
        fill(large, options.runs, _LARGE_RUN)
        with large.connect() as connection:
            counts = {
                name: connection.scalar(text(f"SELECT count(*) FROM {name}"))
                for name in ("dag_nodes", "execution_events")
            }
            size = connection.scalar(text("SELECT pg_database_size(current_database()) / 1000000000.0"))
        print(f"{counts}, {size:.1f} GB, filled in {time.perf_counter() - began:.0f} s", flush=True)
        parts = {
            f"writing, batches of {BATCH}": by_name(writing(server, small, large, options.rounds)),
            "reading a run of 1,000 nodes": by_name(reading(large, 7, 5 * options.rounds)),
            "reading a run of 100,000 nodes": by_name(reading(large, 0, options.rounds)),
        }
        small.dispose()
        large.dispose()
    for title, part in parts.items():
        print(title)
        for name, values in part.items():
            print(f"  {name:<52} {statistics.median(values):>12,.2f}   ({min(values):,.2f} to {max(values):,.2f})")
    if options.json:
        hand_on(options.json, parts, ("psycopg", "sqlalchemy"))


if __name__ == "__main__":
    main()
