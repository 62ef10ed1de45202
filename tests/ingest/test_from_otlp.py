from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any

import pytest
from google.protobuf.json_format import MessageToDict
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.trace import Link, SpanContext, SpanKind, StatusCode, TraceFlags

from cmbagent_otel.errors import DecodeError
from cmbagent_otel.spans.decoded import Decoded
from cmbagent_otel.spans.from_otlp import traces_from_otlp
from cmbagent_otel.spans.from_sdk import from_sdk
from cmbagent_otel.spans.record import SpanRecord

TRACE_ID = bytes(range(1, 17))
SPAN_ID = bytes(range(1, 9))

# -- the two doors ---------------------------------------------------------------------------------------

_texts = st.text(st.characters(codec="utf-8"), max_size=20)
_keys = st.text(st.characters(codec="utf-8"), min_size=1, max_size=20)
_scalars = (
    _texts
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False)
    | st.binary(max_size=8)
    | st.none()
)
_values = st.recursive(
    _scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_keys, inner, max_size=3),
    max_leaves=6,
)
_attributes = st.dictionaries(_keys, _values, max_size=6)
_times = st.integers(1, 2**63 - 1)
_contexts = st.builds(
    SpanContext,
    st.integers(1, 2**128 - 1),
    st.integers(1, 2**64 - 1),
    st.booleans(),
    st.just(TraceFlags(TraceFlags.SAMPLED)),
)


def spans_of(decoded: Decoded) -> list[SpanRecord]:
    return [record for record in decoded.records if isinstance(record, SpanRecord)]


class DrawnIds(IdGenerator):
    """The ids that Hypothesis drew."""

    def __init__(self, trace_id: int, span_id: int) -> None:
        self._ids = trace_id, span_id

    def generate_trace_id(self) -> int:
        return self._ids[0]

    def generate_span_id(self) -> int:
        return self._ids[1]


@st.composite
def sdk_spans(draw: st.DrawFn) -> ReadableSpan:
    """Spans as a program makes them by the SDK."""
    parent = draw(st.none() | _contexts)
    taken = set() if parent is None else {parent.span_id}
    span_id = draw(st.integers(1, 2**64 - 1).filter(lambda drawn: drawn not in taken))
    ids = DrawnIds(draw(st.integers(1, 2**128 - 1)), span_id)
    provider = TracerProvider(resource=Resource(draw(st.dictionaries(_keys, _texts, max_size=2))), id_generator=ids)
    span = provider.get_tracer(draw(_keys)).start_span(
        draw(_texts),
        None if parent is None else trace.set_span_in_context(trace.NonRecordingSpan(parent)),
        draw(st.sampled_from(SpanKind)),
        draw(_attributes),
        [Link(context, draw(_attributes)) for context in draw(st.lists(_contexts, max_size=2))],
        draw(_times),
    )
    for name in draw(st.lists(_texts, max_size=2)):
        span.add_event(name, draw(_attributes), draw(_times))
    code = draw(st.sampled_from(StatusCode))
    span.set_status(code, draw(_texts) if code is StatusCode.ERROR else None)
    span.end(draw(_times))
    assert isinstance(span, ReadableSpan)
    return span


def as_otlp_json(request: ExportTraceServiceRequest) -> bytes:
    """The request as OTLP's JSON, which unlike protobuf's own writes ids in hex."""
    fields = MessageToDict(request, use_integers_for_enums=True)
    for resource_spans in fields.get("resourceSpans", ()):
        for scope_spans in resource_spans["scopeSpans"]:
            for span in scope_spans["spans"]:
                for holder in (span, *span.get("links", ())):
                    for name in {"traceId", "spanId", "parentSpanId"} & holder.keys():
                        holder[name] = base64.b64decode(holder[name]).hex()
    return json.dumps(fields).encode()


@settings(deadline=None)
@given(st.lists(sdk_spans(), max_size=4, unique_by=lambda span: span.context.span_id if span.context else 0))
def test_a_span_is_the_same_through_either_door(spans: list[ReadableSpan]) -> None:
    decoded = traces_from_otlp(encode_spans(spans).SerializeToString())
    assert not decoded.rejects
    by_id = {record.span_id: record for record in map(from_sdk, spans) if record is not None}
    assert {record.span_id: record for record in spans_of(decoded)} == by_id


@settings(deadline=None)
@given(st.lists(sdk_spans(), max_size=4))
def test_json_and_protobuf_say_the_same(spans: list[ReadableSpan]) -> None:
    request = encode_spans(spans)
    assert traces_from_otlp(as_otlp_json(request), json=True) == traces_from_otlp(request.SerializeToString())


# -- what other senders write ----------------------------------------------------------------------------


def a_span(**fields: Any) -> Span:
    whole = {"trace_id": TRACE_ID, "span_id": SPAN_ID, "name": "a", "start_time_unix_nano": 1, "end_time_unix_nano": 2}
    return Span(**{**whole, **fields})


def body_of(*spans: Span) -> bytes:
    request = ExportTraceServiceRequest()
    request.resource_spans.add().scope_spans.add().spans.extend(spans)
    return request.SerializeToString()


def only(decoded: Decoded) -> SpanRecord:
    assert not decoded.rejects
    (record,) = spans_of(decoded)
    return record


@pytest.mark.parametrize(
    ("fields", "complaint"),
    [
        ({"trace_id": b""}, "16 bytes"),
        ({"trace_id": TRACE_ID + b"1"}, "16 bytes"),
        ({"trace_id": bytes(16)}, "not all zero"),
        ({"span_id": b"short"}, "8 bytes"),
        ({"span_id": bytes(8)}, "not all zero"),
        ({"parent_span_id": b"short"}, "8 bytes"),
        ({"parent_span_id": SPAN_ID}, "its own parent"),
        ({"start_time_unix_nano": 2**63}, "1970 to 2262"),
        ({"events": [Span.Event(time_unix_nano=2**64 - 1)]}, "1970 to 2262"),
    ],
)
def test_a_bad_span_costs_only_itself(fields: Mapping[str, Any], complaint: str) -> None:
    good = a_span(span_id=b"the good")
    decoded = traces_from_otlp(body_of(a_span(**fields), good))
    assert [record.span_id for record in spans_of(decoded)] == [b"the good".hex()]
    (reject,) = decoded.rejects
    assert complaint in reject.reason
    assert reject.name == "a"


def test_a_parent_of_zeros_is_no_parent() -> None:
    assert only(traces_from_otlp(body_of(a_span(parent_span_id=bytes(8))))).parent_span_id is None


def test_a_link_to_nowhere_is_left_out_and_its_span_kept() -> None:
    links = [Span.Link(trace_id=b"x", span_id=SPAN_ID), Span.Link(trace_id=TRACE_ID, span_id=SPAN_ID)]
    assert len(only(traces_from_otlp(body_of(a_span(links=links)))).links) == 1


def test_words_of_a_later_otlp_are_passed_over() -> None:
    later = a_span(kind=17).SerializeToString() + bytes([0xFA, 0x3F, 1, 65])  # field 1023, one byte
    request = ExportTraceServiceRequest()
    request.resource_spans.add().scope_spans.add().spans.add().ParseFromString(later)
    assert only(traces_from_otlp(request.SerializeToString())).kind == "INTERNAL"


def test_a_span_without_an_end_is_still_running() -> None:
    assert only(traces_from_otlp(body_of(a_span(end_time_unix_nano=0)))).end_time_unix_nano is None


def test_the_last_of_two_equal_keys_counts() -> None:
    pairs = [KeyValue(key="k", value=AnyValue(int_value=number)) for number in (1, 2)]
    assert only(traces_from_otlp(body_of(a_span(attributes=pairs)))).attributes == {"k": 2}


@pytest.mark.parametrize("body", [b"\xff\xff\xff", b"not protobuf", b'{"resourceSpans": []}', bytes(40)])
def test_garbage_is_no_export(body: bytes) -> None:
    with pytest.raises(DecodeError, match="no ExportTraceServiceRequest"):
        traces_from_otlp(body)


# -- JSON's own ways -------------------------------------------------------------------------------------


def json_body(span: Mapping[str, Any]) -> bytes:
    whole = {"traceId": TRACE_ID.hex(), "spanId": SPAN_ID.hex(), "startTimeUnixNano": "1", "endTimeUnixNano": "2"}
    return json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": [{**whole, **span}]}]}]}).encode()


def test_json_ids_may_be_upper_case() -> None:
    assert only(traces_from_otlp(json_body({"spanId": "ABCDEF0123456789"}), json=True)).span_id == "abcdef0123456789"


def test_json_integers_may_be_numbers_or_strings() -> None:
    attributes = [{"key": "a", "value": {"intValue": "9007199254740993"}}, {"key": "b", "value": {"intValue": 7}}]
    record = only(traces_from_otlp(json_body({"attributes": attributes, "startTimeUnixNano": 5}), json=True))
    assert record.attributes == {"a": 9007199254740993, "b": 7}
    assert record.start_time_unix_nano == 5


def test_json_fields_of_a_later_otlp_are_passed_over() -> None:
    assert only(traces_from_otlp(json_body({"laterField": {"x": [1]}}), json=True)).name == ""


@pytest.mark.parametrize(
    "span",
    [
        {"traceId": "xyz"},
        {"traceId": TRACE_ID.hex()[2:]},
        {"spanId": 7},
        {"startTimeUnixNano": "soon"},
        {"startTimeUnixNano": -1},
        {"attributes": "many"},
        {"attributes": [7]},
        {"links": [{"traceId": "zz"}]},
    ],
)
def test_a_bad_json_span_is_reported(span: Mapping[str, Any]) -> None:
    decoded = traces_from_otlp(json_body(span), json=True)
    assert (len(decoded.records), len(decoded.rejects)) == (0, 1)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{",
        b"\xff",
        b'{"resourceSpans": [{"scopeSpans": [{"spans": [{"name": "\\ud800"}]}]}]}',
        b'{"resourceSpans": 7}',
        b'{"resourceSpans": [7]}',
        b'{"resourceSpans": [{"resource": 7}]}',
        b'{"resourceSpans": [{"resource": {"attributes": 7}}]}',
        b'{"resourceSpans": ' + b"[" * 5000,
    ],
)
def test_garbage_json_is_no_export(body: bytes) -> None:
    with pytest.raises(DecodeError):
        traces_from_otlp(body, json=True)


def test_an_empty_json_export_holds_nothing() -> None:
    assert traces_from_otlp(b"{}", json=True) == ([], [])
