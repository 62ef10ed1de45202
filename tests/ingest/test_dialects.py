"""Traces that other instrumentations made of real runs, recorded; `tests/stack` makes them anew."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from sqlalchemy import Engine, func, select

from cmbagent_otel import semconv
from cmbagent_otel.graph.dialects import translate
from cmbagent_otel.graph.mapping import map_span
from cmbagent_otel.graph.record import SpanGraph
from cmbagent_otel.semconv import NodeKind
from cmbagent_otel.spans.from_otlp import traces_from_otlp
from cmbagent_otel.spans.record import SpanRecord
from cmbagent_otel.store.schema import cost_records, dag_edges, dag_nodes
from cmbagent_otel.store.writer import Writer
from tests.invariants import check_invariants

RECORDED = Path(__file__).parent / "foreign"

# What the scripted model server billed, and what the programs did.
TRUTH = {
    "ag2_classic": (114, 26, {"workflow": 1, "agent": 6, "llm": 3, "tool": 1, "code_exec": 1, "approval": 1}),
    "ag2_next": (180, 30, {"agent": 2, "llm": 5, "tool": 2, "code_exec": 1, "span": 6}),
    "openinference_ag2": (114, 26, {"workflow": 1, "agent": 6, "llm": 3, "tool": 1}),
    "genai_plain": (142, 17, {"workflow": 1, "agent": 1, "llm": 2, "tool": 1, "span": 1}),
}


def spans_of(program: str) -> list[SpanRecord]:
    decoded = traces_from_otlp((RECORDED / f"{program}.json").read_bytes(), json=True)
    assert not decoded.rejects
    return [record for record in decoded.records if isinstance(record, SpanRecord)]


def graphs_of(program: str) -> list[SpanGraph]:
    return [map_span(span) for span in spans_of(program)]


def only(graphs: list[SpanGraph], node_type: str) -> SpanGraph:
    (found,) = [graph for graph in graphs if graph.node.node_type == node_type]
    return found


@pytest.mark.parametrize("program", TRUTH)
def test_a_foreign_run_becomes_a_sound_graph_with_tokens_counted_once(engine: Engine, program: str) -> None:
    result = Writer(engine).write(spans_of(program))
    assert result.rejected == 0
    check_invariants(engine)
    input_tokens, output_tokens, kinds = TRUTH[program]
    nodes = dag_nodes.c
    with engine.connect() as connection:
        sums = connection.execute(select(func.sum(nodes.input_tokens), func.sum(nodes.output_tokens))).one()
        costs = connection.execute(
            select(func.sum(cost_records.c.prompt_tokens), func.sum(cost_records.c.completion_tokens))
        ).one()
        found = Counter(connection.scalars(select(nodes.node_type)))
        edges = connection.scalar(select(func.count()).select_from(dag_edges))
    assert tuple(sums) == tuple(costs) == (input_tokens, output_tokens)
    assert found == kinds
    assert edges == 0, "no dialect states what follows what, and nothing is guessed"


def test_classic_code_keeps_its_exit_code() -> None:
    node = only(graphs_of("ag2_classic"), NodeKind.CODE).node
    assert (node.agent, node.meta["exit_code"], node.meta["error_type"]) == ("student", 3, "CodeExecutionError")


def test_classic_human_input_is_content_of_an_approval() -> None:
    (event,) = only(graphs_of("ag2_classic"), NodeKind.APPROVAL).events
    assert event.outputs == {"response": "exit"}


def test_classic_finish_reasons_are_a_list_though_they_came_as_text() -> None:
    models = [graph.node for graph in graphs_of("ag2_classic") if graph.node.node_type == NodeKind.LLM]
    assert [list(node.meta["finish_reasons"]) for node in models] == [["tool_calls"], ["stop"], ["stop"]]


def test_a_chat_that_nothing_encloses_is_the_workflow_of_its_trace() -> None:
    for program in ("ag2_classic", "openinference_ag2"):
        root = only(graphs_of(program), NodeKind.WORKFLOW).node
        assert (root.parent_node_id, root.meta["mode"]) == (None, "student")


def test_usage_that_ag2_repeats_is_no_model_call() -> None:
    usages = [span for span in spans_of("ag2_next") if span.name.startswith("record_usage")]
    assert len(usages) == 6
    assert {str((translate(span) or {})[semconv.NODE_TYPE]) for span in usages} == {NodeKind.SPAN}


def test_spend_that_ag2_shows_by_usage_alone_is_a_model_call() -> None:
    usage = next(span for span in spans_of("ag2_next") if span.name == "record_usage model_call")
    compaction = usage._replace(attributes={**usage.attributes, semconv.AG2_USAGE_KIND: "compaction"})
    assert map_span(compaction).node.input_tokens == usage.attributes[semconv.USAGE_INPUT_TOKENS]


def test_code_of_ag2_comes_as_a_tool_and_is_code() -> None:
    graph = only(graphs_of("ag2_next"), NodeKind.CODE)
    assert graph.events[0].inputs == {"arguments": {"code": "print(33.5)"}, "tool_name": "run_code"}


def test_openinference_models_tools_and_agents_have_their_names() -> None:
    graphs = graphs_of("openinference_ag2")
    assert only(graphs, NodeKind.TOOL).node.meta["tool_name"] == "volume"
    model = next(graph.node for graph in graphs if graph.node.node_type == NodeKind.LLM)
    assert (model.meta["model"], model.meta["provider"]) == ("gpt-4o-mini", "openai")
    assert {graph.node.agent for graph in graphs if graph.node.node_type == NodeKind.AGENT} == {"astronomer", "student"}


def test_names_that_the_conventions_had_before_are_read() -> None:
    models = [graph.node for graph in graphs_of("genai_plain") if graph.node.node_type == NodeKind.LLM]
    assert {(node.input_tokens, node.output_tokens, node.meta["provider"]) for node in models} == {
        (100, 10, "openai"),
        (42, 7, "openai"),
    }


def test_a_span_that_no_dialect_knows_is_kept_as_a_span() -> None:
    http = next(span for span in spans_of("genai_plain") if span.name == "HTTP GET")
    assert translate(http) is None
    assert map_span(http).node.node_type == NodeKind.SPAN


@pytest.mark.parametrize("program", TRUTH)
def test_with_the_gate_off_no_foreign_content_is_kept(program: str) -> None:
    for span in spans_of(program):
        graph = map_span(span, content=False)
        assert "universe" not in repr(graph)
        assert "33.5" not in repr(graph)
