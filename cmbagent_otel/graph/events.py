"""The second projection of a span: its rows of ``execution_events``. Content lives only here."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from cmbagent_otel import semconv
from cmbagent_otel.graph.record import EventRecord, FileRecord, NodeRecord
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
    main = _MAIN_EVENTS.get(kind)
    if main is not None:
        events.append(_main_event(span, attributes, node, main, content=content))
    elif kind in (NodeKind.PHASE, NodeKind.STEP):
        events.extend(_transitions(node, _error_message(span, attributes) if content else None))
    for index, event in enumerate(span.events):
        moment = _PROJECTIONS.get(event.name)
        if moment is not None:
            events.append(moment(node, event, index, content=content))
    return tuple(events)


def _main_event(
    span: SpanRecord, attributes: Mapping[str, Any], node: NodeRecord, event_type: str, *, content: bool
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
    return EventRecord(
        id=node.id,
        node_id=node.id,
        run_id=node.run_id,
        event_type=event_type,
        event_subtype=subtype,
        status=node.status,
        time_unix_nano=span.start_time_unix_nano,
        trace_id=span.trace_id,
        span_id=span.span_id,
        agent_name=_text(attributes.get(semconv.AGENT_NAME)),
        agent_role=_text(attributes.get(semconv.AGENT_ROLE)),
        start_time_unix_nano=span.start_time_unix_nano,
        end_time_unix_nano=span.end_time_unix_nano,
        inputs=inputs or None,
        outputs=outputs or None,
        error_message=_error_message(span, attributes) if content else None,
        meta={name: value for name, value in node.meta.items() if name not in _NODE_ONLY},
    )


_NODE_ONLY = frozenset({"kind", "owner", "service"})


def _transitions(node: NodeRecord, error_message: str | None) -> list[EventRecord]:
    start = EventRecord(
        id=node.id,
        node_id=node.id,
        run_id=node.run_id,
        event_type=EventType.STATE_TRANSITION,
        event_subtype=EventSubtype.START,
        status=Status.COMPLETED,
        time_unix_nano=node.start_time_unix_nano,
        trace_id=node.trace_id,
        span_id=node.span_id,
        meta={name: node.meta[name] for name in ("id", "label", "step_number", "attempt") if name in node.meta},
    )
    if node.end_time_unix_nano is None:
        return [start]
    end = start._replace(
        id=derived_id(node.id, "end"),
        event_subtype=EventSubtype.END,
        status=node.status,
        time_unix_nano=node.end_time_unix_nano,
        error_message=error_message,
    )
    return [start, end]


def _moment(node: NodeRecord, event: SpanEvent, index: int, event_type: str, event_subtype: str) -> EventRecord:
    given = event.attributes.get(semconv.EVENT_ID)
    return EventRecord(
        id=str(given) if is_id(given) else derived_id(node.id, f"event {index}"),
        node_id=node.id,
        run_id=node.run_id,
        event_type=event_type,
        event_subtype=event_subtype,
        status=Status.COMPLETED,
        time_unix_nano=event.time_unix_nano,
        trace_id=node.trace_id,
        span_id=node.span_id,
        agent_name=node.agent,
    )


def _message(node: NodeRecord, event: SpanEvent, index: int, *, content: bool) -> EventRecord:
    said: dict[str, Any] = {
        "sender": event.attributes.get(semconv.MESSAGE_SENDER),
        "recipient": event.attributes.get(semconv.MESSAGE_RECIPIENT),
    }
    text = event.attributes.get(semconv.MESSAGE_CONTENT)
    if content and text is not None:
        said["content"] = structured(text)
    role = event.attributes.get(semconv.MESSAGE_ROLE)
    row = _moment(node, event, index, EventType.AGENT_CALL, EventSubtype.MESSAGE)
    return row._replace(inputs=said, meta={} if role is None else {"role": role})


def _handoff(node: NodeRecord, event: SpanEvent, index: int, *, content: bool) -> EventRecord:
    del content  # who hands over to whom is structure
    between = {
        "from_agent": event.attributes.get(semconv.HANDOFF_SOURCE_AGENT),
        "to_agent": event.attributes.get(semconv.HANDOFF_TARGET_AGENT),
    }
    kind = event.attributes.get(semconv.HANDOFF_KIND)
    row = _moment(node, event, index, EventType.HANDOFF, EventSubtype.TRANSFER)
    return row._replace(inputs=between, meta={} if kind is None else {"reason": kind})


def _exception(node: NodeRecord, event: SpanEvent, index: int, *, content: bool) -> EventRecord:
    error_type = event.attributes.get(semconv.EXCEPTION_TYPE)
    row = _moment(node, event, index, EventType.ERROR, str(error_type or "runtime_error"))
    return row._replace(
        status=Status.FAILED,
        error_message=_text(event.attributes.get(semconv.EXCEPTION_MESSAGE)) if content else None,
        meta={"error_type": error_type},
    )


_PROJECTIONS: dict[str, Callable[..., EventRecord]] = {
    semconv.MESSAGE_EVENT: _message,
    semconv.HANDOFF_EVENT: _handoff,
    semconv.EXCEPTION_EVENT: _exception,
}


def files(node: NodeRecord, written: Sequence[FileRecord]) -> tuple[EventRecord, ...]:
    """The events of the files that a code execution wrote; each has the id of its file's row."""
    return tuple(
        EventRecord(
            id=file.source_id,
            node_id=node.id,
            run_id=node.run_id,
            event_type=EventType.FILE_GEN,
            event_subtype=EventSubtype.CREATE,
            status=Status.COMPLETED,
            time_unix_nano=file.time_unix_nano,
            trace_id=node.trace_id,
            span_id=node.span_id,
            agent_name=file.agent_name,
            inputs={"file_path": file.file_path, "file_type": file.file_type},
            meta={"size_bytes": file.size_bytes},
        )
        for file in written
    )


def _texts(attributes: Mapping[str, Any], keys: tuple[tuple[str, str], ...]) -> dict[str, Any]:
    return {name: structured(attributes[key]) for key, name in keys if attributes.get(key) is not None}


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def _error_message(span: SpanRecord, attributes: Mapping[str, Any]) -> str | None:
    message = attributes.get(semconv.ERROR_MESSAGE) or span.status_message
    return str(message) if message and span.status == "ERROR" else None
