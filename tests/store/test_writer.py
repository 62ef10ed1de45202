from __future__ import annotations

import math
import threading
from typing import Any

import psycopg
import pytest
from sqlalchemy import Engine, text

from cmbagent_otel import semconv
from cmbagent_otel.errors import SchemaOutOfDateError, StoreUnavailableError
from cmbagent_otel.semconv import NodeKind
from cmbagent_otel.spans.record import Heartbeat, SpanEvent
from cmbagent_otel.store import rejected
from cmbagent_otel.store.engine import open_engine
from cmbagent_otel.store.migrate import ensure_schema, upgrade
from cmbagent_otel.store.rows import Rows
from cmbagent_otel.store.writer import Writer
from tests.invariants import check_invariants
from tests.store.spans import SECOND, TRACE, id_of, span

ROOT = span(1, None, NodeKind.WORKFLOW)


def scalars(engine: Engine, statement: str) -> list[Any]:
    with engine.connect() as connection:
        return list(connection.scalars(text(statement)))


def test_odd_text_is_repaired_and_lands(engine: Engine) -> None:
    odd = span(2, 1, NodeKind.AGENT, agent_name="NUL \0 half \ud800", name="\0\udfff")
    odd.attributes["cmbagent.message.content"] = "\0"  # type: ignore[index]
    said = SpanEvent(semconv.MESSAGE_EVENT, SECOND, {semconv.MESSAGE_CONTENT: "\0 \ud83d\ude00 \ud800"})
    assert Writer(engine).write([ROOT, odd._replace(events=(said,))]).rejected == 0
    assert scalars(engine, "SELECT agent FROM dag_nodes WHERE node_type = 'agent'") == ["NUL \ufffd half \ufffd"]
    assert "\U0001f600" in str(
        scalars(engine, "SELECT inputs FROM execution_events WHERE event_subtype = 'message'")[0]
    )
    check_invariants(engine)


def test_numbers_that_no_column_holds_are_repaired_and_land(engine: Engine) -> None:
    odd = span(2, 1, usage_input_tokens=10**30, usage_output_tokens=-(10**30), request_temperature=math.nan)
    odd.attributes[semconv.RESPONSE_FINISH_REASONS] = (math.inf, 2**70, b"bytes", object())  # type: ignore[index]
    odd = odd._replace(start_time_unix_nano=-5, end_time_unix_nano=2**64)
    assert Writer(engine).write([ROOT, odd]).rejected == 0
    assert scalars(engine, "SELECT input_tokens FROM dag_nodes WHERE input_tokens IS NOT NULL") == [2**63 - 1]


def test_names_that_are_too_long_are_cut_and_ids_become_ids(engine: Engine) -> None:
    long = span(2, 1, NodeKind.AGENT, agent_name="e" * 300, run="r" * 300, name="n" * 100_000)
    assert Writer(engine).write([long]).rejected == 0
    assert scalars(engine, "SELECT length(agent) FROM dag_nodes WHERE agent IS NOT NULL") == [100]
    (run_id,) = scalars(engine, "SELECT id FROM workflow_runs")
    Writer(engine).write([Heartbeat(("r" * 300,), "me", 50 * SECOND)])
    assert scalars(engine, "SELECT count(*) FROM workflow_runs WHERE last_heartbeat_at IS NOT NULL") == [1]
    assert len(run_id) == 36


def test_what_cannot_be_mapped_is_put_aside_once_and_the_rest_lands(engine: Engine) -> None:
    bad = span(2, 1)._replace(attributes=None)  # type: ignore[arg-type]
    writer = Writer(engine)
    assert writer.write([ROOT, bad, span(3, 1)]) == (2, 1)
    assert writer.write([bad]) == (0, 1)
    assert len(scalars(engine, "SELECT id FROM rejected_records")) == 1
    assert len(scalars(engine, "SELECT id FROM dag_nodes")) == 2


def test_a_row_that_the_database_refuses_takes_no_other_along(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    real = Rows.event

    def spoiled(self: Rows, event: Any, *rest: Any) -> Any:
        row = real(self, event, *rest)
        return (*row[:6], None, *row[7:]) if event.node_id == id_of(5) else row

    monkeypatch.setattr(Rows, "event", spoiled)  # an event without a type
    assert Writer(engine).write([ROOT, *(span(number, 1) for number in range(2, 9))]) == (7, 1)
    assert scalars(engine, "SELECT span_id FROM rejected_records") == [f"{5:016x}"]
    assert len(scalars(engine, "SELECT id FROM dag_nodes")) == 7


def test_what_is_put_aside_holds_no_content_and_is_bounded(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rejected, "KEPT", 3)
    bad = [
        span(number, 1, tool_call_arguments="secret")._replace(end_time_unix_nano="never")  # type: ignore[arg-type]
        for number in range(2, 9)
    ]
    for record in bad:
        assert Writer(engine).write([record]).rejected == 1
    kept = scalars(engine, "SELECT record FROM rejected_records")
    assert len(kept) == 3
    assert "secret" not in str(kept)


def test_a_database_without_tables_says_what_to_type(database_url: str) -> None:
    engine = open_engine(database_url)
    with pytest.raises(SchemaOutOfDateError, match="cmbagent-otel db upgrade"):
        Writer(engine).write([ROOT])
    engine.dispose()


def test_an_empty_sqlite_file_is_brought_up_and_postgresql_says_what_to_type(
    sqlite_url: str, postgres_url: str
) -> None:
    sqlite, postgresql = open_engine(sqlite_url), open_engine(postgres_url)
    ensure_schema(sqlite)
    Writer(sqlite).write([ROOT])
    with pytest.raises(SchemaOutOfDateError, match="cmbagent-otel db upgrade"):
        ensure_schema(postgresql)
    upgrade(postgresql)
    ensure_schema(postgresql)
    sqlite.dispose()
    postgresql.dispose()


def test_a_database_that_is_away_is_unavailable() -> None:
    engine = open_engine("postgresql://nobody@127.0.0.1:1/none")
    with pytest.raises(StoreUnavailableError):
        Writer(engine).write([ROOT])


def test_a_connection_that_was_cut_is_made_anew(migrated_postgres_url: str) -> None:
    engine = open_engine(migrated_postgres_url)
    writer = Writer(engine)
    writer.write([ROOT])
    with psycopg.connect(migrated_postgres_url, autocommit=True) as other:
        other.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    assert writer.write([span(2, 1)]) == (1, 0)
    check_invariants(engine)
    engine.dispose()


def test_a_deadlock_is_tried_again(migrated_postgres_url: str) -> None:
    engine = open_engine(migrated_postgres_url)
    Writer(engine).write([ROOT])
    done: list[object] = []
    with psycopg.connect(migrated_postgres_url) as other:
        # The other takes the run's row, then waits for what the writer has; the writer waits for the run's row.
        other.execute("SELECT 1 FROM workflow_runs FOR UPDATE")
        thread = threading.Thread(target=lambda: done.append(Writer(engine).write([span(2, 1)])))
        thread.start()
        other.execute("SET deadlock_timeout = '10s'")
        with psycopg.connect(migrated_postgres_url, autocommit=True) as watch:
            while not watch.execute(
                "SELECT 1 FROM pg_locks WHERE locktype IN ('tuple', 'transactionid') AND NOT granted"
            ).fetchall():
                pass
        other.execute("LOCK TABLE dag_nodes IN ACCESS EXCLUSIVE MODE")
        other.commit()
        thread.join(30)
    assert done == [(1, 0)]
    check_invariants(engine)
    engine.dispose()


def test_a_serialization_failure_is_tried_again(migrated_postgres_url: str) -> None:
    with psycopg.connect(migrated_postgres_url, autocommit=True) as other:
        other.execute("CREATE SEQUENCE tries")  # what a rolled back transaction drew is not given again
        other.execute(
            "CREATE FUNCTION fail_once() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
            " IF nextval('tries') = 1 THEN RAISE SQLSTATE '40001'; END IF; RETURN NULL; END $$"
        )
        other.execute("CREATE TRIGGER fail_once AFTER INSERT ON dag_nodes EXECUTE FUNCTION fail_once()")
    engine = open_engine(migrated_postgres_url)
    assert Writer(engine).write([ROOT]) == (1, 0)
    assert scalars(engine, "SELECT last_value > 1 FROM tries") == [True]
    check_invariants(engine)
    engine.dispose()


def test_a_heartbeat_moves_forward_only(engine: Engine) -> None:
    writer = Writer(engine)
    writer.write([ROOT])
    for second in (50, 40):
        writer.write([Heartbeat(("run", "no such run"), "me", second * SECOND)])
    (beat,) = scalars(engine, "SELECT last_heartbeat_at FROM workflow_runs")
    assert "00:00:50" in str(beat)


def test_nothing_of_a_trace_needs_its_session_to_be_named(engine: Engine) -> None:
    Writer(engine).write([span(1, None, NodeKind.WORKFLOW, trace=TRACE, run=None)])
    assert scalars(engine, "SELECT session_id FROM workflow_runs") == scalars(engine, "SELECT id FROM workflow_runs")
