"""OTLP protobuf to records; :mod:`cmbagent_otel.spans.from_otlp_json` is its twin for JSON.

One bad span costs itself, never those beside it. Fields that this version does not know are passed over.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from google.protobuf.message import DecodeError as ProtobufError
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
from opentelemetry.proto.trace.v1.trace_pb2 import Span, SpanFlags

from cmbagent_otel import semconv
from cmbagent_otel.errors import DecodeError
from cmbagent_otel.spans.decoded import (
    LOGS,
    TRACES,
    Decoded,
    Reject,
    checked_parent_id,
    checked_span_id,
    checked_time,
    checked_trace_id,
)
from cmbagent_otel.spans.log_form import LogForm, heartbeat_from_log, start_from_log
from cmbagent_otel.spans.record import Record, SpanEvent, SpanLink, SpanRecord

# By number, as they travel; what a later version of OTLP adds counts as unspecified, so as the first.
_KINDS = ("INTERNAL", "INTERNAL", "SERVER", "CLIENT", "PRODUCER", "CONSUMER")
_STATUSES = ("UNSET", "OK", "ERROR")
_PARENT_IS_REMOTE = SpanFlags.SPAN_FLAGS_CONTEXT_HAS_IS_REMOTE_MASK | SpanFlags.SPAN_FLAGS_CONTEXT_IS_REMOTE_MASK
