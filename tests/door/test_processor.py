"""The lossless door: what the program does reaches the database, live, whatever happens to either."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from sqlalchemy import Engine, text

import cmbagent_otel as otel
from cmbagent_otel import composition, settings
from cmbagent_otel.processor import DagSpanProcessor
from cmbagent_otel.store.engine import open_engine
from tests.invariants import check_invariants


@pytest.fixture
def reader(migrated_url: str) -> Iterator[Engine]:
    """A second connection, as a person at another desk would have."""
    engine = open_engine(migrated_url, read_only=True)
    yield engine
    engine.dispose()


@pytest.fixture
def configured(migrated_url: str) -> None:
    assert otel.configure(database_url=migrated_url)


def rows(engine: Engine, statement: str) -> list[tuple[object, ...]]:
    with engine.connect() as connection:
        return [tuple(row) for row in connection.execute(text(statement))]


def eventually(engine: Engine, statement: str, expected: list[tuple[object, ...]], seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while (found := rows(engine, statement)) != expected and time.monotonic() < deadline:
        time.sleep(0.02)
    assert found == expected


NODES = "SELECT node_type, status FROM dag_nodes ORDER BY depth, order_index"


@pytest.mark.usefixtures("configured")
def test_a_running_workflow_is_in_the_tables_while_it_runs(reader: Engine) -> None:
    with otel.workflow("one_shot"), otel.phase("one_shot"), otel.step(1, goal="wait"):
        eventually(reader, NODES, [("workflow", "running"), ("one_shot", "running"), ("step", "running")])
        eventually(reader, "SELECT status FROM workflow_runs", [("executing",)])
    assert otel.flush()
    assert rows(reader, NODES) == [("workflow", "completed"), ("one_shot", "completed"), ("step", "completed")]
    check_invariants(reader)


@pytest.mark.usefixtures("configured")
def test_leaving_a_phase_by_an_exception_hands_its_rows_over_at_once(reader: Engine) -> None:
    with otel.workflow("w"):
        with pytest.raises(ZeroDivisionError), otel.phase("control"), otel.step(1):
            raise ZeroDivisionError
        eventually(
            reader,
            "SELECT node_type, status FROM dag_nodes WHERE status = 'failed' ORDER BY depth",
            [("control", "failed"), ("step", "failed")],
        )


@pytest.mark.usefixtures("configured")
def test_a_short_span_sends_no_start_record(reader: Engine) -> None:
    with otel.workflow("w"), otel.step(1):
        pass
    assert otel.flush()
    assert rows(reader, "SELECT count(*) FROM dag_nodes") == [(2,)]
    check_invariants(reader)


@pytest.mark.usefixtures("configured")
def test_a_redo_is_a_branch_with_its_edge_and_the_tree_is_one_query(reader: Engine) -> None:
    with otel.workflow("w"), otel.phase("control"):
        with otel.step(1, goal="fit") as step:
            pass
        with step.redo(hypothesis="other prior", reason="feedback"):
            pass
        with otel.step(2):
            pass
    assert otel.flush()
    assert rows(reader, "SELECT node_type, agent, order_index FROM dag_nodes WHERE depth = 2 ORDER BY name") == [
        ("step", None, 0),
        ("branch_point", "branch_redo_1", 0),
        ("step", None, 1),
    ]
    edges = "SELECT f.name, t.name, e.dependency_type, e.condition FROM dag_edges e"
    edges += " JOIN dag_nodes f ON f.id = e.from_node_id JOIN dag_nodes t ON t.id = e.to_node_id ORDER BY t.name"
    assert rows(reader, edges) == [
        ("step 1", "step 1 redo 1", "conditional", "branch_redo_1"),
        ("step 1 redo 1", "step 2", "sequential", None),
    ]
    check_invariants(reader)


def test_an_empty_sqlite_file_is_brought_up_by_itself(sqlite_url: str) -> None:
    assert otel.configure(database_url=sqlite_url)
    with otel.workflow("w"):
        pass
    assert otel.flush()
    assert rows(open_engine(sqlite_url), "SELECT count(*) FROM dag_nodes") == [(1,)]


def test_a_postgresql_without_tables_is_told_what_to_type_and_gets_the_run_later(
    postgres_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    assert otel.configure(database_url=postgres_url)
    with otel.workflow("w"):
        pass
    assert otel.flush()
    assert "cmbagent-otel db upgrade" in caplog.text
    composition.reset()
    from cmbagent_otel.store.migrate import upgrade

    engine = open_engine(postgres_url)
    upgrade(engine)
    assert otel.configure(database_url=postgres_url)
    with otel.workflow("the next process"):
        pass
    assert otel.flush()
    assert rows(engine, "SELECT name FROM dag_nodes ORDER BY start_time_unix_nano") == [
        ("invoke_workflow w",),
        ("invoke_workflow the next process",),
    ]
    check_invariants(engine)
    engine.dispose()


def test_while_the_database_is_away_the_run_goes_on_and_nothing_is_lost(
    migrated_postgres_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    away = "postgresql://nobody:wrong@127.0.0.1:9/nothing"
    config = settings.load(database_url=away)
    provider = TracerProvider()
    processor = DagSpanProcessor(config)
    provider.add_span_processor(processor)
    for number in range(700):
        provider.get_tracer("t").start_span(f"span {number}").end()
    assert processor.force_flush()
    processor.shutdown()
    assert "waits in" in caplog.text
    from cmbagent_otel.store.spool import Spool
    from cmbagent_otel.store.writer import Writer

    engine = open_engine(migrated_postgres_url)
    Spool(config.resolved_spool_dir, 10_000_000).replay(Writer(engine))
    assert rows(engine, "SELECT count(*) FROM dag_nodes") == [(700,)]
    engine.dispose()


@pytest.mark.usefixtures("configured")
def test_a_burst_as_fast_as_python_makes_it_loses_no_span(reader: Engine) -> None:
    tracer = trace.get_tracer("burst")
    with otel.workflow("w"):
        for number in range(20_000):
            tracer.start_span(f"span {number}").end()
    assert otel.flush(60)
    otel.shutdown()
    assert rows(reader, "SELECT count(*) FROM dag_nodes") == [(20_001,)]
    check_invariants(reader)


def test_what_found_no_room_in_memory_is_in_the_tables_after_the_next_flush(migrated_url: str, reader: Engine) -> None:
    assert otel.configure(database_url=migrated_url, queue_limit=512)
    tracer = trace.get_tracer("burst")
    with otel.workflow("w"):
        for number in range(5_000):
            tracer.start_span(f"span {number}").end()
    assert otel.flush(60)
    assert rows(reader, "SELECT count(*) FROM dag_nodes") == [(5_001,)]
    otel.shutdown()
    check_invariants(reader)


@pytest.mark.usefixtures("configured")
def test_a_forked_child_keeps_its_spans_and_repeats_none_of_its_parents(reader: Engine) -> None:
    with otel.workflow("w"):
        with otel.step(1):
            pass
        child = os.fork()
        if child == 0:
            with otel.step(2):
                pass
            otel.shutdown()
            os._exit(0)
        os.waitpid(child, 0)
        with otel.step(3):
            pass
    assert otel.flush()
    assert rows(reader, "SELECT name FROM dag_nodes WHERE node_type = 'step' ORDER BY name") == [
        ("step 1",),
        ("step 2",),
        ("step 3",),
    ]
    check_invariants(reader)


def test_spans_of_the_programs_own_are_kept_too(reader: Engine, migrated_url: str) -> None:
    theirs = TracerProvider()
    trace.set_tracer_provider(theirs)
    assert otel.configure(database_url=migrated_url)
    assert trace.get_tracer_provider() is theirs
    with trace.get_tracer("mine").start_as_current_span("main"), otel.workflow("w"):
        pass
    assert otel.flush()
    assert rows(reader, "SELECT node_type, depth FROM dag_nodes ORDER BY depth") == [("span", 0), ("workflow", 1)]
    check_invariants(reader)
