"""OTLP JSON to OTLP protobuf, so that :mod:`cmbagent_otel.spans.from_otlp` reads both.

OTLP's JSON is protobuf's with one difference: ids are hex. Protobuf's own parser takes them for base64
without a word, so they are rewritten before it sees them. It gets one span at a time, so that a bad one
costs only itself.
"""

from __future__ import annotations

import base64
from typing import Any, TypeVar

import orjson
from google.protobuf.json_format import ParseDict, ParseError
from google.protobuf.message import Message
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from cmbagent_otel.errors import DecodeError
from cmbagent_otel.spans.decoded import Reject

_M = TypeVar("_M", bound=Message)


def traces_from_json(body: bytes) -> tuple[ExportTraceServiceRequest, list[Reject]]:
    """A trace export, and the spans that could not be read.

    Raises:
        DecodeError: it is no JSON, or not of that form.
    """
    request, rejects = ExportTraceServiceRequest(), list[Reject]()
    for of_resource in _objects(_loaded(body), "resourceSpans"):
        resource_spans = request.resource_spans.add()
        _fill(_object(of_resource, "resource"), resource_spans.resource)
        for of_scope in _objects(of_resource, "scopeSpans"):
            scope_spans = resource_spans.scope_spans.add()
            _fill(_object(of_scope, "scope"), scope_spans.scope)
            for fields in _objects(of_scope, "spans"):
                try:
                    scope_spans.spans.append(_item(fields, Span()))
                except ValueError as error:
                    rejects.append(_reject(error, fields, "name"))
    return request, rejects


def logs_from_json(body: bytes) -> tuple[ExportLogsServiceRequest, list[Reject]]:
    """A logs export, and the log records that could not be read.

    Raises:
        DecodeError: it is no JSON, or not of that form.
    """
    request, rejects = ExportLogsServiceRequest(), list[Reject]()
    for of_resource in _objects(_loaded(body), "resourceLogs"):
        resource_logs = request.resource_logs.add()
        _fill(_object(of_resource, "resource"), resource_logs.resource)
        for of_scope in _objects(of_resource, "scopeLogs"):
            scope_logs = resource_logs.scope_logs.add()
            _fill(_object(of_scope, "scope"), scope_logs.scope)
            for fields in _objects(of_scope, "logRecords"):
                try:
                    scope_logs.log_records.append(_item(fields, LogRecord()))
                except ValueError as error:
                    rejects.append(_reject(error, fields, "eventName"))
    return request, rejects


def _loaded(body: bytes) -> dict[str, Any]:
    try:
        loaded = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise DecodeError(f"the body is no JSON: {error}") from None
    if not isinstance(loaded, dict):
        raise DecodeError("the body is no JSON object")
    return loaded


def _object(parent: dict[str, Any], name: str) -> dict[str, Any]:
    found = parent.get(name) or {}
    if not isinstance(found, dict):
        raise DecodeError(f"{name} must be an object")
    return found


def _objects(parent: dict[str, Any], name: str) -> list[dict[str, Any]]:
    found = parent.get(name) or []
    if not isinstance(found, list) or not all(isinstance(item, dict) for item in found):
        raise DecodeError(f"{name} must be an array of objects")
    return found


def _fill(fields: dict[str, Any], message: Message) -> None:
    try:
        ParseDict(fields, message, ignore_unknown_fields=True)
    except ParseError as error:
        raise DecodeError(str(error)) from None


def _item(fields: dict[str, Any], message: _M) -> _M:
    """``message`` filled with the fields of a span or log record; ValueError where they can't be read."""
    rewritten = _with_ids(fields)
    if isinstance(links := fields.get("links"), list):
        rewritten["links"] = [_with_ids(link) if isinstance(link, dict) else link for link in links]
    try:
        return ParseDict(rewritten, message, ignore_unknown_fields=True)
    except ParseError as error:
        raise ValueError(str(error)) from None


def _with_ids(fields: dict[str, Any]) -> dict[str, Any]:
    """A copy of ``fields`` with hex ids as base64."""
    rewritten = dict(fields)
    for name in ("traceId", "spanId", "parentSpanId"):
        if isinstance(value := fields.get(name), str):
            rewritten[name] = base64.b64encode(bytes.fromhex(value)).decode()
    return rewritten


def _reject(error: ValueError, fields: dict[str, Any], name_field: str) -> Reject:
    trace_id, span_id, name = (str(fields.get(field, "")) for field in ("traceId", "spanId", name_field))
    return Reject(str(error), trace_id, span_id, name)
