"""A database of CMBAgent's is adopted where it is, and given back as it was."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, text

from cmbagent_otel import semconv
from cmbagent_otel.semconv import NodeKind, NodeType
from cmbagent_otel.store import migrate
from cmbagent_otel.store.engine import open_engine
from cmbagent_otel.store.writer import Writer
from tests.query.stored import Recorder
from tests.store import cmbagent_database
from tests.store.database import everything, rows, shape


@pytest.fixture
def empty(database_url: str) -> Iterator[Engine]:
    opened = open_engine(database_url)
    yield opened
    opened.dispose()


@pytest.fixture(params=cmbagent_database.SHAPES)
def theirs(request: pytest.FixtureRequest, empty: Engine) -> Engine:
    cmbagent_database.make(empty, request.param)
    return empty


def test_upgrade_keeps_every_row_and_column_of_cmbagents(theirs: Engine) -> None:
    columns, before = shape(theirs), rows(theirs, shape(theirs))
    migrate.upgrade(theirs)
    assert rows(theirs, columns) == before
    after = shape(theirs)
    changed = {
        (table, name) for table in columns for name in columns[table] if after[table][name] != columns[table][name]
    }
    assert changed <= {("dag_nodes", "depth")}
    assert migrate.check(theirs) == []


def test_downgrade_gives_the_database_back_as_it_was(theirs: Engine) -> None:
    before, held = everything(theirs), rows(theirs, shape(theirs))
    migrate.upgrade(theirs)
    migrate.downgrade(theirs, "base")
    assert everything(theirs) == before
    assert rows(theirs, shape(theirs)) == held


def test_each_direction_twice_changes_nothing_more(theirs: Engine) -> None:
    migrate.upgrade(theirs)
    once = everything(theirs)
    migrate.upgrade(theirs)
    assert everything(theirs) == once
    migrate.downgrade(theirs, "base")
    once = everything(theirs)
    migrate.downgrade(theirs, "base")
    assert everything(theirs) == once


def test_upgrade_lets_writers_pass_while_a_long_reader_keeps_it_waiting(postgres_url: str) -> None:
    engine = open_engine(postgres_url)
    cmbagent_database.make(engine, "flat")
    with ThreadPoolExecutor(1) as pool:
        with engine.connect() as reader:
            reader.exec_driver_sql("SELECT count(*) FROM dag_nodes")
            upgrade = pool.submit(migrate.upgrade, engine)
            waiting = text("SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'dag_nodes'::regclass")
            tries = 0
            while tries < 2:  # once given up, it comes again
                with engine.connect() as looking:
                    tries += bool(looking.scalar(waiting))
                with engine.begin() as writer:
                    writer.exec_driver_sql("SET LOCAL statement_timeout = '20s'")
                    writer.exec_driver_sql("UPDATE dag_nodes SET status = 'completed' WHERE id = 'n1'")
            assert not upgrade.done()
        upgrade.result()
    assert migrate.check(engine) == []
    engine.dispose()


def test_two_upgrades_at_once_are_one(theirs: Engine) -> None:
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda _: migrate.upgrade(theirs), range(2)))
    assert migrate.check(theirs) == []


def test_sqlite_is_copied_beside_the_file_first(sqlite_url: str, tmp_path: Path, caplog: Any) -> None:
    engine = open_engine(sqlite_url)
    cmbagent_database.make(engine)
    before, held = everything(engine), rows(engine, shape(engine))
    with caplog.at_level(logging.WARNING):
        migrate.upgrade(engine)
        migrate.upgrade(engine)
    engine.dispose()
    [copied] = tmp_path.glob("*.copy")
    assert [record.getMessage() for record in caplog.records] == [
        f"{tmp_path / 'fresh.db'} was copied to {copied} before its tables change."
    ]
    copy = open_engine(f"sqlite:///{copied}")
    assert everything(copy) == before
    assert rows(copy, shape(copy)) == held
    copy.dispose()


def test_rows_of_ours_in_cmbagents_tables_outlive_the_downgrade(theirs: Engine) -> None:
    migrate.upgrade(theirs)
    ours = record(theirs)
    migrate.downgrade(theirs, "base")
    with theirs.connect() as connection:
        assert connection.scalar(text("SELECT COUNT(*) FROM dag_nodes WHERE run_id = :run"), {"run": ours}) == 4


def test_check_names_what_is_gone_and_upgrade_brings_it_back(theirs: Engine) -> None:
    migrate.upgrade(theirs)
    with theirs.begin() as connection:
        connection.exec_driver_sql("DROP INDEX uq_cost_records_source_id")
        connection.exec_driver_sql("DROP VIEW redo_chain")
    assert [finding.problem for finding in migrate.check(theirs)] == [
        "lacks index uq_cost_records_source_id; type: cmbagent-otel db upgrade",
        "lacks view redo_chain; type: cmbagent-otel db upgrade",
    ]
    migrate.upgrade(theirs)
    assert migrate.check(theirs) == []


def test_check_counts_orphans_and_missing_depths(sqlite_url: str) -> None:
    engine = open_engine(sqlite_url)
    cmbagent_database.make(engine)
    migrate.upgrade(engine)
    raw = engine.raw_connection()
    raw.cursor().execute("PRAGMA foreign_keys=OFF")
    raw.cursor().execute("UPDATE execution_events SET node_id = 'gone'")
    raw.cursor().execute("UPDATE dag_nodes SET depth = NULL, trace_id = 't' WHERE id = 'n2'")
    raw.close()
    found = migrate.check(engine)
    engine.dispose()
    assert [finding.subject for finding in found] == [
        "execution_events.node_id names no row of dag_nodes",
        "dag_nodes.depth of ours is NULL in a run that is over",
    ]
    assert all(finding.problem.startswith("so in 1 rows; ") for finding in found)


def test_check_names_a_foreign_key_that_is_gone(postgres_url: str) -> None:
    engine = open_engine(postgres_url)
    cmbagent_database.make(engine)
    migrate.upgrade(engine)
    with engine.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE files DROP CONSTRAINT files_event_id_fkey")
        connection.exec_driver_sql("ALTER TABLE files DROP CONSTRAINT files_node_id_fkey")
        connection.exec_driver_sql("ALTER TABLE files ADD FOREIGN KEY (node_id) REFERENCES dag_nodes (id)")
    found = migrate.check(engine)
    assert [finding.subject for finding in found] == ["files.event_id", "files.node_id"]
    with engine.begin() as connection:
        for finding in found:
            connection.exec_driver_sql(finding.problem.partition("type: ")[2])
    assert migrate.check(engine) == []
    engine.dispose()


def test_our_writer_writes_where_the_database_knows_no_defaults(empty: Engine) -> None:
    cmbagent_database.make(empty, defaults=False)
    migrate.upgrade(empty)
    record(empty)


def test_cmbagents_own_queries_find_our_run(theirs: Engine) -> None:
    migrate.upgrade(theirs)
    run = {"run": record(theirs)}
    with theirs.connect() as connection:
        dag = connection.execute(
            text("SELECT node_type, status, order_index FROM dag_steps WHERE run_id = :run ORDER BY order_index"), run
        ).all()
        history = connection.execute(
            text(
                "SELECT e.event_type, e.agent_name, n.node_type "
                "FROM step_events e JOIN dag_nodes n ON n.id = e.node_id "
                "WHERE e.run_id = :run AND e.event_subtype <> 'start' AND e.event_type = 'agent_call' "
                "ORDER BY e.execution_order"
            ),
            run,
        ).all()
        flat = connection.execute(text("SELECT id FROM dag_nodes WHERE run_id = :run ORDER BY order_index"), run).all()
        costs = connection.execute(
            text("SELECT model, SUM(cost_usd), SUM(total_tokens) FROM cost_records WHERE run_id = :run GROUP BY model"),
            run,
        ).all()
    assert [tuple(row) for row in dag] == [("control", "completed", 0), ("step", "completed", 1)]
    assert [tuple(row) for row in history] == [("agent_call", "engineer", "step")]
    assert (len(flat), costs) == (4, [])


def record(engine: Engine) -> str:
    """A run of one phase, one step and one turn, written twice as it may be delivered twice; its id."""
    scene = Recorder(engine)
    root = scene.workflow(to=9)
    phase = scene.span("phase control", "control", NodeKind.PHASE, root, at=1, to=8)
    step = scene.span("step 1", NodeType.STEP, NodeKind.STEP, phase, at=2, to=7, attributes={semconv.STEP_NUMBER: 1})
    scene.span(
        "invoke_agent engineer",
        NodeType.AGENT,
        NodeKind.AGENT,
        step,
        at=3,
        to=6,
        attributes={semconv.AGENT_NAME: "engineer"},
    )
    for _ in range(2):
        result = Writer(engine).write(scene.spans)
        assert not result.rejected
    return scene.run_id
