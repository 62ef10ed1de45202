"""The mapping: one span in, its node, edges and events out. A pure function of that span.

Keyed on ``cmbagent.node.type``; for spans that are not ours the dialects say what they are. Never on span
names. Both doors and the writer share it. What needs the tree is settled by the store.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cmbagent_otel import semconv
from cmbagent_otel.graph import cost, dialects, events
from cmbagent_otel.graph.record import CostRecord, EdgeRecord, FileRecord, NodeRecord, SpanGraph
from cmbagent_otel.graph.values import derived_id, integer, is_id, structured
from cmbagent_otel.semconv import EdgeType, NodeKind, NodeType, Status
from cmbagent_otel.spans.record import SpanRecord, default_run_id, node_id

_FACTS: tuple[tuple[str, str], ...] = (
    (semconv.STEP_NUMBER, "step_number"),
    (semconv.STEP_GOAL, "goal"),
    (semconv.STEP_ATTEMPT, "attempt"),
    (semconv.STEP_SUMMARY, "summary"),
    (semconv.STEP_STATUS, "step_status"),
    (semconv.PLAN_STEPS, "plan_steps"),
    (semconv.REDO_NUMBER, "redo_number"),
    (semconv.REDO_BRANCH_NAME, "branch_name"),
    (semconv.REDO_HYPOTHESIS, "hypothesis"),
    (semconv.REDO_REASON, "reason"),
    (semconv.REDO_SOURCE, "source_node_id"),
    (semconv.REDO_OVER_LIMIT, "over_limit"),
    (semconv.PHASE_TYPE, "phase_type"),
    (semconv.PROVIDER_NAME, "provider"),
    (semconv.REQUEST_MODEL, "model"),
    (semconv.RESPONSE_MODEL, "response_model"),
    (semconv.RESPONSE_FINISH_REASONS, "finish_reasons"),
    (semconv.REQUEST_STREAM, "stream"),
    (semconv.LLM_CACHED, "cached"),
    (semconv.LLM_ATTEMPTS, "attempts"),
    (semconv.USAGE_CACHE_READ_INPUT_TOKENS, "cache_read_tokens"),
    (semconv.USAGE_CACHE_WRITE_INPUT_TOKENS, "cache_write_tokens"),
    (semconv.USAGE_REASONING_OUTPUT_TOKENS, "reasoning_tokens"),
    (semconv.TOOL_NAME, "tool_name"),
    (semconv.TOOL_CALL_ID, "tool_call_id"),
    (semconv.TOOL_CALLER, "caller"),
    (semconv.TOOL_EXECUTOR, "executor"),
    (semconv.CODE_LANGUAGE, "language"),
    (semconv.CODE_BLOCKS, "code_blocks"),
    (semconv.CODE_TIMEOUT, "timeout"),
    (semconv.PROCESS_EXIT_CODE, "exit_code"),
    (semconv.AGENT_ACTION, "action"),
    (semconv.CHAT_NAME, "chat"),
    (semconv.CHAT_MANAGER, "manager"),
    (semconv.SPEAKER_SELECTED, "selected"),
    (semconv.SPEAKER_METHOD, "method"),
    (semconv.HANDOFF_KIND, "handoff_kind"),
    (semconv.ERROR_TYPE, "error_type"),
)
"""Attributes that are facts, under the names that readers of ``meta`` use. None of them is content."""


def map_span(span: SpanRecord, *, content: bool = True) -> SpanGraph:
    """Map one span, ended or just started.

    Args:
        span: the span; of a foreign one only what a dialect knows is used.
        content: False leaves out all that people, models and programs said, also that of foreign spans.
    """
    attributes = span.attributes
    if semconv.NODE_TYPE not in attributes:
        attributes = {**attributes, **(dialects.translate(span) or _FOREIGN)}
    node_type = str(attributes[semconv.NODE_TYPE])
    kind = str(attributes.get(semconv.NODE_KIND, node_type))
    node = _node(span, attributes, node_type, kind)
    files = _files(attributes, node)
    return SpanGraph(
        node,
        _edges(attributes, node),
        events.project(span, attributes, node, kind, content=content) + events.files(node, files),
        _costs(attributes, node, kind),
        files,
    )


_FOREIGN: Mapping[str, Any] = {semconv.NODE_TYPE: NodeType.SPAN, semconv.NODE_KIND: NodeKind.SPAN}


def _node(span: SpanRecord, attributes: Mapping[str, Any], node_type: str, kind: str) -> NodeRecord:
    own_id = node_id(span.trace_id, span.span_id)
    stated = attributes.get(semconv.RUN_ID)
    ended = span.end_time_unix_nano is not None
    if not ended:
        status = Status.WAITING_APPROVAL if kind == NodeKind.APPROVAL else Status.RUNNING
    else:
        status = _outcome(span, attributes)
    input_tokens = output_tokens = price = None
    if kind == NodeKind.LLM:
        input_tokens = integer(attributes.get(semconv.USAGE_INPUT_TOKENS))
        output_tokens = integer(attributes.get(semconv.USAGE_OUTPUT_TOKENS))
        price = _price(attributes, input_tokens, output_tokens, span.start_time_unix_nano)
    meta = _meta(span, attributes, kind)
    if input_tokens is not None or output_tokens is not None:
        meta["tokens"] = (input_tokens or 0) + (output_tokens or 0)
    if price is not None:
        meta["cost_usd"] = price
    branch = attributes.get(semconv.REDO_BRANCH_NAME)
    agent = f"branch_{branch}" if node_type == NodeType.BRANCH_POINT else attributes.get(semconv.AGENT_NAME)
    return NodeRecord(
        own_id,
        str(stated) if stated else default_run_id(span.trace_id),
        bool(stated),
        node_id(span.trace_id, span.parent_span_id) if span.parent_span_id else None,
        span.parent_is_remote,
        node_type,
        None if agent is None else str(agent),
        status,
        meta,
        span.trace_id,
        span.span_id,
        span.name,
        span.start_time_unix_nano,
        span.end_time_unix_nano,
        input_tokens,
        output_tokens,
        price,
        integer(attributes.get(semconv.STEP_ATTEMPT)),
    )


def _outcome(span: SpanRecord, attributes: Mapping[str, Any]) -> str:
    if span.status != "ERROR":
        return Status.COMPLETED
    return Status.INTERRUPTED if attributes.get(semconv.ERROR_TYPE) == semconv.INTERRUPTED else Status.FAILED


def _meta(span: SpanRecord, attributes: Mapping[str, Any], kind: str) -> dict[str, Any]:
    meta: dict[str, Any] = {"kind": kind, "label": _label(span, attributes, kind)}
    for key, name in _FACTS:
        value = attributes.get(key)
        if value is not None:
            meta[name] = value
    if kind == NodeKind.STEP:
        number = meta.get("step_number")
        branch = meta.get("branch_name")
        meta["id"] = f"step_{number}" if branch is None else f"step_{number}_{branch}"
        if branch is not None:
            meta["description"] = meta.get("hypothesis")
            previous = _linked(span, semconv.LINK_REDO_OF)
            if previous is not None:
                meta["previous_node_id"] = previous
    elif kind == NodeKind.PHASE:
        meta["id"] = meta.get("phase_type")
    if kind == NodeKind.WORKFLOW or span.parent_span_id is None:
        _root_facts(span, attributes, kind, meta)
    return meta


def _root_facts(span: SpanRecord, attributes: Mapping[str, Any], kind: str, meta: dict[str, Any]) -> None:
    for key, name in (
        (semconv.WORKFLOW_NAME, "mode"),
        (semconv.WORKFLOW_TASK, "task"),
        (semconv.SESSION_ID, "session_id"),
    ):
        value = attributes.get(key)
        if value is not None and (kind == NodeKind.WORKFLOW or name != "mode"):
            meta[name] = str(value)
    for key, name in ((semconv.SERVICE_INSTANCE_ID, "owner"), (semconv.SERVICE_NAME, "service")):
        value = span.resource.get(key)
        if value is not None:
            meta[name] = str(value)
    resumes = _linked(span, semconv.LINK_RESUMES)
    if resumes is not None:
        meta["resumes"] = resumes


_LABELS: dict[str, tuple[str, ...]] = {
    NodeKind.WORKFLOW: (semconv.WORKFLOW_NAME,),
    NodeKind.PHASE: (semconv.PHASE_TYPE,),
    NodeKind.STEP: (semconv.STEP_GOAL,),
    NodeKind.AGENT: (semconv.AGENT_NAME,),
    NodeKind.LLM: (semconv.REQUEST_MODEL, semconv.RESPONSE_MODEL),
    NodeKind.TOOL: (semconv.TOOL_NAME,),
    NodeKind.CODE: (semconv.CODE_LANGUAGE,),
    NodeKind.CHAT: (semconv.CHAT_NAME, semconv.WORKFLOW_NAME),
}


def _label(span: SpanRecord, attributes: Mapping[str, Any], kind: str) -> str:
    for key in _LABELS.get(kind, ()):
        value = attributes.get(key)
        if value:
            return str(value)
    if kind == NodeKind.STEP:
        return f"Step {attributes.get(semconv.STEP_NUMBER)}"
    return span.name


def _linked(span: SpanRecord, kind: str) -> str | None:
    for link in span.links:
        if link.attributes.get(semconv.LINK_KIND) == kind:
            return node_id(link.trace_id, link.span_id)
    return None


def _edges(attributes: Mapping[str, Any], node: NodeRecord) -> tuple[EdgeRecord, ...]:
    dependency_type = str(attributes.get(semconv.DAG_DEPENDENCY_TYPE, EdgeType.SEQUENTIAL))
    stated: list[tuple[str, str, str | None]] = [
        (source, dependency_type, None) for source in _node_ids(attributes.get(semconv.DAG_DEPENDS_ON))
    ]
    if node.node_type == NodeType.BRANCH_POINT:
        stated += [
            (source, EdgeType.CONDITIONAL, node.agent) for source in _node_ids(node.meta.get("previous_node_id"))
        ]
    stated += [(source, EdgeType.HANDOFF, None) for source in _node_ids(attributes.get(semconv.HANDOFF_FROM))]
    return tuple(
        EdgeRecord(source, node.id, node.run_id, kind, condition)
        for source, kind, condition in stated
        if source != node.id
    )


def _node_ids(value: object) -> list[str]:
    found = [value] if isinstance(value, str) else value if isinstance(value, list | tuple) else []
    return [str(item) for item in found if is_id(item)]


def _costs(attributes: Mapping[str, Any], node: NodeRecord, kind: str) -> tuple[CostRecord, ...]:
    if kind != NodeKind.LLM or node.end_time_unix_nano is None or "tokens" not in node.meta:
        return ()
    if attributes.get(semconv.LLM_CACHED):
        return ()
    model = attributes.get(semconv.RESPONSE_MODEL) or attributes.get(semconv.REQUEST_MODEL) or "unknown"
    return (
        CostRecord(
            node.id,
            node.run_id,
            str(model),
            node.agent,
            node.input_tokens or 0,
            node.output_tokens or 0,
            node.cost_usd,
            node.end_time_unix_nano,
        ),
    )


def _price(
    attributes: Mapping[str, Any], input_tokens: int | None, output_tokens: int | None, time_unix_nano: int
) -> float | None:
    if attributes.get(semconv.LLM_CACHED):
        return 0.0
    model = attributes.get(semconv.RESPONSE_MODEL) or attributes.get(semconv.REQUEST_MODEL)
    if model is None or input_tokens is None or output_tokens is None:
        return None
    return cost.price(
        str(model),
        str(attributes.get(semconv.PROVIDER_NAME) or ""),
        input_tokens=input_tokens,
        output_tokens=output_tokens,
        cache_read_tokens=integer(attributes.get(semconv.USAGE_CACHE_READ_INPUT_TOKENS)) or 0,
        time_unix_nano=time_unix_nano,
    )


def _files(attributes: Mapping[str, Any], node: NodeRecord) -> tuple[FileRecord, ...]:
    listed = attributes.get(semconv.CODE_FILES)
    if node.end_time_unix_nano is None or not isinstance(listed, list | tuple):
        return ()
    files = []
    for entry in listed:
        facts = structured(entry)
        if not isinstance(facts, dict) or not isinstance(facts.get("path"), str):
            continue
        own_id = derived_id(node.id, f"file {facts['path']}")
        files.append(
            FileRecord(
                own_id,
                node.id,
                own_id,
                node.run_id,
                facts["path"],
                str(facts.get("type") or "other"),
                integer(facts.get("size")),
                facts.get("sha256"),
                node.agent,
                node.end_time_unix_nano,
            )
        )
    return tuple(files)
