"""What is drawn from the view: the map's outline, the exports, the comparison."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given, settings

from cmbagent_otel.errors import UnknownRunError
from cmbagent_otel.query.build import build_view
from cmbagent_otel.query.compare import Side, as_text, compare, find_node
from cmbagent_otel.query.document import run_document, to_json
from cmbagent_otel.query.export import dot, mermaid
from cmbagent_otel.query.outline import outline
from cmbagent_otel.query.rows import RunGraph
from cmbagent_otel.query.view import Node, RunView
from tests.query.scenes import SECOND, START, Scene, code, llm, research, step
from tests.query.test_view_properties import NOW, graphs


def view_of(scene: Scene) -> RunView:
    return build_view(scene.graph(), now_unix_nano=START + 100 * SECOND)


# -- outline -------------------------------------------------------------------------------------------------


@settings(deadline=None)
@given(graphs())
def test_every_node_has_one_place_in_the_outline(graph: RunGraph) -> None:
    view = build_view(graph, now_unix_nano=NOW)
    assert sorted(node.id for node in outline(view).nodes()) == sorted(row.id for row in graph.nodes)


def test_phases_are_bands_attempts_are_cards_and_agents_are_rows() -> None:
    bands = outline(view_of(research())).bands
    assert [band.phase and band.phase.label for band in bands] == ["planning", "control"]
    planning, control = bands
    assert [column.step for column in planning.columns] == [None]
    assert [row.name for row in planning.columns[0].cards[0].rows] == ["planner"]
    assert [len(column.cards) for column in control.columns] == [1, 2]
    engineer, judge = control.columns[1].cards[1].rows
    assert (engineer.name, [call.id for call in engineer.calls], engineer.status) == (
        "engineer",
        ["c3", "x3"],
        "completed",
    )
    assert (judge.name, [call.id for call in judge.calls]) == ("plot_judge", ["ask"])
    assert control.columns[1].cards[0].rows[0].status == "failed"


def test_a_program_without_phases_has_one_band_and_one_card() -> None:
    scene = Scene()
    scene.add("root", "workflow")
    for number in range(3):
        agent = scene.add(f"turn{number}", "agent", "root", agent="engineer", at=number)
        llm(scene, f"call{number}", agent, at=number)
    (band,) = outline(view_of(scene)).bands
    (column,) = band.columns
    (row,) = column.cards[0].rows
    assert (row.name, len(row.turns), len(row.calls)) == ("engineer", 3, 3)


# -- exports -------------------------------------------------------------------------------------------------

HOSTILE = '"]:::x\n end <script>alert(1)</script> `md` [a](b) %%{init}%% #quot; \\" -->|x| {b} | ; " ] \x1b[31m'


def test_mermaid_draws_steps_in_their_phases_with_the_redo() -> None:
    text = mermaid(view_of(research()))
    assert text.startswith("flowchart LR\n")
    assert 'subgraph p1["control"]' in text
    assert "  p0 --> p1\n" in text
    assert "  n1 --> n2\n" in text
    assert '  n2 -. "redo after failure: Deconvolve the beam first" .-> n3\n' in text
    assert text.count(":::failed") == 1


def test_dot_draws_the_same() -> None:
    text = dot(view_of(research()))
    assert text.startswith('digraph "Measure the spectral index" {\n')
    assert text.count("subgraph cluster_") == 2
    assert 'n2 -> n3 [style=dashed, color="#a35a00", label="redo after failure: Deconvolve the beam first"];' in text
    assert text.rstrip().endswith("}")


def test_a_long_run_is_told_by_its_steps_alone() -> None:
    scene = research()
    for number in range(200):
        llm(scene, f"more{number}", "e3", at=61)
    text = mermaid(view_of(scene))
    assert "model call" not in text
    assert "2 Power spectrum" in text


@pytest.mark.parametrize("place", ["goal", "phase", "agent", "hypothesis"])
def test_what_a_run_says_is_text_in_every_export_and_never_syntax(place: str) -> None:
    def drawn(said: str) -> RunView:
        scene = Scene(task=said)
        scene.add("p", "control", name=said if place == "phase" else "phase control", meta={"kind": "phase"})
        step(scene, "s", 1, said if place == "goal" else "Goal", parent="p")
        scene.add("a", "agent", "s", agent=said if place == "agent" else "engineer")
        why = {"source_node_id": "s", "hypothesis": said if place == "hypothesis" else "Why", "step_number": 1}
        scene.add("r", "branch_point", "p", at=2, attempt=2, meta=why)
        return view_of(scene)

    for export, quoted in ((mermaid, r'"[^"\n]*"'), (dot, r'"(?:[^"\\\n]|\\.)*"')):
        harmless, hostile = export(drawn("Harmless")), export(drawn(HOSTILE))
        assert re.sub(quoted, '""', hostile) == re.sub(quoted, '""', harmless)
        assert "\x1b" not in hostile
    assert not set(mermaid(drawn(HOSTILE)).replace("<br/>", "")) & set("<`{}|\\")


@settings(deadline=None)
@given(graphs())
def test_every_run_can_be_exported(graph: RunGraph) -> None:
    view = build_view(graph, now_unix_nano=NOW)
    assert mermaid(view).startswith("flowchart LR")
    assert dot(view).endswith("}\n")
    json.loads(to_json(run_document(view)))


# -- compare -------------------------------------------------------------------------------------------------


def nothing_read(_node: Node) -> Mapping[str, Any]:
    return {}


@pytest.mark.parametrize(
    ("name", "node_id"),
    [("2", "redo"), ("2.1", "two"), ("2.2", "redo"), ("1", "one"), ("two", "two"), ("step_1", "one"), ("plann", None)],
)
def test_a_part_of_a_run_is_found_by_number_id_or_short_id(name: str, node_id: str | None) -> None:
    view = view_of(research())
    if node_id is None:
        with pytest.raises(UnknownRunError, match="More than one node"):
            find_node(view, name)
    else:
        assert find_node(view, name).id == node_id


@pytest.mark.parametrize("name", ["9", "2.7", "nowhere", ""])
def test_a_part_that_is_not_there_is_refused_with_the_steps(name: str) -> None:
    with pytest.raises(UnknownRunError, match="Its steps are 1, 2"):
        find_node(view_of(research()), name)


def test_attempts_are_compared_by_outcome_calls_and_text() -> None:
    view = view_of(research())
    texts = {"x2": {"code": "a = 1\nb = 2\n", "output": "no"}, "x3": {"code": "a = 1\nb = 3\n", "output": "no"}}
    found = compare(Side(view, view.nodes["two"]), Side(view, view.nodes["redo"]), lambda node: texts.get(node.id, {}))
    differing = {fact.name for fact in found.facts if fact.differs}
    assert differing == {"status", "duration", "redos", "errors", "hypothesis"}
    assert [pair.change for pair in found.calls] == ["same", "changed", "added"]
    (text,) = found.texts
    assert text.title == "engineer, python: code"
    assert text.lines[-2:] == ("-b = 2", "+b = 3")


def test_runs_are_compared_step_by_step() -> None:
    left = view_of(research())
    scene = research()
    step(scene, "three", 3, "Write it up", at=91, to=95)
    code(scene, "x4", "three", exit_code=0, at=92)
    found = compare(Side(left), Side(view_of(scene)), nothing_read)
    assert [(pair.left and pair.left.id, pair.right and pair.right.id) for pair in found.plan] == [
        ("one", "one"),
        ("redo", "redo"),
        (None, "three"),
    ]
    assert [pair.change for pair in found.calls].count("added") == 1


def test_a_run_compared_with_itself_differs_in_nothing() -> None:
    view = view_of(research())
    found = compare(Side(view), Side(view), nothing_read)
    assert not any(fact.differs for fact in found.facts)
    assert {pair.change for pair in found.plan} == {"same"}
    assert found.texts == ()


def test_content_is_text_whatever_its_form() -> None:
    assert as_text("x") == "x"
    assert as_text([{"code": "a"}, {"code": "b"}]) == "a\nb"
    assert as_text(None) == ""
    assert '"value"' in as_text([1, {"other": 2}])
