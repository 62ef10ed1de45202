"""The second projection of a span: its rows of ``execution_events``. Content lives only here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from cmbagent_otel import semconv
from cmbagent_otel.graph.record import EventRecord, NodeRecord
from cmbagent_otel.graph.values import derived_id, is_id, structured
from cmbagent_otel.semconv import EventSubtype, EventType, NodeKind, Status
from cmbagent_otel.spans.record import SpanEvent, SpanRecord

_MAIN_EVENTS: dict[str, str] = {
    NodeKind.AGENT: EventType.AGENT_CALL,
    NodeKind.LLM: EventType.LLM_CALL,
    NodeKind.TOOL: EventType.TOOL_CALL,
    NodeKind.CODE: EventType.CODE_EXEC,
    NodeKind.APPROVAL: EventType.APPROVAL_REQUESTED,
}
_INPUTS: tuple[tuple[str, str], ...] = (
    (semconv.SYSTEM_INSTRUCTIONS, "system_instructions"),
    (semconv.INPUT_MESSAGES, "messages"),
    (semconv.TOOL_CALL_ARGUMENTS, "arguments"),
    (semconv.CODE_SOURCE, "code"),
    (semconv.HUMAN_PROMPT, "prompt"),
)
_OUTPUTS: tuple[tuple[str, str], ...] = (
    (semconv.OUTPUT_MESSAGES, "messages"),
    (semconv.TOOL_CALL_RESULT, "result"),
    (semconv.CODE_OUTPUT, "result"),
    (semconv.HUMAN_RESPONSE, "response"),
)


def project(
    span: SpanRecord, attributes: Mapping[str, Any], node: NodeRecord, kind: str, *, content: bool
) -> tuple[EventRecord, ...]:
    """The event rows of a span whose node is ``node``.

    One row for each call that a reader follows, moved from ``start`` to ``complete`` or ``error`` on the same
    id; two for the transitions of phases and steps; one for each message, handoff and exception event.
    """
    events: list[EventRecord] = []
    agent = attributes.get(semconv.AGENT_NAME)
    agent_name = None if agent is None else str(agent)
    error_message = _error_message(span, attributes) if content else None
    main = _MAIN_EVENTS.get(kind)
    if main is not None:
        events.append(_main_event(span, attributes, node, main, agent_name, error_message, content=content))
    elif kind in (NodeKind.PHASE, NodeKind.STEP):
        events.extend(_transitions(node, error_message))
    for index, event in enumerate(span.events):
        moment = _PROJECTIONS.get(event.name)
        if moment is not None:
            events.append(moment(node, event, index, agent_name, content))
    return tuple(events)


def _main_event(  # noqa: PLR0913 - what an event row is made of
    span: SpanRecord,
    attributes: Mapping[str, Any],
    node: NodeRecord,
    event_type: str,
    agent_name: str | None,
    error_message: str | None,
    *,
    content: bool,
) -> EventRecord:
    inputs = _texts(attributes, _INPUTS) if content else {}
    outputs = _texts(attributes, _OUTPUTS) if content else {}
    for name in ("tool_name", "language"):
        if name in node.meta:
            inputs[name] = node.meta[name]
    if span.end_time_unix_nano is None:
        subtype = EventSubtype.START
    else:
        subtype = EventSubtype.ERROR if node.status == Status.FAILED else EventSubtype.COMPLETE
    role = attributes.get(semconv.AGENT_ROLE)
    return EventRecord(
        node.id,
        node.id,
        node.run_id,
        event_type,
        subtype,
        agent_name,
        None if role is None else str(role),
        span.start_time_unix_nano,
        span.start_time_unix_nano,
        span.end_time_unix_nano,
        inputs or None,
        outputs or None,
        error_message,
        {name: value for name, value in node.meta.items() if name not in ("kind", "owner", "service")},
        node.status,
        span.trace_id,
        span.span_id,
    )


def _transitions(node: NodeRecord, error_message: str | None) -> list[EventRecord]:
    meta = {name: node.meta[name] for name in ("id", "label", "step_number", "attempt") if name in node.meta}

    def row(own_id: str, subtype: str, time: int, status: str, message: str | None) -> EventRecord:
        return EventRecord(
            own_id,
            node.id,
            node.run_id,
            EventType.STATE_TRANSITION,
            subtype,
            None,
            None,
            time,
            None,
            None,
            None,
            None,
            message,
            meta,
            status,
            node.trace_id,
            node.span_id,
        )

    rows = [row(node.id, EventSubtype.START, node.start_time_unix_nano, Status.COMPLETED, None)]
    if node.end_time_unix_nano is not None:
        end = row(derived_id(node.id, "end"), EventSubtype.END, node.end_time_unix_nano, node.status, error_message)
        rows.append(end)
    return rows


def _message(node: NodeRecord, event: SpanEvent, index: int, agent_name: str | None, content: bool) -> EventRecord:
    said: dict[str, Any] = {
        "sender": event.attributes.get(semconv.MESSAGE_SENDER),
        "recipient": event.attributes.get(semconv.MESSAGE_RECIPIENT),
    }
    text = event.attributes.get(semconv.MESSAGE_CONTENT)
    if content and text is not None:
        said["content"] = structured(text)
    role = event.attributes.get(semconv.MESSAGE_ROLE)
    meta = {} if role is None else {"role": role}
    return _moment(node, event, index, (EventType.AGENT_CALL, EventSubtype.MESSAGE), agent_name, said, meta)


def _handoff(node: NodeRecord, event: SpanEvent, index: int, agent_name: str | None, content: bool) -> EventRecord:
    del content
    between = {
        "from_agent": event.attributes.get(semconv.HANDOFF_SOURCE_AGENT),
        "to_agent": event.attributes.get(semconv.HANDOFF_TARGET_AGENT),
    }
    kind = event.attributes.get(semconv.HANDOFF_KIND)
    meta = {} if kind is None else {"reason": kind}
    return _moment(node, event, index, (EventType.HANDOFF, EventSubtype.TRANSFER), agent_name, between, meta)


def _exception(node: NodeRecord, event: SpanEvent, index: int, agent_name: str | None, content: bool) -> EventRecord:
    error_type = event.attributes.get(semconv.EXCEPTION_TYPE)
    row = _moment(
        node,
        event,
        index,
        (EventType.ERROR, str(error_type or "runtime_error")),
        agent_name,
        None,
        {"error_type": error_type},
    )
    message = event.attributes.get(semconv.EXCEPTION_MESSAGE)
    return row._replace(status=Status.FAILED, error_message=str(message) if content and message is not None else None)


_PROJECTIONS: dict[str, Callable[[NodeRecord, SpanEvent, int, str | None, bool], EventRecord]] = {
    semconv.MESSAGE_EVENT: _message,
    semconv.HANDOFF_EVENT: _handoff,
    semconv.EXCEPTION_EVENT: _exception,
}


def _moment(  # noqa: PLR0913 - what an event row is made of
    node: NodeRecord,
    event: SpanEvent,
    index: int,
    kind: tuple[str, str],
    agent_name: str | None,
    inputs: Mapping[str, Any] | None,
    meta: Mapping[str, Any],
) -> EventRecord:
    given = event.attributes.get(semconv.EVENT_ID)
    own_id = str(given) if is_id(given) else derived_id(node.id, f"event {index}")
    return EventRecord(
        own_id,
        node.id,
        node.run_id,
        kind[0],
        kind[1],
        agent_name,
        None,
        event.time_unix_nano,
        None,
        None,
        inputs,
        None,
        None,
        meta,
        Status.COMPLETED,
        node.trace_id,
        node.span_id,
    )


def _texts(attributes: Mapping[str, Any], keys: tuple[tuple[str, str], ...]) -> dict[str, Any]:
    return {name: structured(attributes[key]) for key, name in keys if attributes.get(key) is not None}


def _error_message(span: SpanRecord, attributes: Mapping[str, Any]) -> str | None:
    message = attributes.get(semconv.ERROR_MESSAGE) or span.status_message
    return str(message) if message and span.status == "ERROR" else None
