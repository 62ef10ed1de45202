"""One span in, its node, edges and events out."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cmbagent_otel import semconv
from cmbagent_otel.graph.mapping import map_span
from cmbagent_otel.semconv import NodeKind, NodeType, Operation
from cmbagent_otel.spans.record import SpanEvent, SpanLink, SpanRecord, default_run_id, node_id

TRACE = "0af7651916cd43dd8448eb211c80319c"
SPAN = "b7ad6b7169203331"
PARENT = "00f067aa0ba902b7"
SECRET = "the beam is 5 arcmin"


def span(attributes: dict[str, Any], **changes: Any) -> SpanRecord:
    return SpanRecord(
        TRACE,
        SPAN,
        PARENT,
        "a name that means nothing",
        "INTERNAL",
        1_000,
        2_000,
        "UNSET",
        "",
        attributes,
        resource={semconv.SERVICE_INSTANCE_ID: "host-1", semconv.SERVICE_NAME: "science"},
    )._replace(**changes)


def of(kind: str, node_type: str | None = None, /, **attributes: Any) -> dict[str, Any]:
    return {semconv.NODE_TYPE: node_type or kind, semconv.NODE_KIND: kind, semconv.RUN_ID: "run-1", **attributes}


def test_the_node_id_holds_the_span_id_and_half_of_the_trace_id() -> None:
    assert node_id(TRACE, SPAN) == "8448eb21-1c80-319c-b7ad-6b7169203331"
    assert default_run_id(TRACE) == "0af76519-16cd-43dd-8448-eb211c80319c"


def test_a_span_that_names_no_run_is_filed_under_its_trace() -> None:
    node = map_span(span({semconv.NODE_TYPE: NodeType.AGENT})).node
    assert (node.run_id, node.run_is_stated) == (default_run_id(TRACE), False)
    named = map_span(span(of(NodeKind.AGENT))).node
    assert (named.run_id, named.run_is_stated) == ("run-1", True)


@pytest.mark.parametrize(
    ("kind", "ended", "status", "word"),
    [
        (NodeKind.AGENT, False, "UNSET", "running"),
        (NodeKind.APPROVAL, False, "UNSET", "waiting_approval"),
        (NodeKind.APPROVAL, True, "UNSET", "completed"),
        (NodeKind.TOOL, True, "OK", "completed"),
        (NodeKind.TOOL, True, "ERROR", "failed"),
    ],
)
def test_the_status_word_follows_from_kind_end_and_span_status(kind: str, ended: bool, status: str, word: str) -> None:
    mapped = map_span(span(of(kind), end_time_unix_nano=2_000 if ended else None, status=status))
    assert mapped.node.status == word
    assert mapped.events[0].status == word


def test_a_root_tells_what_the_run_is() -> None:
    attributes = of(
        NodeKind.WORKFLOW,
        **{semconv.WORKFLOW_NAME: "one_shot", semconv.WORKFLOW_TASK: "measure H0", semconv.SESSION_ID: "s-1"},
    )
    mapped = map_span(span(attributes, parent_span_id=None))
    assert mapped.node.parent_node_id is None
    assert dict(mapped.node.meta) == {
        "kind": "workflow",
        "label": "one_shot",
        "mode": "one_shot",
        "task": "measure H0",
        "session_id": "s-1",
        "owner": "host-1",
        "service": "science",
    }
    assert mapped.events == ()


def test_a_phase_is_typed_by_its_name_and_has_a_row_for_its_start_and_its_end() -> None:
    attributes = of(NodeKind.PHASE, "hitl_control", **{semconv.PHASE_TYPE: "hitl_control"})
    running = map_span(span(attributes, end_time_unix_nano=None))
    ended = map_span(span(attributes))
    assert ended.node.node_type == "hitl_control"
    assert (ended.node.meta["id"], ended.node.meta["kind"]) == ("hitl_control", "phase")
    assert [(event.event_type, event.event_subtype) for event in ended.events] == [
        ("state_transition", "start"),
        ("state_transition", "end"),
    ]
    assert running.events == ended.events[:1]
    assert ended.events[0].id == ended.node.id != ended.events[1].id


def test_a_redo_is_a_branch_point_with_its_hypothesis_source_and_conditional_edge() -> None:
    source, previous = node_id(TRACE, "1" * 16), node_id(TRACE, "2" * 16)
    attributes = of(
        NodeKind.STEP,
        NodeType.BRANCH_POINT,
        **{
            semconv.STEP_NUMBER: 5,
            semconv.STEP_ATTEMPT: 3,
            semconv.REDO_NUMBER: 2,
            semconv.REDO_BRANCH_NAME: "redo_2",
            semconv.REDO_HYPOTHESIS: "Deconvolve first",
            semconv.REDO_REASON: "feedback",
            semconv.REDO_SOURCE: source,
        },
    )
    link = SpanLink(TRACE, "2" * 16, {semconv.LINK_KIND: semconv.LINK_REDO_OF})
    mapped = map_span(span(attributes, links=(SpanLink(TRACE, "3" * 16, {}), link)))
    assert (mapped.node.node_type, mapped.node.agent, mapped.node.attempt) == ("branch_point", "branch_redo_2", 3)
    assert mapped.node.meta["branch_name"] == "redo_2"
    assert mapped.node.meta["hypothesis"] == "Deconvolve first"
    assert mapped.node.meta["source_node_id"] == source
    assert mapped.node.meta["previous_node_id"] == previous
    assert [tuple(edge) for edge in mapped.edges] == [
        (previous, mapped.node.id, "run-1", "conditional", "branch_redo_2")
    ]


def test_lineage_is_read_from_the_later_span_alone_and_never_leads_to_itself() -> None:
    before, turn = node_id(TRACE, "1" * 16), node_id(TRACE, "2" * 16)
    itself = node_id(TRACE, SPAN)
    attributes = of(
        NodeKind.AGENT,
        **{
            semconv.DAG_DEPENDS_ON: (before, itself, "not an id", 7),
            semconv.DAG_DEPENDENCY_TYPE: "parallel",
            semconv.HANDOFF_FROM: turn,
        },
    )
    assert [(edge.from_node_id, edge.dependency_type) for edge in map_span(span(attributes)).edges] == [
        (before, "parallel"),
        (turn, "handoff"),
    ]


def test_a_model_call_has_tokens_a_price_and_one_cost_record() -> None:
    attributes = of(
        NodeKind.LLM,
        **{
            semconv.REQUEST_MODEL: "gpt-4o",
            semconv.PROVIDER_NAME: "openai",
            semconv.USAGE_INPUT_TOKENS: 1000,
            semconv.USAGE_OUTPUT_TOKENS: 100,
            semconv.AGENT_NAME: "engineer",
        },
    )
    time = 1_790_000_000_000_000_000
    mapped = map_span(span(attributes, start_time_unix_nano=time, end_time_unix_nano=time + 1))
    assert (mapped.node.input_tokens, mapped.node.output_tokens, mapped.node.cost_usd) == (1000, 100, 0.0035)
    (cost,) = mapped.costs
    assert (cost.source_id, cost.model, cost.prompt_tokens, cost.completion_tokens, cost.cost_usd) == (
        mapped.node.id,
        "gpt-4o",
        1000,
        100,
        0.0035,
    )
    assert mapped.events[0].meta["tokens"] == 1100
    assert map_span(span(attributes, end_time_unix_nano=None)).costs == ()


def test_a_model_that_no_list_knows_has_no_price_and_a_cached_answer_costs_nothing() -> None:
    tokens = {semconv.USAGE_INPUT_TOKENS: 10, semconv.USAGE_OUTPUT_TOKENS: 1}
    unknown = map_span(span(of(NodeKind.LLM, **{semconv.REQUEST_MODEL: "my-own-model"}, **tokens)))
    assert unknown.node.cost_usd is None
    assert unknown.costs[0].cost_usd is None
    cached = map_span(span(of(NodeKind.LLM, **{semconv.REQUEST_MODEL: "gpt-4o", semconv.LLM_CACHED: True}, **tokens)))
    assert cached.node.cost_usd == 0
    assert cached.costs == ()


def test_tokens_on_anything_but_a_model_call_are_not_counted() -> None:
    attributes = of(NodeKind.AGENT, **{semconv.USAGE_INPUT_TOKENS: 1000, semconv.USAGE_OUTPUT_TOKENS: 100})
    mapped = map_span(span(attributes))
    assert (mapped.node.input_tokens, mapped.costs) == (None, ())


@pytest.mark.parametrize(
    ("kind", "event_type"),
    [
        (NodeKind.AGENT, "agent_call"),
        (NodeKind.LLM, "llm_call"),
        (NodeKind.TOOL, "tool_call"),
        (NodeKind.CODE, "code_exec"),
        (NodeKind.APPROVAL, "approval_requested"),
    ],
)
def test_a_call_has_one_event_row_that_moves_from_start_to_complete_or_error(kind: str, event_type: str) -> None:
    rows = [
        map_span(span(of(kind), end_time_unix_nano=None)).events,
        map_span(span(of(kind))).events,
        map_span(span(of(kind), status="ERROR")).events,
    ]
    assert [[(row.event_type, row.event_subtype) for row in events] for events in rows] == [
        [(event_type, "start")],
        [(event_type, "complete")],
        [(event_type, "error")],
    ]
    assert {row.id for events in rows for row in events} == {node_id(TRACE, SPAN)}


def test_messages_handoffs_and_exceptions_are_rows_of_their_own() -> None:
    given_id = "12345678-1234-1234-1234-123456789abc"
    events = (
        SpanEvent(
            semconv.MESSAGE_EVENT,
            1_100,
            {
                semconv.EVENT_ID: given_id,
                semconv.MESSAGE_SENDER: "planner",
                semconv.MESSAGE_RECIPIENT: "engineer",
                semconv.MESSAGE_CONTENT: SECRET,
            },
        ),
        SpanEvent(
            semconv.HANDOFF_EVENT,
            1_200,
            {
                semconv.HANDOFF_SOURCE_AGENT: "planner",
                semconv.HANDOFF_TARGET_AGENT: "engineer",
                semconv.HANDOFF_KIND: "llm",
            },
        ),
        SpanEvent(semconv.EXCEPTION_EVENT, 1_300, {semconv.EXCEPTION_TYPE: "ValueError"}),
        SpanEvent("something else", 1_400, {}),
    )
    mapped = map_span(span(of(NodeKind.AGENT, **{semconv.AGENT_NAME: "planner"}), events=events))
    assert [(row.event_type, row.event_subtype, row.time_unix_nano) for row in mapped.events[1:]] == [
        ("agent_call", "message", 1_100),
        ("handoff", "transfer", 1_200),
        ("error", "ValueError", 1_300),
    ]
    message, handoff, _ = mapped.events[1:]
    assert message.id == given_id
    assert message.inputs == {"sender": "planner", "recipient": "engineer", "content": SECRET}
    assert handoff.inputs == {"from_agent": "planner", "to_agent": "engineer"}
    assert handoff.meta == {"reason": "llm"}


@pytest.mark.parametrize(
    ("operation", "kind"),
    [
        (Operation.CHAT, NodeKind.LLM),
        (Operation.INVOKE_AGENT, NodeKind.AGENT),
        (Operation.EXECUTE_TOOL, NodeKind.TOOL),
        (Operation.EXECUTE_CODE, NodeKind.CODE),
        (Operation.AWAIT_HUMAN_INPUT, NodeKind.APPROVAL),
        (None, NodeKind.SPAN),
    ],
)
def test_a_foreign_span_is_known_by_its_operation_never_by_its_name(operation: str | None, kind: str) -> None:
    attributes = {} if operation is None else {semconv.OPERATION_NAME: operation}
    assert map_span(span(attributes, name="phase planning")).node.node_type == kind


@pytest.mark.parametrize("said", [{semconv.OPERATION_NAME: "chat"}, {semconv.OPENINFERENCE_SPAN_KIND: "LLM"}])
def test_a_foreign_span_within_a_model_call_of_ours_is_not_counted_again(said: dict[str, Any]) -> None:
    tokens = {semconv.USAGE_INPUT_TOKENS: 11, semconv.USAGE_OUTPUT_TOKENS: 7, semconv.REQUEST_MODEL: "gpt-4o-mini"}
    alone, inner = (map_span(span({**said, **tokens, **mark})) for mark in ({}, {semconv.LLM_INNER: True}))
    assert alone.node.node_type == NodeType.LLM
    assert len(alone.costs) == 1
    assert inner.node.node_type == NodeType.SPAN
    assert inner.node.input_tokens is None
    assert inner.costs == ()


def _texts(value: object) -> list[str]:
    if isinstance(value, str):
        return [value]
    if isinstance(value, dict):
        return [text for pair in value.items() for part in pair for text in _texts(part)]
    if isinstance(value, list | tuple):
        return [text for part in value for text in _texts(part)]
    return []


@pytest.mark.parametrize("kind", [NodeKind.AGENT, NodeKind.LLM, NodeKind.TOOL, NodeKind.CODE, NodeKind.APPROVAL])
def test_content_lives_in_the_event_only_and_nowhere_when_it_is_off(kind: str) -> None:
    content = dict.fromkeys(semconv.CONTENT_KEYS, SECRET)
    events = tuple(
        SpanEvent(name, 1_500, content)
        for name in (semconv.MESSAGE_EVENT, semconv.EXCEPTION_EVENT, semconv.HANDOFF_EVENT)
    )
    record = span(of(kind, **content), events=events, status="ERROR", status_message=SECRET)
    opened, shut = map_span(record, content=True), map_span(record, content=False)
    assert SECRET in _texts(opened.events)
    assert SECRET not in _texts([opened.node, opened.edges, opened.costs])
    assert SECRET not in _texts(shut)


_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
_ours = sorted(value for name, value in vars(semconv).items() if name.isupper() and isinstance(value, str))


@given(attributes=st.dictionaries(st.sampled_from(_ours), _values, max_size=12), ended=st.booleans())
def test_whatever_the_attributes_hold_a_span_becomes_one_node(attributes: dict[str, Any], ended: bool) -> None:
    events = (SpanEvent(semconv.MESSAGE_EVENT, 1, attributes), SpanEvent(semconv.EXCEPTION_EVENT, 1, attributes))
    links = (SpanLink(TRACE, "1" * 16, attributes),)
    record = span(attributes, events=events, links=links, end_time_unix_nano=2 if ended else None)
    mapped = map_span(record)
    assert mapped.node.id == node_id(TRACE, SPAN)
    assert map_span(record) == mapped
    assert len({event.id for event in mapped.events}) >= 1 or not mapped.events
