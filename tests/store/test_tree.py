from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import Engine, text

from cmbagent_otel.semconv import NodeKind
from cmbagent_otel.spans.record import default_run_id
from cmbagent_otel.store.writer import Writer
from tests.invariants import check_invariants
from tests.store.spans import SECOND, TRACE, id_of, redo, span

OTHER = "00000000000000bb00000000000000bb"
STUB = default_run_id(TRACE)


@pytest.fixture
def write(engine: Engine) -> Any:
    writer = Writer(engine)
    return lambda *records: writer.write(records)


def rows(engine: Engine, statement: str, **parameters: Any) -> list[tuple[Any, ...]]:
    with engine.connect() as connection:
        return [tuple(row) for row in connection.execute(text(statement), parameters)]


def node(engine: Engine, number: int, columns: str, trace: str = TRACE) -> Any:
    ((*found,),) = rows(engine, f"SELECT {columns} FROM dag_nodes WHERE id = :id", id=id_of(number, trace))
    return found[0] if len(found) == 1 else tuple(found)


def runs(engine: Engine) -> set[str]:
    return {run for (run,) in rows(engine, "SELECT id FROM workflow_runs")}


def test_a_late_parent_fills_its_placeholder(engine: Engine, write: Any) -> None:
    write(span(2, 1))
    assert node(engine, 1, "node_type, status") == ("placeholder", "pending")
    assert node(engine, 2, "depth") is None
    write(span(1, None, NodeKind.WORKFLOW))
    assert node(engine, 1, "node_type, status, depth") == ("workflow", "completed", 0)
    assert node(engine, 2, "depth") == 1
    check_invariants(engine)


def test_depth_is_null_until_the_whole_path_is_in(engine: Engine, write: Any) -> None:
    write(span(4, 3))
    write(span(3, 2))
    assert node(engine, 4, "depth") is None
    write(span(1, None, NodeKind.WORKFLOW))
    assert node(engine, 4, "depth") is None
    write(span(2, 1))
    assert [node(engine, number, "depth") for number in (1, 2, 3, 4)] == [0, 1, 2, 3]
    check_invariants(engine)


def test_a_parent_that_never_comes_stays_a_placeholder_that_counts(engine: Engine, write: Any) -> None:
    write(span(2, 1), span(3, 1))
    assert rows(engine, "SELECT count(*) FROM dag_nodes WHERE node_type = 'placeholder'") == [(1,)]
    assert node(engine, 2, "parent_node_id") == id_of(1)


def test_a_finished_node_never_runs_again(engine: Engine, write: Any) -> None:
    write(span(1, None, NodeKind.WORKFLOW))
    write(span(1, None, NodeKind.WORKFLOW, ended=False), span(1, None, NodeKind.WORKFLOW))
    assert node(engine, 1, "status") == "completed"
    assert rows(engine, "SELECT status FROM workflow_runs") == [("completed",)]


def test_a_span_is_its_own_parent_no_longer(engine: Engine, write: Any) -> None:
    write(span(1, 1))
    assert node(engine, 1, "parent_node_id, depth") == (None, 0)
    (found,) = rows(engine, "SELECT meta FROM dag_nodes")
    assert id_of(1) in str(found[0])


@pytest.mark.parametrize("order", [(1, 2, 3), (3, 2, 1), (2, 3, 1)])
def test_a_circle_of_parents_is_cut_at_its_first_span(engine: Engine, write: Any, order: tuple[int, ...]) -> None:
    circle = {1: span(1, 3), 2: span(2, 1), 3: span(3, 2)}
    for number in order:
        write(circle[number])
    assert [node(engine, number, "depth") for number in (1, 2, 3)] == [0, 1, 2]
    assert "cut_parent" in str(node(engine, 1, "meta"))


def test_a_trace_is_moved_to_the_run_that_claims_it_and_its_stub_goes(engine: Engine, write: Any) -> None:
    write(span(2, 1, run=None), span(3, 2, NodeKind.AGENT, run=None))
    assert runs(engine) == {STUB}
    assert rows(engine, "SELECT mode, status FROM workflow_runs") == [("unknown", "draft")]
    write(span(1, None, NodeKind.WORKFLOW, run="study"))
    assert runs(engine) == {"study"}
    assert rows(engine, "SELECT id FROM sessions") == [("study",)]
    assert rows(engine, "SELECT DISTINCT run_id FROM execution_events") == [("study",)]
    assert rows(engine, "SELECT trace_id, run_id FROM run_traces") == [(TRACE, "study")]
    check_invariants(engine)


def test_a_span_that_names_no_run_belongs_to_that_of_its_parent(engine: Engine, write: Any) -> None:
    write(span(1, None, NodeKind.WORKFLOW, run="first"), span(2, 1, run="second"), span(3, 2, run=None))
    assert node(engine, 3, "run_id") == "second"


def test_two_traces_of_one_run_have_two_roots_in_order(engine: Engine, write: Any) -> None:
    write(span(1, None, NodeKind.WORKFLOW, trace=OTHER, at=50, workflow_name="later"))
    write(span(1, None, NodeKind.WORKFLOW, at=10, workflow_name="earlier"))
    assert node(engine, 1, "order_index, depth") == (0, 0)
    assert node(engine, 1, "order_index, depth", OTHER) == (1, 0)
    assert rows(engine, "SELECT mode FROM workflow_runs") == [("earlier",)]
    check_invariants(engine)


def test_a_workflow_under_a_program_that_is_not_traced_is_a_root(engine: Engine, write: Any) -> None:
    write(span(2, 1, NodeKind.WORKFLOW, remote=True))
    assert node(engine, 2, "parent_node_id, depth") == (None, 0)
    assert rows(engine, "SELECT count(*) FROM dag_nodes") == [(1,)]


def test_a_workflow_of_another_process_joins_its_parent_when_that_comes(engine: Engine, write: Any) -> None:
    write(span(2, 1, NodeKind.WORKFLOW, remote=True), span(3, 2))
    write(span(1, None, NodeKind.WORKFLOW))
    assert node(engine, 2, "parent_node_id, depth") == (id_of(1), 1)
    assert node(engine, 3, "depth") == 2
    check_invariants(engine)


def test_siblings_are_numbered_by_their_start_whenever_they_come(engine: Engine, write: Any) -> None:
    write(span(1, None, NodeKind.WORKFLOW))
    for number in (5, 3, 4, 2):
        write(span(number, 1))
    assert [node(engine, number, "order_index") for number in (2, 3, 4, 5)] == [0, 1, 2, 3]


def test_a_redo_of_another_day_is_chained_without_a_link(engine: Engine, write: Any) -> None:
    again = redo(3, 2, 1, 2, trace=OTHER, at=90)
    write(span(1, None, NodeKind.WORKFLOW, trace=OTHER, at=80), span(2, 1, NodeKind.PHASE, trace=OTHER, at=85), again)
    write(
        span(1, None, NodeKind.WORKFLOW),
        span(2, 1, NodeKind.PHASE),
        span(3, 2, NodeKind.STEP, step_number=1, step_goal="do", step_attempt=1),
    )
    assert rows(engine, "SELECT step_id, attempt, node_id FROM redo_chain ORDER BY attempt") == [
        (id_of(3), 1, id_of(3)),
        (id_of(3), 2, id_of(3, OTHER)),
    ]
    assert rows(engine, "SELECT from_node_id, to_node_id, dependency_type, condition FROM dag_edges") == [
        (id_of(3), id_of(3, OTHER), "conditional", "branch_redo_1")
    ]
    assert rows(engine, "SELECT id, goal FROM workflow_steps") == [(id_of(3), "do")]
    check_invariants(engine)


def test_an_attempt_that_comes_late_takes_its_place_in_the_chain(engine: Engine, write: Any) -> None:
    write(span(1, None, NodeKind.WORKFLOW), span(2, 1, NodeKind.PHASE))
    write(span(3, 2, NodeKind.STEP, step_number=1, step_attempt=1), redo(5, 2, 1, 3))
    write(redo(4, 2, 1, 2))
    found = rows(engine, "SELECT from_node_id, to_node_id FROM dag_edges ORDER BY to_node_id")
    assert found == [(id_of(3), id_of(4)), (id_of(4), id_of(5))]
    check_invariants(engine)


def test_a_step_has_the_status_and_the_end_of_its_last_attempt(engine: Engine, write: Any) -> None:
    failed = span(3, 2, NodeKind.STEP, step_number=1, step_attempt=1)._replace(status="ERROR")
    write(span(1, None, NodeKind.WORKFLOW), span(2, 1, NodeKind.PHASE), failed)
    assert rows(engine, "SELECT status, progress_percentage FROM workflow_steps") == [("failed", 0)]
    write(redo(4, 2, 1, 2))
    assert rows(engine, "SELECT status, progress_percentage FROM workflow_steps") == [("completed", 100)]


def test_events_of_a_run_that_is_over_are_numbered_by_time_and_again_when_more_come(engine: Engine, write: Any) -> None:
    write(span(1, None, NodeKind.WORKFLOW), span(4, 1), span(2, 1))
    order = "SELECT node_id FROM execution_events ORDER BY execution_order"
    assert rows(engine, order) == [(id_of(2),), (id_of(4),)]
    write(span(3, 1))
    assert rows(engine, order) == [(id_of(2),), (id_of(3),), (id_of(4),)]
    check_invariants(engine)


def test_a_second_delivery_changes_nothing(engine: Engine, write: Any) -> None:
    records = (span(1, None, NodeKind.WORKFLOW), span(2, 1, NodeKind.AGENT), span(3, 2))
    write(*records)
    before = rows(engine, "SELECT * FROM execution_events ORDER BY id")
    write(*records)
    assert rows(engine, "SELECT * FROM execution_events ORDER BY id") == before
    check_invariants(engine)


def test_a_run_of_the_host_keeps_what_it_says_and_gets_only_what_it_lacks(engine: Engine, write: Any) -> None:
    with engine.begin() as connection:
        connection.execute(
            text(
                "INSERT INTO sessions (id, name, created_at, last_active_at, status)"
                " VALUES ('hers', 'hers', '2026-01-01 00:00:00.000000', '2026-01-01 00:00:00.000000', 'active')"
            )
        )
        connection.execute(
            text(
                "INSERT INTO workflow_runs (id, session_id, mode, agent, model, status, checkpoint_frequency_minutes,"
                " is_branch, branch_depth) VALUES ('run', 'hers', 'one_shot', 'engineer', 'gpt-4', 'executing', 10,"
                " false, 0)"
            )
        )
    write(span(1, None, NodeKind.WORKFLOW, workflow_name="ours", workflow_task="find it", session_id="ours"))
    assert rows(engine, "SELECT session_id, mode, status, task_description FROM workflow_runs") == [
        ("hers", "one_shot", "executing", "find it")
    ]
    assert node(engine, 1, "session_id") == "hers"
    assert rows(engine, "SELECT id, name FROM sessions") == [("hers", "hers")]


def test_a_session_that_the_root_names_late_takes_the_run_along(engine: Engine, write: Any) -> None:
    write(span(2, 1, NodeKind.AGENT))
    write(span(1, None, NodeKind.WORKFLOW, session_id="study"))
    assert rows(engine, "SELECT DISTINCT session_id FROM execution_events") == [("study",)]
    assert rows(engine, "SELECT id FROM sessions") == [("study",)]
    check_invariants(engine)


def test_a_child_that_outlives_its_parent_is_its_child_all_the_same(engine: Engine, write: Any) -> None:
    late = span(2, 1)._replace(start_time_unix_nano=90 * SECOND, end_time_unix_nano=91 * SECOND)
    write(span(1, None, NodeKind.WORKFLOW))
    write(late)
    assert node(engine, 2, "depth, order_index") == (1, 0)
    check_invariants(engine)
