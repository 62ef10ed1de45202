"""The in-process door: a span of the OpenTelemetry SDK as a :class:`SpanRecord`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from opentelemetry.sdk.trace import ReadableSpan

from cmbagent_otel.spans.record import SpanEvent, SpanLink, SpanRecord

_EMPTY: Mapping[str, Any] = {}


def from_sdk(span: ReadableSpan, held: Mapping[str, Any] | None = None) -> SpanRecord | None:
    """Read a span, ended or running.

    Args:
        span: the span; one that has no end time becomes a start record, without what may yet change.
        held: attributes that were kept off the span, to be laid over its own.

    Returns:
        None for a span without a valid context, which nothing could be stored under.
    """
    context, parent = span.context, span.parent
    if context is None or not context.is_valid or span.start_time is None:
        return None
    attributes = dict(span.attributes or _EMPTY)
    if held:
        attributes.update(held)
    ended = span.end_time is not None
    return SpanRecord(
        f"{context.trace_id:032x}",
        f"{context.span_id:016x}",
        None if parent is None else f"{parent.span_id:016x}",
        span.name,
        span.kind.name,
        span.start_time,
        span.end_time,
        span.status.status_code.name if ended else "UNSET",
        (span.status.description or "") if ended else "",
        attributes,
        tuple(SpanEvent(event.name, event.timestamp, dict(event.attributes or _EMPTY)) for event in span.events)
        if ended
        else (),
        tuple(
            SpanLink(f"{link.context.trace_id:032x}", f"{link.context.span_id:016x}", dict(link.attributes or _EMPTY))
            for link in span.links
        ),
        span.resource.attributes,
        span.instrumentation_scope.name if span.instrumentation_scope is not None else "",
        parent is not None and parent.is_remote,
    )
