"""The read model on runs written by hand."""

from __future__ import annotations

from typing import Any

import pytest

from cmbagent_otel.query.build import build_view
from cmbagent_otel.query.view import STALE, Node, Note, RunView
from tests.query.scenes import SECOND, START, Scene, code, llm, research, step


def view_of(scene: Scene, at: float = 100) -> RunView:
    return build_view(scene.graph(), now_unix_nano=START + round(at * SECOND))


def drawn(nodes: list[Node]) -> list[str]:
    return [node.id for node in nodes]


# -- attempts ------------------------------------------------------------------------------------------------


def test_a_redo_stands_beside_the_attempt_before_and_replaces_it() -> None:
    view = view_of(research())
    two = view.nodes["two"].step
    assert two is not None
    assert drawn(two.attempts) == ["two", "redo"]
    assert two.current is view.nodes["redo"]
    assert view.nodes["two"].is_replaced
    assert not view.nodes["redo"].is_replaced
    assert view.nodes["redo"].attempt == 2
    assert drawn(view.nodes["control"].children) == ["one", "two", "redo"]
    assert [drawn(one.attempts) for one in view.steps] == [["one"], ["two", "redo"]]


def test_attempts_stay_together_when_another_step_began_between_them() -> None:
    scene = Scene()
    scene.add("control", "control", meta={"kind": "phase"})
    step(scene, "one", 1, "First", at=1)
    step(scene, "two", 2, "Second", at=2)
    scene.add("again", "branch_point", "control", at=3, attempt=2, meta={"kind": "step", "source_node_id": "one"})
    assert drawn(view_of(scene).nodes["control"].children) == ["one", "again", "two"]


def test_a_redo_that_names_no_source_joins_the_step_of_its_number() -> None:
    scene = Scene()
    scene.add("control", "control", meta={"kind": "phase"})
    step(scene, "one", 1, "First", at=1)
    step(scene, "two", 2, "Second", at=2)
    scene.add("again", "branch_point", "control", at=3, meta={"step_number": 1})
    found = view_of(scene).nodes["one"].step
    assert found is not None
    assert drawn(found.attempts) == ["one", "again"]


def test_a_redo_of_another_day_joins_the_step_in_the_phase_of_the_same_type() -> None:
    scene = Scene()
    scene.add("root", "workflow", at=0)
    scene.add("control", "control", "root", at=1, meta={"kind": "phase"})
    step(scene, "one", 1, "First", at=2)
    scene.add("next day", "workflow", at=90_000)
    scene.add("control again", "control", "next day", at=90_001, meta={"kind": "phase"})
    scene.add("again", "branch_point", "control again", at=90_002, attempt=2, meta={"step_number": 1})
    view = view_of(scene)
    assert drawn(view.nodes["control"].children) == ["one", "again"]
    assert view.nodes["again"].parent is view.nodes["control"]
    assert view.nodes["again"].row.parent_node_id == "control again"


def test_the_same_number_twice_is_two_steps_unless_one_is_a_redo() -> None:
    scene = Scene()
    scene.add("control", "control", meta={"kind": "phase"})
    step(scene, "one", 1, "First", at=1)
    step(scene, "another", 1, "First", at=2)
    assert len(view_of(scene).steps) == 2


@pytest.mark.parametrize("source", ["again", "below", "nowhere"])
def test_a_redo_that_names_itself_or_nonsense_as_its_source_is_still_drawn(source: str) -> None:
    scene = Scene()
    scene.add("control", "control", meta={"kind": "phase"})
    scene.add("again", "branch_point", "control", at=3, attempt=2, meta={"source_node_id": source})
    step(scene, "below", 1, "Below its own redo", parent="again", at=4)
    assert drawn(list(view_of(scene).walk())) == ["control", "again", "below"]


def test_a_redo_whose_first_attempt_is_missing_keeps_its_number() -> None:
    scene = Scene()
    scene.add("again", "branch_point", at=3, attempt=3, meta={"step_number": 1, "source_node_id": "gone"})
    assert view_of(scene).nodes["again"].attempt == 3


# -- sums ----------------------------------------------------------------------------------------------------


def test_sums_go_upward_and_tell_what_went_into_replaced_attempts() -> None:
    view = view_of(research())
    assert (view.totals.llm_calls, view.totals.tool_calls, view.totals.code_runs, view.totals.redos) == (4, 1, 2, 1)
    assert (view.totals.input_tokens, view.totals.output_tokens) == (4000, 800)
    assert view.totals.cost_usd == pytest.approx(1.0)
    assert view.replaced.cost_usd == pytest.approx(0.25)
    assert view.nodes["control"].totals.cost_usd == pytest.approx(0.75)
    assert view.waiting_seconds == 6
    assert view.active_seconds == 94


def test_one_error_is_counted_once_however_far_it_was_raised() -> None:
    scene = Scene("failed")
    scene.add("root", "workflow", status="failed")
    step(scene, "one", 1, "Fails", parent="root", status="failed")
    scene.add("engineer", "agent", "one", status="failed")
    code(scene, "run", "engineer", exit_code=1)
    scene.add("own error", "agent", "root", status="failed")
    assert view_of(scene).totals.errors == 2


def test_a_call_without_a_price_makes_the_sum_at_least() -> None:
    scene = Scene()
    scene.add("engineer", "agent")
    llm(scene, "priced", "engineer")
    llm(scene, "unpriced", "engineer", cost=None)
    llm(scene, "running", "engineer", cost=None, status="running", to=None, input_tokens=None)
    totals = view_of(scene).totals
    assert totals.cost_usd == 0.25
    assert totals.unknown_costs == 1
    assert totals.unknown_tokens == 0


# -- what is odd ---------------------------------------------------------------------------------------------


def test_a_child_without_its_parent_is_drawn_unattached() -> None:
    scene = Scene()
    scene.add("root", "workflow")
    scene.add("lost", "agent", "gone")
    view = view_of(scene)
    assert drawn(view.unattached) == ["lost"]
    assert view.nodes["lost"].notes == (Note.UNATTACHED,)


def test_a_placeholder_is_drawn_with_what_hangs_under_it() -> None:
    scene = Scene()
    scene.add("hole", "placeholder", at=None, to=None, status="pending", trace_id=None, name=None)
    scene.add("call", "tool", "hole", at=5)
    view = view_of(scene)
    assert drawn(view.unattached) == ["hole"]
    assert drawn(view.nodes["hole"].children) == ["call"]
    assert view.nodes["hole"].start == START + 5 * SECOND
    assert view.nodes["hole"].notes == (Note.PLACEHOLDER,)


def test_a_circle_of_parents_is_cut_at_its_earliest_node() -> None:
    scene = Scene()
    scene.add("late", "agent", "early", at=2)
    scene.add("early", "agent", "late", at=1)
    scene.add("self", "agent", "self", at=3)
    scene.add("under", "tool", "late", at=4)
    view = view_of(scene)
    assert drawn(view.unattached) == ["early", "self"]
    assert drawn(list(view.walk())) == ["early", "late", "under", "self"]
    assert view.nodes["early"].notes == (Note.CIRCLE,)


def test_clocks_that_disagree_are_noted_and_drawn_as_stored() -> None:
    scene = Scene()
    scene.add("root", "workflow", at=10)
    scene.add("early", "agent", "root", at=5, to=4)
    view = view_of(scene)
    assert view.nodes["early"].notes == (Note.ENDS_BEFORE_START, Note.BEFORE_PARENT)
    assert view.nodes["early"].seconds(0) == 0


def test_a_tool_that_starts_after_its_caller_has_ended_is_nothing_odd() -> None:
    scene = Scene()
    scene.add("caller", "agent", at=0, to=1)
    scene.add("tool", "tool", "caller", at=2, to=3)
    assert view_of(scene).nodes["tool"].notes == ()


def test_a_type_of_the_future_is_drawn_as_itself() -> None:
    scene = Scene()
    scene.add("node", "holodeck", name="visit")
    node = view_of(scene).nodes["node"]
    assert (node.kind, node.label, node.notes) == ("other", "visit", (Note.UNKNOWN_TYPE,))


def test_foreign_spans_are_hidden_and_what_is_below_them_takes_their_place() -> None:
    scene = Scene()
    scene.add("root", "workflow")
    scene.add("http", "span", "root", at=1)
    scene.add("retry", "span", "http", at=2)
    scene.add("tool", "tool", "retry", at=3)
    view = view_of(scene)
    assert drawn(view.nodes["root"].visible_children()) == ["tool"]
    assert drawn(view.nodes["root"].children) == ["http"]
    assert view.hidden == 2


def test_a_foreign_span_under_nothing_is_shown() -> None:
    scene = Scene()
    scene.add("job", "span")
    assert not view_of(scene).nodes["job"].hidden


def test_edges_to_nowhere_are_counted_and_not_drawn() -> None:
    scene = research()
    scene.edge("one", "nowhere")
    view = view_of(scene)
    assert view.dangling_edges == 1
    assert all(edge.to_node_id != "nowhere" for edge in view.edges)


# -- while it runs -------------------------------------------------------------------------------------------


def running() -> Scene:
    scene = Scene("running")
    scene.add("root", "workflow", to=None, status="running")
    scene.add("engineer", "agent", "root", at=1, to=None, status="running")
    scene.add("call", "llm", "engineer", at=2, to=None, status="running")
    return scene


def test_now_is_the_path_to_what_was_started_last() -> None:
    view = view_of(running(), at=62)
    assert drawn(list(view.now)) == ["root", "engineer", "call"]
    assert view.now[-1].seconds(view.now_unix_nano) == 60
    assert view.seconds == 62
    assert view.is_open


def test_a_run_without_news_is_stale_and_not_failed() -> None:
    view = view_of(running(), at=2 + 420)
    assert view.status == STALE
    assert {node.status for node in view.walk()} == {STALE}
    assert view.silent_seconds == 420
    assert view.totals.errors == 0


def test_a_heartbeat_is_news() -> None:
    scene = running()
    scene.run = scene.run._replace(heartbeat_unix_nano=START + 400 * SECOND)
    assert view_of(scene, at=422).status == "running"


def test_the_end_of_a_run_is_its_own_and_not_its_roots() -> None:
    scene = Scene("running")
    scene.add("root", "workflow", to=10)
    assert view_of(scene, at=50).end is None
    assert view_of(scene, at=50).seconds == 50


def test_a_run_without_nodes_has_a_view() -> None:
    view = view_of(Scene("pending", mode="deep_research"))
    assert view.top() == []
    assert view.run.title == "deep_research"


# -- CMBAgent's own rows -------------------------------------------------------------------------------------


def test_the_rows_of_cmbagent_itself_are_phases_and_steps_in_their_order() -> None:
    scene = Scene("executing")
    bare: dict[str, Any] = {"at": None, "to": None, "trace_id": None, "name": None}
    scene.add("n2", "agent", order_index=1, agent="engineer", status="pending", meta={"id": "step_1"}, **bare)
    scene.add("n1", "planning", order_index=0, agent="planner", meta={"id": "planning", "label": "Planning"}, **bare)
    scene.add("n3", "terminator", order_index=2, status="pending", **bare)
    view = view_of(scene)
    assert drawn(view.roots) == ["n1", "n2", "n3"]
    assert [node.kind for node in view.roots] == ["phase", "step", "other"]
    assert [found.number for found in view.steps] == [1]
