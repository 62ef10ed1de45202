"""Start records and heartbeats as log records: how they travel by OTLP.

A span can be exported only once, so that Jaeger draws it once; that it has begun, and that its process is
alive, is told by log records with event names of ours. A start record's attributes are the span's own, and
beside them, under ``cmbagent.span.*``, what a span has and a log record has not.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from cmbagent_otel import semconv
from cmbagent_otel.spans.record import Heartbeat, SpanLink, SpanRecord

_OF_THE_SPAN = frozenset(
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


def start_from_log(log: LogForm, resource: Mapping[str, Any], scope_name: str) -> SpanRecord:
    """The start record that ``log`` carries.

    Raises:
        ValueError: it lacks what a span must have.
    """
    attributes = log.attributes
    name, kind = attributes.get(semconv.SPAN_NAME), attributes.get(semconv.SPAN_KIND)
    parent = attributes.get(semconv.SPAN_PARENT_ID)
    if not isinstance(name, str) or not isinstance(kind, str) or not isinstance(parent, str | None):
        raise ValueError(f"a start record needs {semconv.SPAN_NAME} and {semconv.SPAN_KIND}")  # noqa: TRY004
    return SpanRecord(
        log.trace_id,
        log.span_id,
        parent,
        name,
        kind,
        log.time_unix_nano,
        None,
        "UNSET",
        "",
        {key: value for key, value in attributes.items() if key not in _OF_THE_SPAN},
        (),
        tuple(
            SpanLink(link["trace_id"], link["span_id"], link["attributes"])
            for link in attributes.get(semconv.SPAN_LINKS, ())
        ),
        resource,
        scope_name,
        attributes.get(semconv.SPAN_PARENT_IS_REMOTE) is True,
    )


def heartbeat_to_log(heartbeat: Heartbeat) -> LogForm:
    """The log record of ``heartbeat``; its owner is the resource's ``service.instance.id``."""
    return LogForm(semconv.LOG_HEARTBEAT, heartbeat.time_unix_nano, "", "", {semconv.RUN_IDS: heartbeat.run_ids})


def heartbeat_from_log(log: LogForm, resource: Mapping[str, Any]) -> Heartbeat:
    """The heartbeat that ``log`` carries.

    Raises:
        ValueError: it names no runs or no owner.
    """
    run_ids, owner = log.attributes.get(semconv.RUN_IDS), resource.get(semconv.SERVICE_INSTANCE_ID)
    if not isinstance(run_ids, tuple) or not all(isinstance(run_id, str) for run_id in run_ids):
        raise ValueError(f"a heartbeat needs {semconv.RUN_IDS}, an array of strings")  # noqa: TRY004
    if not isinstance(owner, str):
        raise ValueError(f"a heartbeat needs the resource attribute {semconv.SERVICE_INSTANCE_ID}")  # noqa: TRY004
    return Heartbeat(run_ids, owner, log.time_unix_nano)
