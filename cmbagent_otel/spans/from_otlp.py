"""OTLP, protobuf or JSON, to records.

One bad span costs itself, never those beside it. Fields that this version does not know are passed over.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from google.protobuf.message import DecodeError as ProtobufError
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from cmbagent_otel.errors import DecodeError
from cmbagent_otel.spans.decoded import (
    PARENT_IS_REMOTE,
    Decoded,
    Reject,
    checked_time,
    kind_of,
    parent_id_of,
    span_id_of,
    status_of,
    trace_id_of,
)
from cmbagent_otel.spans.log_form import LogForm, is_ours, record_from_log
from cmbagent_otel.spans.otlp_json import logs_from_json, traces_from_json
from cmbagent_otel.spans.record import Record, SpanEvent, SpanLink, SpanRecord


def traces_from_otlp(body: bytes, *, json: bool = False, at_most: int | None = None) -> Decoded:
    """The spans of a trace export.

    Raises:
        DecodeError: the body is no ``ExportTraceServiceRequest``, or holds more than ``at_most`` spans.
    """
    rejects: list[Reject] = []
    if json:
        request, rejects = traces_from_json(body)
    else:
        request = ExportTraceServiceRequest()
        _parse(request, body)
    _check_number(sum(len(scope.spans) for each in request.resource_spans for scope in each.scope_spans), at_most)
    records: list[Record] = []
    for resource_spans in request.resource_spans:
        resource = _attributes(resource_spans.resource.attributes)
        for scope_spans in resource_spans.scope_spans:
            scope_name = scope_spans.scope.name
            for span in scope_spans.spans:
                try:
                    records.append(_span(span, resource, scope_name))
                except ValueError as error:
                    rejects.append(Reject(str(error), span.trace_id.hex(), span.span_id.hex(), span.name))
    return Decoded(records, rejects)


def logs_from_otlp(body: bytes, *, json: bool = False, at_most: int | None = None) -> Decoded:
    """The start records and heartbeats of a logs export; other log records are not for us.

    Raises:
        DecodeError: the body is no ``ExportLogsServiceRequest``, or holds more than ``at_most`` log records.
    """
    rejects: list[Reject] = []
    if json:
        request, rejects = logs_from_json(body)
    else:
        request = ExportLogsServiceRequest()
        _parse(request, body)
    _check_number(sum(len(scope.log_records) for each in request.resource_logs for scope in each.scope_logs), at_most)
    records: list[Record] = []
    for resource_logs in request.resource_logs:
        resource = _attributes(resource_logs.resource.attributes)
        for scope_logs in resource_logs.scope_logs:
            scope_name = scope_logs.scope.name
            for log in scope_logs.log_records:
                if not is_ours(log.event_name):
                    continue
                try:
                    records.append(record_from_log(_log_form(log), resource, scope_name))
                except ValueError as error:
                    rejects.append(Reject(str(error), log.trace_id.hex(), log.span_id.hex(), log.event_name))
    return Decoded(records, rejects)


def _parse(request: ExportTraceServiceRequest | ExportLogsServiceRequest, body: bytes) -> None:
    try:
        request.ParseFromString(body)
    except ProtobufError as error:
        raise DecodeError(f"the body is no {request.DESCRIPTOR.name}: {error}") from None


def _check_number(number: int, at_most: int | None) -> None:
    """A record takes several times the room of its bytes, so that small bodies can hold too many."""
    if at_most is not None and number > at_most:
        raise DecodeError(f"the body holds {number} records, and at most {at_most} are taken: send smaller batches")


def _span(span: Span, resource: Mapping[str, Any], scope_name: str) -> SpanRecord:
    span_id, events, links, status = span.span_id, span.events, span.links, span.status
    return SpanRecord(
        trace_id_of(span.trace_id),
        span_id_of(span_id),
        parent_id_of(span.parent_span_id, span_id),
        span.name,
        kind_of(span.kind),
        checked_time(span.start_time_unix_nano),
        checked_time(span.end_time_unix_nano) or None,
        status_of(status.code),
        status.message,
        _attributes(span.attributes),
        tuple([_event(event) for event in events]) if events else (),
        tuple([link for link in map(_link, links) if link is not None]) if links else (),
        resource,
        scope_name,
        span.flags & PARENT_IS_REMOTE == PARENT_IS_REMOTE,
    )


def _event(event: Span.Event) -> SpanEvent:
    return SpanEvent(event.name, checked_time(event.time_unix_nano), _attributes(event.attributes))


def _link(link: Span.Link) -> SpanLink | None:
    """The link, or None where it points nowhere: the span says enough without it."""
    try:
        return SpanLink(trace_id_of(link.trace_id), span_id_of(link.span_id), _attributes(link.attributes))
    except ValueError:
        return None


def _log_form(log: LogRecord) -> LogForm:
    return LogForm(
        log.event_name,
        checked_time(log.time_unix_nano or log.observed_time_unix_nano),
        log.trace_id.hex(),
        log.span_id.hex(),
        _attributes(log.attributes),
    )


def _attributes(pairs: Iterable[KeyValue]) -> dict[str, Any]:
    # Most values are strings, and asking for one costs a third of asking which kind of value it is.
    return {pair.key: pair.value.string_value or _value(pair.value) for pair in pairs}


def _value(value: AnyValue) -> Any:
    which = value.WhichOneof("value")
    if which == "array_value":
        return tuple([item.string_value or _value(item) for item in value.array_value.values])
    if which == "kvlist_value":
        return _attributes(value.kvlist_value.values)
    return None if which is None else getattr(value, which)
