from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, text

from cmbagent_otel.semconv import NodeKind
from cmbagent_otel.spans.record import Heartbeat, Record
from cmbagent_otel.store.sweep import EXPIRY_SECONDS, sweep
from cmbagent_otel.store.writer import Writer
from tests.invariants import check_invariants
from tests.store.spans import SECOND, span
from tests.store.tables import contents, wipe

ROOT = span(1, None, NodeKind.WORKFLOW, owner="me")
RUNNING = span(1, None, NodeKind.WORKFLOW, owner="me", ended=False)
BEGUN = datetime(1970, 1, 1, tzinfo=UTC)
LATER = BEGUN + timedelta(seconds=EXPIRY_SECONDS + 60)


def statuses(engine: Engine) -> dict[str, str]:
    with engine.connect() as connection:
        found: dict[str, Any] = {"run": connection.scalar(text("SELECT status FROM workflow_runs"))}
        for row in connection.execute(text("SELECT name, status FROM dag_nodes")):
            found[row.name] = row.status
    return found


def test_what_a_dead_process_left_open_is_interrupted(engine: Engine) -> None:
    Writer(engine).write([RUNNING, span(2, 1, NodeKind.AGENT, ended=False), span(3, 1)])
    assert sweep(engine, LATER) == ["run"]
    assert statuses(engine) == {
        "run": "interrupted",
        "workflow 1": "interrupted",
        "agent 2": "interrupted",
        "llm 3": "completed",
    }
    with engine.connect() as connection:
        assert not connection.scalar(text("SELECT count(*) FROM execution_events WHERE status = 'running'"))
    check_invariants(engine)


def test_a_run_that_is_heard_of_is_left_alone(engine: Engine) -> None:
    writer = Writer(engine)
    writer.write([RUNNING])
    assert sweep(engine, BEGUN + timedelta(seconds=20)) == []
    writer.write([Heartbeat(("run",), "me", int(EXPIRY_SECONDS) * SECOND)])
    assert sweep(engine, LATER) == []
    assert statuses(engine)["run"] == "executing"


def test_a_run_that_is_taken_up_again_is_left_alone(engine: Engine) -> None:
    writer = Writer(engine)
    writer.write([RUNNING, Heartbeat(("run",), "me", 5 * SECOND)])
    again = int(EXPIRY_SECONDS) + 50
    writer.write([span(1, None, NodeKind.WORKFLOW, trace="b" * 32, at=again, owner="other", ended=False)])
    assert sweep(engine, LATER) == []


def test_a_run_without_an_owner_is_never_closed_by_its_age(engine: Engine) -> None:
    Writer(engine).write([span(1, None, NodeKind.WORKFLOW, ended=False)])
    assert sweep(engine, LATER) == []


def test_a_real_end_replaces_the_mark_and_a_late_start_does_not(engine: Engine) -> None:
    writer = Writer(engine)
    writer.write([RUNNING])
    sweep(engine, LATER)
    writer.write([RUNNING])
    assert statuses(engine)["run"] == "interrupted"
    writer.write([ROOT])
    assert statuses(engine) == {"run": "completed", "workflow 1": "completed"}
    assert sweep(engine, LATER) == []


def test_what_a_child_process_left_open_in_a_run_that_is_over_is_closed(engine: Engine) -> None:
    Writer(engine).write([ROOT, span(2, 1, ended=False), Heartbeat(("run",), "me", 2 * SECOND)])
    assert sweep(engine, LATER) == ["run"]
    assert statuses(engine) == {"run": "completed", "workflow 1": "completed", "llm 2": "interrupted"}


CUT_OFF = span(1, None, NodeKind.WORKFLOW, owner="me", error_type="interrupted")._replace(status="ERROR")
CHILD_BEGUN = span(2, 1, ended=False)
CHILD_CUT_OFF = span(2, 1, error_type="interrupted")._replace(status="ERROR")


@given(order=st.permutations([[RUNNING], [CHILD_BEGUN], [CUT_OFF], [CHILD_CUT_OFF], [CUT_OFF, RUNNING], None, None]))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_ended_as_interrupted_is_the_same_however_often_it_was_swept(
    engine: Engine, order: list[list[Record] | None]
) -> None:
    wipe(engine)
    Writer(engine).write([CUT_OFF, CHILD_CUT_OFF, RUNNING, CHILD_BEGUN])
    expected = contents(engine)
    wipe(engine)
    for batch in order:
        if batch is None:
            sweep(engine, LATER)
        else:
            Writer(engine).write(batch)
    assert contents(engine) == expected
    assert statuses(engine) == {"run": "interrupted", "workflow 1": "interrupted", "llm 2": "interrupted"}
