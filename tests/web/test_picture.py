"""Whatever the rows are: every node has one place in the picture, and the picture can be sent."""

from __future__ import annotations

from collections import Counter

import orjson
from hypothesis import given, settings

from cmbagent_otel.query.build import build_view
from cmbagent_otel.query.rows import RunGraph
from cmbagent_otel.query.view import RunView
from cmbagent_otel.semconv import NodeKind
from cmbagent_otel.web.arrange import Arrangement, Frame, arrange, inside
from cmbagent_otel.web.pauses import pauses
from cmbagent_otel.web.picture import draw
from cmbagent_otel.web.snapshot import Snapshot
from tests.query.scenes import SECOND, START, Scene, llm, research, step
from tests.query.test_view_properties import NOW, graphs


def view_of(graph: RunGraph, now: int = NOW) -> RunView:
    return build_view(graph, now_unix_nano=now)


def nodes_of(arranged: Arrangement, *, hidden: bool) -> Counter[str]:
    """How often each node has a row: a frame, a card's own, or one inside it."""
    seen: Counter[str] = Counter()
    for row in arranged.rows:
        if isinstance(row, Frame):
            seen.update([] if row.node is None else [row.node.id])
            continue
        seen.update([] if row.card.attempt is None else [row.card.attempt.id])
        seen.update(node.id for node, _ in inside(row, hidden=hidden))
    return seen


@settings(deadline=None)
@given(graphs())
def test_every_shown_node_has_exactly_one_row(graph: RunGraph) -> None:
    view = view_of(graph)
    seen = nodes_of(arrange(view), hidden=False)
    assert seen == Counter(node.id for node in view.walk() if not node.hidden or node.id in seen)
    assert all(node.hidden for node in view.walk() if node.id not in seen)


@settings(deadline=None)
@given(graphs())
def test_picture_of_any_rows_is_json_and_names_each_frame_and_card_once(graph: RunGraph) -> None:
    picture = orjson.loads(orjson.dumps(draw(view_of(graph))))
    assert len(set(picture["order"])) == len(picture["order"])
    assert set(picture["order"]) == set(picture["frames"]) | set(picture["cards"])
    for card in picture["cards"].values():
        assert card["frame"] is None or card["frame"] in picture["frames"]
        for source, _ in card["after"]:
            assert source in picture["cards"] or source in picture["frames"]


@settings(deadline=None)
@given(graphs())
def test_order_of_the_rows_changes_nothing_in_the_picture(graph: RunGraph) -> None:
    turned = graph._replace(nodes=graph.nodes[::-1], edges=graph.edges[::-1])
    assert draw(view_of(graph)) == draw(view_of(turned))


@settings(deadline=None)
@given(graphs(), graphs())
def test_what_is_told_since_a_revision_makes_the_new_picture_of_the_old(before: RunGraph, after: RunGraph) -> None:
    old = Snapshot(view_of(before), (1,), None)
    new = Snapshot(view_of(after), (2,), old)
    delta = new.since(old.revision)
    reset = delta.get("reset", False)
    shown = {part: {} if reset else dict(old.picture[part]) for part in ("frames", "cards")}
    for part, items in shown.items():
        items.update(delta.get(part, {}))
        assert items == new.picture[part]
    assert delta.get("order", old.picture["order"]) == new.picture["order"]
    assert delta.get("head", old.picture["head"]) == new.picture["head"]


def test_nothing_is_told_where_nothing_has_changed() -> None:
    old = Snapshot(view_of(research().graph()), (1,), None)
    new = Snapshot(view_of(research().graph()), (2,), old)
    assert new.revision == old.revision
    assert set(new.since(old.revision)) == {"schema", "revision", "now_ms"}


def test_only_the_card_that_changed_is_told() -> None:
    scene = research()
    old = Snapshot(view_of(scene.graph()), (1,), None)
    scene.add("late", "tool", "e1", at=21, to=22, name="execute_tool late")
    new = Snapshot(view_of(scene.graph()), (2,), old)
    assert set(new.since(old.revision)["cards"]) == {"one"}


def test_many_calls_of_an_agent_keep_the_worst_and_count_the_rest() -> None:
    scene = Scene()
    scene.add("root", "workflow", at=0, to=90)
    step(scene, "one", 1, "Much", parent="root", at=0, to=90)
    scene.add("e", "agent", "one", at=0, to=90, agent="engineer")
    for number in range(20):
        llm(scene, f"c{number}", "e", at=number, to=number + 1, status="failed" if number in (3, 7) else "completed")
    name, _, shapes, more, failed = draw(view_of(scene.graph()))["cards"]["one"]["rows"][0]
    assert (name, more, failed) == ("engineer", 15, 0)
    assert {shape[0] for shape in shapes} >= {"c3", "c7"}
    assert [shape[3] for shape in shapes] == sorted(shape[3] for shape in shapes)


def test_failures_are_as_many_as_the_head_says() -> None:
    view = view_of(research().graph())
    picture = draw(view)
    assert sum(len(card["failed"]) for card in picture["cards"].values()) == picture["head"]["errors"] == 1


def test_turns_beside_the_steps_share_a_card_named_after_their_agents() -> None:
    cards = draw(view_of(research().graph()))["cards"]
    beside = [card for card in cards.values() if card["kind"] == "group"]
    assert [card["label"] for card in beside] == ["planner"]
    assert beside[0]["id"] == "group-planner"


def test_unattached_nodes_stand_in_a_frame_of_their_own() -> None:
    scene = research()
    scene.add("lost", "tool", "nobody", at=5, to=6, name="execute_tool lost")
    picture = draw(view_of(scene.graph()))
    assert picture["frames"]["unattached"]["label"] == "Unattached"
    assert picture["cards"]["group-lost"]["frame"] == "unattached"


def test_wait_for_a_person_and_an_idle_night_are_pauses_of_their_kinds() -> None:
    hour = 3600.0
    scene = Scene(completed=START + round(30 * hour) * SECOND)
    scene.add("root", "workflow", at=0, to=30 * hour)
    llm(scene, "a", "root", at=0, to=60)
    scene.add("ask", "approval", "root", at=60, to=2 * hour)
    llm(scene, "b", "root", at=2 * hour, to=3 * hour)
    llm(scene, "c", "root", at=20 * hour, to=30 * hour)
    found = [((start - START) / 1e9, (end - START) / 1e9, kind) for start, end, kind in pauses(view_of(scene.graph()))]
    assert found == [(60, 2 * hour, "wait"), (3 * hour, 20 * hour, "idle")]


def test_picture_holds_no_hidden_span_but_counts_it() -> None:
    scene = research()
    scene.add("http", NodeKind.SPAN, "c1", at=15, to=16, name="POST")
    picture = draw(view_of(scene.graph()))
    assert picture["head"]["hidden"] == 1
    assert "http" not in orjson.dumps(picture).decode()
