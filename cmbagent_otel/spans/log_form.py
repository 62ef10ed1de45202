"""Start records and heartbeats as log records: how they travel by OTLP.

A span can be exported only once, so that Jaeger draws it once; that it has begun, and that its process is
alive, is told by log records with event names of ours. A start record's attributes are the span's own, and
beside them, under ``cmbagent.span.*``, what a span has and a log record has not.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from cmbagent_otel import semconv
from cmbagent_otel.spans.decoded import parent_id_of, span_id_of, trace_id_of
from cmbagent_otel.spans.record import Heartbeat, Record, SpanLink, SpanRecord

_BESIDE_THE_SPANS_OWN = frozenset(
    {
        semconv.SPAN_NAME,
        semconv.SPAN_KIND,
        semconv.SPAN_PARENT_ID,
        semconv.SPAN_PARENT_IS_REMOTE,
        semconv.SPAN_LINKS,
    }
)


class LogForm(NamedTuple):
    """A log record as far as it is ours; resource and scope are those of the logger provider."""

    event_name: str
    time_unix_nano: int
    trace_id: str
    """32 lower-case hex digits; empty in a heartbeat."""
    span_id: str
    """16 lower-case hex digits; empty in a heartbeat."""
    attributes: Mapping[str, Any]


def start_to_log(span: SpanRecord) -> LogForm:
    """The log record that says that ``span`` has begun."""
    attributes = dict(span.attributes)
    attributes[semconv.SPAN_NAME] = span.name
    attributes[semconv.SPAN_KIND] = span.kind
    if span.parent_span_id is not None:
        attributes[semconv.SPAN_PARENT_ID] = span.parent_span_id
        attributes[semconv.SPAN_PARENT_IS_REMOTE] = span.parent_is_remote
    if span.links:
        attributes[semconv.SPAN_LINKS] = tuple(link._asdict() for link in span.links)
    return LogForm(semconv.LOG_SPAN_START, span.start_time_unix_nano, span.trace_id, span.span_id, attributes)


def heartbeat_to_log(heartbeat: Heartbeat) -> LogForm:
    """The log record of ``heartbeat``; its owner is the resource's ``service.instance.id``."""
    return LogForm(semconv.LOG_HEARTBEAT, heartbeat.time_unix_nano, "", "", {semconv.RUN_IDS: heartbeat.run_ids})


def is_ours(event_name: str) -> bool:
    """Whether a log record with this event name is a start record or a heartbeat."""
    return event_name in (semconv.LOG_SPAN_START, semconv.LOG_HEARTBEAT)


def record_from_log(log: LogForm, resource: Mapping[str, Any], scope_name: str) -> Record:
    """The start record or heartbeat that ``log`` carries.

    Raises:
        ValueError: it lacks what such a record must have.
    """
    if log.event_name == semconv.LOG_HEARTBEAT:
        return _heartbeat(log, resource)
    return _start(log, resource, scope_name)


def _start(log: LogForm, resource: Mapping[str, Any], scope_name: str) -> SpanRecord:
    attributes = log.attributes
    span_id = bytes.fromhex(log.span_id)
    return SpanRecord(
        trace_id_of(bytes.fromhex(log.trace_id)),
        span_id_of(span_id),
        parent_id_of(bytes.fromhex(_text(attributes, semconv.SPAN_PARENT_ID, "")), span_id),
        _text(attributes, semconv.SPAN_NAME),
        _text(attributes, semconv.SPAN_KIND),
        log.time_unix_nano,
        None,
        "UNSET",
        "",
        {key: value for key, value in attributes.items() if key not in _BESIDE_THE_SPANS_OWN},
        (),
        tuple(map(_link, _sequence(attributes, semconv.SPAN_LINKS))),
        resource,
        scope_name,
        attributes.get(semconv.SPAN_PARENT_IS_REMOTE) is True,
    )


def _link(link: Any) -> SpanLink:
    if not isinstance(link, Mapping) or not isinstance(link.get("attributes"), Mapping):
        raise ValueError(f"{semconv.SPAN_LINKS} must hold maps")  # noqa: TRY004 - a bad value came, not a bad call
    trace_id, span_id = bytes.fromhex(_text(link, "trace_id")), bytes.fromhex(_text(link, "span_id"))
    return SpanLink(trace_id_of(trace_id), span_id_of(span_id), link["attributes"])


def _heartbeat(log: LogForm, resource: Mapping[str, Any]) -> Heartbeat:
    run_ids = _sequence(log.attributes, semconv.RUN_IDS)
    if not run_ids or not all(isinstance(run_id, str) for run_id in run_ids):
        raise ValueError(f"a heartbeat needs {semconv.RUN_IDS}")
    return Heartbeat(run_ids, _text(resource, semconv.SERVICE_INSTANCE_ID), log.time_unix_nano)


def _text(attributes: Mapping[str, Any], key: str, default: str | None = None) -> str:
    value = attributes.get(key, default)
    if not isinstance(value, str):
        raise ValueError(f"{key} must be a string")  # noqa: TRY004 - a bad value came, not a bad call
    return value


def _sequence(attributes: Mapping[str, Any], key: str) -> tuple[Any, ...]:
    value = attributes.get(key, ())
    if not isinstance(value, tuple):
        raise ValueError(f"{key} must be an array")  # noqa: TRY004 - a bad value came, not a bad call
    return value
