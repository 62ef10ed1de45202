"""Whatever the rows are, in whatever order: every node is drawn once, and the picture is the same."""

from __future__ import annotations

import random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from cmbagent_otel.cli.show import Filter, lines
from cmbagent_otel.query.build import build_view
from cmbagent_otel.query.document import run_document, to_json
from cmbagent_otel.query.rows import EdgeRow, NodeRow, RunGraph, RunRow
from tests.query.scenes import SECOND, START, Scene

IDS = [f"n{number}" for number in range(12)]
NOW = START + 1000 * SECOND

maybe_time = st.none() | st.integers(0, 60).map(lambda seconds: START + seconds * SECOND)
maybe_id = st.none() | st.sampled_from([*IDS, "gone"])
hostile = st.sampled_from(["", "plain", "\x1b[2J\x1b]0;title\x07", "<img src=x>", "a\nb", "\ud800", "x" * 300])
calls = ["llm", "tool", "code_exec", "approval", "speaker_selection", "holodeck"]
types = st.sampled_from(
    ["workflow", "planning", "step", "branch_point", "agent", "sub_agent", "chat", "span", "placeholder", *calls]
)
statuses = st.sampled_from(["pending", "running", "waiting_approval", "interrupted", "completed", "failed", "odd"])


@st.composite
def node_rows(draw: st.DrawFn, identifier: str) -> NodeRow:
    return NodeRow(
        identifier,
        draw(maybe_id),
        draw(types),
        draw(st.none() | hostile),
        draw(statuses),
        draw(st.none() | st.integers(0, 3)),
        draw(st.sampled_from([None, "trace"])),
        draw(st.none() | st.sampled_from(["s1", "s2"])),
        draw(st.none() | hostile),
        draw(maybe_time),
        draw(maybe_time),
        draw(st.none() | st.integers(0, 10**20)),
        draw(st.none() | st.integers(0, 10**6)),
        draw(st.none() | st.just(0.25)),
        draw(st.none() | st.integers(-1, 4)),
    )


metas = st.fixed_dictionaries(
    {},
    optional={
        "kind": st.sampled_from(["phase", "step", "odd"]),
        "step_number": st.integers(1, 2) | st.just("one"),
        "source_node_id": maybe_id,
        "hypothesis": hostile,
        "attempt": st.integers(0, 3),
        "exit_code": st.integers(-9, 1),
        "label": hostile,
    },
)


@st.composite
def graphs(draw: st.DrawFn) -> RunGraph:
    identifiers = draw(st.lists(st.sampled_from(IDS), unique=True))
    nodes = tuple(draw(node_rows(identifier)) for identifier in identifiers)
    edges = tuple(
        EdgeRow(*ends, draw(st.sampled_from(["sequential", "conditional", "handoff"])))
        for ends in draw(st.lists(st.tuples(st.sampled_from(IDS), st.sampled_from(IDS)), max_size=6))
    )
    run = RunRow("run", "run", draw(hostile), draw(statuses), draw(maybe_time), draw(maybe_time), task=draw(hostile))
    return RunGraph(run, nodes, edges, {one: draw(metas) for one in identifiers if draw(st.booleans())})


@settings(deadline=None)
@given(graphs())
def test_every_node_is_drawn_exactly_once(graph: RunGraph) -> None:
    view = build_view(graph, now_unix_nano=NOW)
    drawn = [node.id for node in view.walk()]
    assert sorted(drawn) == sorted(row.id for row in graph.nodes)
    assert view.totals.nodes == len(graph.nodes)
    for node in view.walk():
        assert node.parent is None or node in node.parent.children
        assert node.depth == (0 if node.parent is None else node.parent.depth + 1)
    attempts = [attempt.id for step in view.steps for attempt in step.attempts]
    assert len(attempts) == len(set(attempts))
    for step in view.steps:
        numbers = [attempt.attempt for attempt in step.attempts]
        assert numbers == sorted(set(numbers))


@settings(deadline=None)
@given(graphs(), st.randoms(use_true_random=False))
def test_any_order_of_the_rows_gives_the_same_view(graph: RunGraph, chance: random.Random) -> None:
    nodes, edges = list(graph.nodes), list(graph.edges)
    chance.shuffle(nodes)
    chance.shuffle(edges)
    metas = dict(chance.sample(sorted(graph.metas.items()), len(graph.metas)))
    shuffled = RunGraph(graph.run, tuple(nodes), tuple(edges), metas)
    assert document(graph) == document(shuffled)


@settings(deadline=None)
@given(graphs())
def test_the_picture_holds_every_node_that_is_not_hidden_and_nothing_that_a_terminal_obeys(graph: RunGraph) -> None:
    view = build_view(graph, now_unix_nano=NOW)
    everything = list(lines(view, Filter(hidden=True)))
    redone = sum(len(step.attempts) - 1 for step in view.steps)
    headings = len(everything) - len(graph.nodes) - redone
    assert headings == bool(view.unattached)
    assert len(list(lines(view, Filter()))) == len(everything) - view.hidden
    text = "".join(line.left.plain for line in everything)
    assert "\x1b" not in text
    assert "\n" not in text


@settings(deadline=None)
@given(graphs())
def test_the_document_is_json_whatever_the_run_says(graph: RunGraph) -> None:
    assert to_json(document(graph)).startswith("{")


def document(graph: RunGraph) -> dict[str, Any]:
    return run_document(build_view(graph, now_unix_nano=NOW))


def test_ten_thousand_levels_are_no_trouble() -> None:
    scene = Scene()
    parent = None
    for level in range(10_000):
        parent = scene.add(f"n{level}", "agent", parent, at=level, to=20_000)
    view = build_view(scene.graph(), now_unix_nano=NOW)
    assert view.nodes["n9999"].depth == 9_999
    assert len(list(lines(view, Filter()))) == 10_000
    assert to_json(run_document(view)).startswith("{")
