"""What it costs to let old runs go: deleting them, beside dropping a partition or a database.

    make bench-retention [ARGS="--runs 200 --json FILE"]

PostgreSQL with fsync on; each run has 1,000 nodes with five events each, in the tables of this version. A tenth of the
runs goes, in each of the ways. A partitioned copy of the events, by month, shows what partitioning would save, and
what reading one run then costs.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from datetime import timedelta
from typing import NamedTuple

import psycopg
from psycopg import sql

from benchmarks.bench_sink import _cpu_seconds, durable_postgresql, migrated
from cmbagent_otel.store.engine import open_engine
from cmbagent_otel.store.purge import PurgeProgress, purge
from tests.postgresql import OwnServer

_NODES, _EVENTS, _PARTITIONS = 1_000, 5, 10
_FILL = (
    """
    INSERT INTO sessions (id, name, created_at, last_active_at, status, meta)
    SELECT 'run-' || r, 'bench', now(), now(), 'active', '{}' FROM generate_series(1, %(runs)s) r
    """,
    """
    INSERT INTO workflow_runs (id, session_id, mode, agent, model, status, started_at, completed_at,
                               checkpoint_frequency_minutes, is_branch, branch_depth, meta)
    SELECT 'run-' || r, 'run-' || r, 'bench', 'engineer', 'gpt-4o', 'completed', moment, moment, 10, false, 0, '{}'
      FROM generate_series(1, %(runs)s) r,
           LATERAL (SELECT timestamp '2026-01-01' + r * interval '300 days' / %(runs)s AS moment) m
    """,
    """
    INSERT INTO dag_nodes (id, run_id, session_id, parent_node_id, node_type, agent, status, order_index, depth, meta,
                           trace_id, span_id, name, start_time_unix_nano, end_time_unix_nano)
    SELECT 'node-' || r || '-' || n, 'run-' || r, 'run-' || r,
           CASE WHEN n > 1 THEN 'node-' || r || '-' || (n / 10 + 1 - (n / 10 + 1 = n)::int) END,
           CASE WHEN n = 1 THEN 'workflow' ELSE 'llm' END, 'engineer', 'completed', n, 1,
           jsonb_build_object('kind', 'llm', 'label', 'chat gpt-4o', 'model', 'gpt-4o', 'finish_reasons', '["stop"]'),
           lpad(r::text, 32, '0'), lpad(n::text, 16, '0'), 'chat gpt-4o', n * 1000000::bigint, n * 1000000::bigint + 1
      FROM generate_series(1, %(runs)s) r, generate_series(1, %(nodes)s) n
    """,
    """
    INSERT INTO execution_events (id, run_id, node_id, session_id, parent_event_id, event_type, event_subtype,
                                  agent_name, timestamp, inputs, outputs, meta, execution_order, depth, status)
    SELECT 'event-' || r.id || '-' || n.order_index || '-' || e, r.id, n.id, r.id, NULL, 'llm_call', 'complete',
           'engineer', r.started_at, jsonb_build_object('messages', repeat('m', 300)),
           jsonb_build_object('result', repeat('r', 300)), '{}', n.order_index * %(events)s + e, 1, 'completed'
      FROM workflow_runs r JOIN dag_nodes n ON n.run_id = r.id, generate_series(1, %(events)s) e
    """,
)


class Cost(NamedTuple):
    """What one way took."""

    seconds: float
    longest: float
    """Seconds of the longest transaction."""
    cpu: float
    """Seconds of CPU of the server."""
    wal: float
    """MB written to the log."""

    def __str__(self) -> str:
        took = f"{self.seconds * 1e3:9.0f} ms, longest transaction {self.longest * 1e3:7.0f} ms"
        return f"{took}, server CPU {self.cpu:6.2f} s, log {self.wal:6.1f} MB"


class Bench:
    """One server, and a database that is full."""

    def __init__(self, server: OwnServer, pid: int, runs: int) -> None:
        self._server, self._pid, self._runs = server, pid, runs
        self.url = migrated(server)
        with self.connect() as connection:
            for statement in _FILL:
                connection.execute(statement.encode(), {"runs": runs, "nodes": _NODES, "events": _EVENTS})
            connection.execute("VACUUM ANALYZE")

    def connect(self) -> psycopg.Connection[tuple[object, ...]]:
        """A connection of its own, without transactions."""
        return psycopg.connect(self.url, autocommit=True)

    def measure(self, work: Callable[[], float]) -> Cost:
        """What ``work`` costs; it returns the seconds of its longest transaction, or 0 where it is one."""
        log, cpu = self._log_bytes(), _cpu_seconds(self._pid)
        began = time.perf_counter()
        longest = work()
        seconds = time.perf_counter() - began
        return Cost(seconds, longest or seconds, _cpu_seconds(self._pid) - cpu, (self._log_bytes() - log) / 1e6)

    def _log_bytes(self) -> int:
        with psycopg.connect(self._server.url, autocommit=True) as connection:
            row = connection.execute("SELECT pg_current_wal_lsn() - '0/0'::pg_lsn").fetchone()
            return int(row[0]) if row else 0

    def run(self, statement: str) -> float:
        """Execute one statement."""
        with self.connect() as connection:
            connection.execute(statement.encode())
        return 0

    def drop(self) -> float:
        """The whole database."""
        self._server.drop_database(self.url)
        return 0

    def purge(self, numbers: range) -> float:
        """``cmbagent-otel purge --run ...`` of these runs."""
        engine = open_engine(self.url)
        longest, before = 0.0, time.perf_counter()

        def told(_: PurgeProgress) -> None:
            nonlocal longest, before
            now = time.perf_counter()
            longest, before = max(longest, now - before), now

        purge(engine, run_ids=[f"run-{number}" for number in numbers], older_than=timedelta(0), progress=told)
        engine.dispose()
        return longest

    def read(self, table: str) -> float:
        """Milliseconds to read the events of a run, the median of many."""
        query = sql.SQL("SELECT * FROM {} WHERE run_id = %s ORDER BY execution_order LIMIT 1000")
        taken = []
        with self.connect() as connection:
            for number in range(self._runs - min(40, self._runs // 2), self._runs):
                began = time.perf_counter()
                connection.execute(query.format(sql.Identifier(table)), (f"run-{number}",)).fetchall()
                taken.append(time.perf_counter() - began)
        return statistics.median(taken) * 1e3

    def partition(self) -> None:
        """A copy of the events by month, each partition with the indexes that reading needs."""
        self.run("CREATE TABLE events_by_month (LIKE execution_events) PARTITION BY RANGE (timestamp)")
        for number in range(_PARTITIONS):
            first, last = (f"timestamp '2026-01-01' + interval '{30 * n} days'" for n in (number, number + 1))
            self.run(
                f"DO $$ BEGIN EXECUTE format('CREATE TABLE events_{number} PARTITION OF events_by_month"
                f" FOR VALUES FROM (%L) TO (%L)', {first}, {last} + interval '{number // (_PARTITIONS - 1)} day');"
                " END $$"
            )
        self.run("ALTER TABLE events_by_month ADD PRIMARY KEY (id, timestamp)")
        for columns in ("run_id, execution_order", "node_id, execution_order", "session_id", "parent_event_id"):
            self.run(f"CREATE INDEX ON events_by_month ({columns})")
        self.run("INSERT INTO events_by_month SELECT * FROM execution_events")
        self.run("VACUUM ANALYZE events_by_month")


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description="What it costs to let old runs go.")
    parser.add_argument("--runs", type=int, default=200, help="of 1,000 nodes and 5,000 events each")
    asked = parser.parse_args()
    with durable_postgresql() as server:
        bench = Bench(server, server.pid, asked.runs)
        tenth = asked.runs // 10
        rows = tenth * _NODES * (1 + _EVENTS)
        print(f"{asked.runs * _NODES * _EVENTS:,} events, {asked.runs * _NODES:,} nodes; a tenth goes: {rows:,} rows")
        print("purge, in chunks          ", bench.measure(lambda: bench.purge(range(1, tenth + 1))))
        ids = "SELECT 'run-' || r FROM generate_series({}, {}) r"
        second = ids.format(tenth + 1, 2 * tenth)
        print(
            "DELETE of the runs at once",
            bench.measure(lambda: bench.run(f"DELETE FROM workflow_runs WHERE id IN ({second})")),
        )
        third = ids.format(2 * tenth + 1, 3 * tenth)
        print(
            "DELETE of events at once  ",
            bench.measure(lambda: bench.run(f"DELETE FROM execution_events WHERE run_id IN ({third})")),
        )
        print("VACUUM after all three    ", bench.measure(lambda: bench.run("VACUUM")))
        plain = bench.read("execution_events")
        bench.partition()
        parted = bench.read("events_by_month")
        print("DROP of a month of events ", bench.measure(lambda: bench.run("DROP TABLE events_5")))
        print(f"events of a run            {plain:.1f} ms; from {_PARTITIONS} partitions {parted:.1f} ms")
        print("DROP DATABASE             ", bench.measure(bench.drop))


if __name__ == "__main__":
    main()
