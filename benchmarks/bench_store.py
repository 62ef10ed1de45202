"""What the store's writer costs, beside the least that the database can do with the same rows.

    make bench-store [ARGS="--spans 20000 --rounds 3"]

Each round writes the same runs in these ways, to databases of their own on one server:

- by the writer: mapping, locks, settling, guards, placeholders, foreign keys, from ``SpanRecord`` to commit; once with
  spans as they end (children first), once with the start records that the live door sends before;
- by binary COPY (PostgreSQL) or ``executemany`` upserts (SQLite) of the rows that came of it;
- by an ORM that commits each event, and each answer to a call.

All have the same tables, keys and indexes, and batches of 512 spans. Ratios are of one round; the medians of the rounds
are shown, so that a busy machine slows all of them alike. PostgreSQL keeps its promises (fsync, synchronous_commit).
"""

from __future__ import annotations

import argparse
import gc
import json
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

import psycopg  # noqa: E402
from psycopg import sql  # noqa: E402
from psycopg.types.json import Jsonb  # noqa: E402
from sqlalchemy import JSON, Engine, Table, insert, select, text  # noqa: E402
from sqlalchemy.orm import DeclarativeBase, Session  # noqa: E402

from benchmarks.figures import by_name, hand_on  # noqa: E402
from cmbagent_otel import semconv  # noqa: E402
from cmbagent_otel.semconv import EventType, NodeKind, NodeType, Operation  # noqa: E402
from cmbagent_otel.spans.record import Record, SpanEvent, SpanRecord, node_id  # noqa: E402
from cmbagent_otel.store import schema  # noqa: E402
from cmbagent_otel.store.engine import open_engine  # noqa: E402
from cmbagent_otel.store.migrate import upgrade  # noqa: E402
from cmbagent_otel.store.writer import Writer  # noqa: E402
from tests import postgresql  # noqa: E402

BATCH = 512
_SECOND = 1_000_000_000
_STEPS, _TURNS = 10, 24
_WRITTEN = (
    schema.sessions,
    schema.workflow_runs,
    schema.workflow_steps,
    schema.dag_nodes,
    schema.execution_events,
    schema.dag_edges,
    schema.cost_records,
)


# -- the spans ---------------------------------------------------------------------------------------------


class Run:
    """A run of 1,000 spans or so: a workflow of two phases, ten steps each, agents with models and tools."""

    def __init__(self, number: int) -> None:
        self._random = random.Random(number)
        self._trace = f"{self._random.getrandbits(128) | 1:032x}"
        self._run = f"{self._random.getrandbits(128):032x}"
        self._run = "-".join((self._run[:8], self._run[8:12], self._run[12:16], self._run[16:20], self._run[20:]))
        self._clock = 1_790_000_000 * _SECOND + number * 3600 * _SECOND
        self.started: list[SpanRecord] = []
        self.ended: list[SpanRecord] = []
        self._tell()

    def _tick(self) -> int:
        self._clock += self._random.randrange(1_000_000, 30_000_000)
        return self._clock

    def _open(self, kind: str, parent: SpanRecord | None, name: str, **stated: Any) -> SpanRecord:
        attributes: dict[str, Any] = {
            semconv.NODE_TYPE: kind,
            semconv.NODE_KIND: kind,
            semconv.RUN_ID: self._run,
        }
        attributes |= {getattr(semconv, key.upper()): value for key, value in stated.items()}
        begun = SpanRecord(
            self._trace,
            f"{self._random.getrandbits(64) | 1:016x}",
            None if parent is None else parent.span_id,
            name,
            "INTERNAL",
            self._tick(),
            None,
            "UNSET",
            "",
            attributes,
            resource={semconv.SERVICE_NAME: "bench", semconv.SERVICE_INSTANCE_ID: "bench-1"},
            scope_name="cmbagent_otel",
        )
        if kind in (NodeKind.WORKFLOW, NodeKind.STEP) or semconv.PHASE_TYPE in attributes:
            self.started.append(begun)
        return begun

    def _close(self, begun: SpanRecord, *events: SpanEvent, **stated: Any) -> SpanRecord:
        attributes = {**begun.attributes, **{getattr(semconv, key.upper()): value for key, value in stated.items()}}
        ended = begun._replace(end_time_unix_nano=self._tick(), attributes=attributes, events=events)
        self.ended.append(ended)
        return ended

    def _tell(self) -> None:
        root = self._open(
            NodeKind.WORKFLOW, None, "invoke_workflow", workflow_name="deep_research", workflow_task="sky"
        )
        for phase_type in ("planning", "control"):
            phase = self._open(phase_type, root, "phase", node_kind=NodeKind.PHASE, phase_type=phase_type)
            before: SpanRecord | None = None
            for number in range(1, _STEPS + 1):
                before = self._step(phase, number, before)
            self._close(phase)
        self._close(root)

    def _step(self, phase: SpanRecord, number: int, before: SpanRecord | None) -> SpanRecord:
        after = {} if before is None else {"dag_depends_on": (node_id(before.trace_id, before.span_id),)}
        step = self._open(
            NodeKind.STEP, phase, "step", step_number=number, step_goal="measure", step_attempt=1, **after
        )
        giver: SpanRecord | None = None
        for turn in range(_TURNS):
            handed = {} if giver is None else {"handoff_from": (node_id(giver.trace_id, giver.span_id),)}
            agent = self._open(
                NodeType.AGENT, step, "invoke_agent", agent_name=("engineer", "researcher")[turn % 2], **handed
            )
            call = self._open(
                NodeKind.LLM, agent, "chat gpt-4o", operation_name=Operation.CHAT, request_model="gpt-4o",
                provider_name="openai",
            )  # fmt: skip
            self._close(call, usage_input_tokens=1200, usage_output_tokens=90, response_finish_reasons=("stop",))
            giver = self._close(agent)
        return self._close(step)


def spans(count: int) -> tuple[list[Record], list[Record]]:
    """Runs of some ``count`` spans, four at a time: as they end, and with what the live door announces before."""
    ended: list[Record] = []
    live: list[Record] = []
    number = 0
    while len(ended) < count:
        four = [Run(number + index) for index in range(4)]
        number += 4
        ended += _mixed([run.ended for run in four])
        timed = [
            sorted([*run.started, *run.ended], key=lambda span: span.end_time_unix_nano or span.start_time_unix_nano)
            for run in four
        ]
        live += _mixed(timed)
    return ended, live


def _mixed(runs: Sequence[Sequence[Record]]) -> Iterator[Record]:
    for index in range(max(map(len, runs))):
        for run in runs:
            if index < len(run):
                yield run[index]


def batches(records: Sequence[Any]) -> Iterator[Sequence[Any]]:
    """Batches of 512."""
    for start in range(0, len(records), BATCH):
        yield records[start : start + BATCH]


# -- the arms ----------------------------------------------------------------------------------------------


class Cost(NamedTuple):
    """What an arm took, in seconds: on the clock, and of this process's CPU."""

    wall: float
    cpu: float


@contextmanager
def measured(into: dict[str, Cost], name: str) -> Iterator[None]:
    """Time the block under ``name``."""
    wall, cpu = time.perf_counter(), time.process_time()
    yield
    into[name] = Cost(time.perf_counter() - wall, time.process_time() - cpu)


def write(engine: Engine, records: Sequence[Record]) -> None:
    """By our writer."""
    writer = Writer(engine)
    for batch in batches(records):
        writer.write(batch)


class Rows(NamedTuple):
    """The rows of one table, parents first."""

    table: Table
    columns: tuple[str, ...]
    values: list[tuple[Any, ...]]


def rows_of(engine: Engine) -> list[Rows]:
    """What the writer has made, to be written again by other means."""
    found = []
    with engine.connect() as connection:
        for table in _WRITTEN:
            columns = tuple(
                column.name for column in table.columns if not (column.name == "id" and column.autoincrement is True)
            )
            order = [table.c.depth, table.c.id] if "depth" in table.c else [table.c.id]
            values = connection.execute(select(*(table.c[name] for name in columns)).order_by(*order)).all()
            found.append(Rows(table, columns, [tuple(value) for value in values]))
    return found


def portions(found: Sequence[Rows], count: int) -> Iterator[list[Rows]]:
    """The rows in as many portions as there were batches, each with all that its nodes bring along; parents first."""
    yield [rows for rows in found if rows.table in _WRITTEN[:3]]
    (nodes,) = (rows for rows in found if rows.table is schema.dag_nodes)
    portion_of = {row[0]: index * count // len(nodes.values) for index, row in enumerate(nodes.values)}
    split: list[list[Rows]] = [[] for _ in range(count)]
    for rows in found:
        if rows.table in _WRITTEN[:3]:
            continue
        where = [rows.columns.index(name) for name in _NODE_OF[rows.table.name]]
        parts: list[list[tuple[Any, ...]]] = [[] for _ in range(count)]
        for row in rows.values:
            parts[max(portion_of[row[index]] for index in where)].append(row)
        for portion, part in zip(split, parts, strict=True):
            portion.append(rows._replace(values=part))
    yield from split


_NODE_OF = {
    "dag_nodes": ("id",),
    "execution_events": ("node_id",),
    "dag_edges": ("from_node_id", "to_node_id"),
    "cost_records": ("source_id",),
}


def copy(url: str, found: Sequence[list[Rows]]) -> None:
    """By binary COPY."""
    with psycopg.connect(url) as connection, connection.cursor() as cursor:
        for portion in found:
            for table, columns, values in portion:
                names = sql.SQL(", ").join(map(sql.Identifier, columns))
                statement = sql.SQL("COPY {} ({}) FROM STDIN (FORMAT BINARY)").format(sql.Identifier(table.name), names)
                with cursor.copy(statement) as target:
                    target.set_types([_type(table, name) for name in columns])
                    for row in values:
                        target.write_row(row)
            connection.commit()


_TYPES = {"VARCHAR": "text", "TIMESTAMP": "timestamp", "INTEGER": "int4", "BIGINT": "int8", "FLOAT": "float8"}


def _type(table: Table, column: str) -> str:
    kind = table.c[column].type
    if isinstance(kind, JSON):
        return "jsonb"
    name = type(kind).__name__.upper()
    return {"STRING": "varchar", "BIGINTEGER": "int8", "NUMERIC": "numeric", "BOOLEAN": "bool"}.get(
        name, _TYPES.get(name, name.lower())
    )


def for_copy(found: Sequence[Rows]) -> list[Rows]:
    """The same rows with JSON as psycopg wants it."""
    return [
        rows._replace(
            values=[
                tuple(
                    Jsonb(value) if value is not None and isinstance(rows.table.c[name].type, JSON) else value
                    for name, value in zip(rows.columns, row, strict=True)
                )
                for row in rows.values
            ]
        )
        for rows in found
    ]


def for_sqlite(found: Sequence[Rows]) -> list[Rows]:
    """The same rows in the forms that SQLite's driver takes."""

    def plain(value: Any) -> Any:
        if isinstance(value, dict | list):
            return json.dumps(value)
        if hasattr(value, "isoformat"):
            return value.isoformat(" ", "microseconds")
        return float(value) if type(value).__name__ == "Decimal" else value

    return [rows._replace(values=[tuple(map(plain, row)) for row in rows.values]) for rows in found]


def executemany(engine: Engine, found: Sequence[list[Rows]]) -> None:
    """By upserts, a statement a table and batch."""
    for portion in found:
        with engine.begin() as connection:
            connection.exec_driver_sql("PRAGMA defer_foreign_keys=ON")
            for table, columns, values in portion:
                key = "id" if "id" in columns else ""
                update = ", ".join(f"{name} = excluded.{name}" for name in columns if name != "id")
                conflict = f"({key}) DO UPDATE SET {update}" if key else "DO NOTHING"
                marks = ", ".join("?" * len(columns))
                statement = f"INSERT INTO {table.name} ({', '.join(columns)}) VALUES ({marks}) ON CONFLICT {conflict}"
                if values:
                    connection.exec_driver_sql(statement, values)


_STARTED: dict[str, Any] = {
    "event_subtype": "start", "status": "running", "outputs": None, "completed_at": None, "duration_ms": None,
}  # fmt: skip


def commit_each(engine: Engine, found: Sequence[Rows], events: int) -> float:
    """By an ORM, as CMBAgent's extended fork does; returns seconds an event.

    Its capture adds an event, commits, and reads it back; when an agent answers, the event of the call is changed,
    committed and read back again. All other events are told once.
    """

    class Base(DeclarativeBase):
        metadata = schema.metadata

    class Event(Base):
        __table__ = schema.execution_events

    for rows in found:
        if rows.table in _WRITTEN[:4]:
            with engine.begin() as connection:
                connection.execute(
                    insert(rows.table), [dict(zip(rows.columns, row, strict=True)) for row in rows.values]
                )
    (of_events,) = (rows for rows in found if rows.table is schema.execution_events)
    chosen = [dict(zip(of_events.columns, row, strict=True)) for row in of_events.values[:events]]
    before = time.perf_counter()
    with Session(engine) as session:
        for values in chosen:
            is_call = values["event_type"] == EventType.AGENT_CALL
            told = {"parent_event_id": None} | (_STARTED if is_call else {})
            event = Event(**values | told)
            session.add(event)
            session.commit()
            session.refresh(event)
            if is_call:
                for name in _STARTED:
                    setattr(event, name, values[name])
                session.commit()
                session.refresh(event)
    return (time.perf_counter() - before) / len(chosen)


# -- the rounds --------------------------------------------------------------------------------------------


def round_on_postgresql(server: postgresql.Server, ended: list[Record], live: list[Record]) -> dict[str, float]:
    """Ratios and rates of one round."""
    took: dict[str, Cost] = {}
    urls = [server.create_database() for _ in range(4)]
    engines = [open_engine(url) for url in urls]
    try:
        for engine in engines:
            upgrade(engine)
        ours, other, raw, slow = engines
        write(ours, ended[:BATCH])
        _empty(ours)
        with measured(took, "ours"):
            write(ours, ended)
        with measured(took, "live"):
            write(other, live)
        found = rows_of(ours)
        prepared = list(portions(for_copy(found), len(ended) // BATCH))
        with measured(took, "copy"):
            copy(urls[2], prepared)
        _same_counts(ours, raw)
        each = commit_each(slow, found, 300)
    finally:
        for engine, url in zip(engines, urls, strict=True):
            engine.dispose()
            server.drop_database(url)
    events = sum(len(rows.values) for rows in found if rows.table is schema.execution_events)
    return {
        "spans/s, ended spans only": len(ended) / took["ours"].wall,
        "CPU us a span, this process": took["ours"].cpu / len(ended) * 1e6,
        "spans/s, with start records": len(ended) / took["live"].wall,
        "spans/s, binary COPY": len(ended) / took["copy"].wall,
        "ours : COPY, ended spans only (>= 0.5)": took["copy"].wall / took["ours"].wall,
        "ours : COPY, with start records": took["copy"].wall / took["live"].wall,
        "ours : ORM commit per event (>= 15)": each * events / took["ours"].wall,
    }


def round_on_sqlite(folder: Path, ended: list[Record], live: list[Record]) -> dict[str, float]:
    """Ratios and rates of one round."""
    took: dict[str, Cost] = {}
    engines = [open_engine(f"sqlite:///{folder / name}.db") for name in ("ours", "live", "raw")]
    for engine in engines:
        upgrade(engine)
    ours, other, raw = engines
    with measured(took, "ours"):
        write(ours, ended)
    with measured(took, "live"):
        write(other, live)
    prepared = list(portions(for_sqlite(rows_of(ours)), len(ended) // BATCH))
    with measured(took, "raw"):
        executemany(raw, prepared)
    _same_counts(ours, raw)
    for engine in engines:
        engine.dispose()
    return {
        "spans/s, ended spans only": len(ended) / took["ours"].wall,
        "CPU us a span, this process": took["ours"].cpu / len(ended) * 1e6,
        "spans/s, with start records": len(ended) / took["live"].wall,
        "spans/s, executemany": len(ended) / took["raw"].wall,
        "ours : executemany, ended spans only (>= 0.5)": took["raw"].wall / took["ours"].wall,
        "ours : executemany, with start records": took["raw"].wall / took["live"].wall,
    }


def _empty(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(text("DELETE FROM sessions"))


def _same_counts(one: Engine, another: Engine) -> None:
    for table in _WRITTEN:
        statement = text(f"SELECT count(*) FROM {table.name}")
        with one.connect() as left, another.connect() as right:
            if left.scalar(statement) != right.scalar(statement):
                raise AssertionError(table.name)


def _show(title: str, found: Sequence[dict[str, float]]) -> None:
    print(title)
    for name in found[0]:
        values = [each[name] for each in found]
        print(f"  {name:<50} {statistics.median(values):>12,.2f}   ({min(values):,.2f} to {max(values):,.2f})")


def main() -> None:
    """Run the rounds and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--spans", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", choices=["sqlite", "postgresql"])
    parser.add_argument("--json", type=Path, help="hand the figures on in this file")
    options = parser.parse_args()
    ended, live = spans(options.spans)
    # A writer has a batch in memory. That all of them wait here, for Python to look through them for garbage again and
    # again, would be paid by the one arm that makes objects.
    gc.freeze()
    print(f"{len(ended)} spans of runs of {len(Run(0).ended)}, batches of {BATCH}; median of {options.rounds} rounds")
    parts: dict[str, list[dict[str, float]]] = {}
    if options.only != "sqlite":
        postgresql.SERVER_OPTIONS |= {
            "fsync": "on",
            "synchronous_commit": "on",
            "full_page_writes": "on",
            "autovacuum": "on",
        }
        postgresql.SERVER_OPTIONS |= {"shared_buffers": "1GB", "max_wal_size": "4GB"}
        server = postgresql.start_own_server()
        try:
            parts["PostgreSQL"] = [round_on_postgresql(server, ended, live) for _ in range(options.rounds)]
            _show(f"PostgreSQL {postgresql.describe()}", parts["PostgreSQL"])
        finally:
            server.stop()
    if options.only != "postgresql":
        results = []
        for _ in range(options.rounds):
            with tempfile.TemporaryDirectory() as folder:
                results.append(round_on_sqlite(Path(folder), ended, live))
        parts["SQLite"] = results
        _show("SQLite", results)
    if options.json:
        found = {name: by_name(rounds) for name, rounds in parts.items()}
        hand_on(
            options.json, found, ("sqlalchemy", "psycopg"), PostgreSQL=postgresql.installations()[0].version.split()[0]
        )


if __name__ == "__main__":
    main()
