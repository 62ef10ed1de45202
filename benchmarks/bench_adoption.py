"""How long adopting a big CMBAgent database keeps its writers waiting: ``make bench-adoption``.

A PostgreSQL database as CMBAgent makes it, with a million nodes and five million events (``--events``), is brought up
and down by ``cmbagent-otel db`` while two writers insert and update in a loop, and a reader stays in a transaction for
seconds, as a report does. The server itself writes down each wait for a lock.
"""

from __future__ import annotations

import argparse
import re
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import psycopg
from sqlalchemy import Engine, text
from sqlalchemy.engine import make_url

from cmbagent_otel.store import migrate
from cmbagent_otel.store.engine import open_engine
from tests import postgresql
from tests.store import cmbagent_database

EVENTS_OF_A_NODE = 5
NODES_OF_A_RUN = 1000
_NODE = "lpad(i::text, 36, '0')"
_RUN = f"lpad((i / {NODES_OF_A_RUN})::text, 36, '0')"
_WAITED = re.compile(r"\[(\w+)\].* (?:acquired|still waiting for) (\w+) on .* after ([\d.]+) ms")


def fill(engine: Engine, nodes: int) -> None:
    """CMBAgent's tables with that many nodes, and no index but those of the keys: all others are to be made."""
    cmbagent_database.make(engine, "tree")
    statements = f"""
SET session_replication_role = replica;
INSERT INTO workflow_runs (id, session_id, mode, agent, model, status, checkpoint_frequency_minutes, is_branch,
    branch_depth)
  SELECT lpad(i::text, 36, '0'), 's1', 'one_shot', 'engineer', 'gpt-4o', 'completed', 10, false, 0
    FROM generate_series(0, {nodes // NODES_OF_A_RUN}) i;
INSERT INTO dag_nodes (id, run_id, session_id, node_type, agent, status, order_index, depth, meta)
  SELECT {_NODE}, {_RUN}, 's1', 'agent', 'engineer', 'completed', i % {NODES_OF_A_RUN}, 1, '{{"id": "step_1"}}'
    FROM generate_series(0, {nodes - 1}) i;
INSERT INTO execution_events (id, run_id, node_id, session_id, event_type, event_subtype, agent_name, timestamp,
    inputs, meta, execution_order, depth, status)
  SELECT lpad((i * {EVENTS_OF_A_NODE} + k)::text, 36, '0'), {_RUN}, {_NODE}, 's1', 'agent_call', 'complete',
         'engineer', now()::timestamp, '{{"message": "Compute the spectrum of the map."}}', '{{"tokens": 5}}',
         i % {NODES_OF_A_RUN} * {EVENTS_OF_A_NODE} + k, 0, 'completed'
    FROM generate_series(0, {nodes - 1}) i, generate_series(0, {EVENTS_OF_A_NODE - 1}) k"""
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        unneeded = "SELECT indexname FROM pg_indexes WHERE schemaname = 'public' AND indexdef NOT LIKE '%_pkey%'"
        for name in connection.scalars(text(unneeded)).all():
            connection.exec_driver_sql(f"DROP INDEX {name}")
        for statement in statements.split(";\n"):
            connection.exec_driver_sql(statement.replace("%", "%%"))
        connection.exec_driver_sql("RESET session_replication_role")
        connection.exec_driver_sql("VACUUM ANALYZE")


class Writers:
    """Two writers and a slow reader; the longest that a statement of a writer has taken."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._over = threading.Event()
        self.longest = 0.0
        self.transactions = 0

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """While the block runs."""
        with ThreadPoolExecutor() as pool:
            working = [pool.submit(self._write, "n1"), pool.submit(self._write, "n2"), pool.submit(self._read)]
            try:
                yield
            finally:
                self._over.set()
            for done in working:
                done.result()

    def _write(self, node: str) -> None:
        with psycopg.connect(self._url, autocommit=True, application_name="writer") as connection:
            while not self._over.wait(0.002):
                before = time.perf_counter()
                with connection.transaction():
                    connection.execute(
                        "INSERT INTO execution_events (id, run_id, node_id, session_id, event_type, timestamp, "
                        "execution_order, depth, status) VALUES (%s, 'r1', 'n1', 's1', 'info', now(), 0, 0, 'info')",
                        (str(uuid.uuid4()),),
                    )
                    connection.execute("UPDATE dag_nodes SET status = 'completed' WHERE id = %s", (node,))
                self.longest = max(self.longest, time.perf_counter() - before)
                self.transactions += 1

    def _read(self) -> None:
        with psycopg.connect(self._url, application_name="reader") as connection:
            while not self._over.is_set():
                connection.execute("SELECT count(*) FROM dag_nodes WHERE run_id = 'r1'")
                connection.execute("SELECT 1 FROM execution_events LIMIT 1")
                self._over.wait(3)
                connection.commit()
                self._over.wait(1)


def measure(what: str, url: str, log: Path, act: Callable[[], None]) -> None:
    """Do it beside the writers, and tell how long these had to wait."""
    writers, said = Writers(url), log.stat().st_size
    before = time.perf_counter()
    with writers.at_work():
        time.sleep(2)
        act()
    took = time.perf_counter() - before
    with log.open() as lines:
        lines.seek(said)
        waits = [(float(ms), lock) for who, lock, ms in _WAITED.findall(lines.read()) if who == "writer"]
    longest, lock = max(waits, default=(0.0, "none"))
    print(
        f"  {what:<38} {took:>6.1f} s   longest wait of a writer for a lock {longest:>4.0f} ms ({lock}; "
        f"{len(waits)} over 10 ms), slowest of {writers.transactions} transactions {writers.longest * 1000:.0f} ms"
    )


def main() -> None:
    """Fill, bring up, bring down, and print what writers had to wait."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=5_000_000)
    nodes = parser.parse_args().events // EVENTS_OF_A_NODE
    postgresql.SERVER_OPTIONS |= {
        "fsync": "on",
        "synchronous_commit": "on",
        "full_page_writes": "on",
        "autovacuum": "on",
        "shared_buffers": "1GB",
        "max_wal_size": "4GB",
        "maintenance_work_mem": "256MB",
        "log_lock_waits": "on",
        "deadlock_timeout": "10ms",
        "log_line_prefix": "[%a] ",
    }
    server = postgresql.start_own_server()
    try:
        url = server.create_database()
        engine = open_engine(url)
        fill(engine, nodes)
        plain = make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
        log = server.folder / "server.log"
        print(f"PostgreSQL {postgresql.describe()}: {nodes} nodes, {nodes * EVENTS_OF_A_NODE} events")
        measure("nothing, for comparison", plain, log, lambda: time.sleep(10))
        measure("db upgrade", plain, log, lambda: migrate.upgrade(engine))
        findings = migrate.check(engine)
        if findings:
            raise AssertionError(findings)
        with engine.begin() as connection:
            connection.exec_driver_sql("UPDATE dag_nodes SET depth = NULL WHERE order_index < 100")
        measure("db downgrade base (depth of a tenth NULL)", plain, log, lambda: migrate.downgrade(engine, "base"))
        engine.dispose()
    finally:
        server.stop()


if __name__ == "__main__":
    main()
