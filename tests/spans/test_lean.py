"""A lean span is a span of the SDK: what is done to both leaves the same, whatever it is."""

from __future__ import annotations

import json
import logging
import random
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk import trace as sdk
from opentelemetry.sdk.trace import ReadableSpan, SpanLimits, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_ON, DEFAULT_OFF, ParentBased
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    Tracer,
    TraceState,
    set_span_in_context,
)

from cmbagent_otel.spans.lean import LeanSpan, lean

OTHER = SpanContext(7, 8, is_remote=True, trace_flags=TraceFlags(TraceFlags.SAMPLED))


class Both:
    """The SDK's tracer and the lean one, of one provider, within one root, or what else is ``around``."""

    def __init__(self, around: trace.Span | None = None, **limits: int) -> None:
        self.exported = InMemorySpanExporter()
        self.provider = TracerProvider(span_limits=SpanLimits(**limits), shutdown_on_exit=False)
        self.provider.add_span_processor(SimpleSpanProcessor(self.exported))
        self.sdk = self.provider.get_tracer("t", "1")
        self.lean = lean(self.sdk)
        self.root = self.sdk.start_span("root")
        self.within = set_span_in_context(around if around is not None else self.root)

    def live(self, life: Callable[[trace.Span], object], **begun: Any) -> tuple[Any, Any]:
        """What the SDK's span says after ``life``, and what the lean one says."""
        return self._live(self.sdk, life, begun), self._live(self.lean, life, begun)

    def _live(self, tracer: Tracer, life: Callable[[trace.Span], object], begun: dict[str, Any]) -> Any:
        self.exported.clear()
        span = tracer.start_span("name", self.within, start_time=10, **begun)
        assert isinstance(span, LeanSpan) == (tracer is not self.sdk)
        life(span)
        if span.is_recording():
            span.end(20)
        (ended,) = self.exported.get_finished_spans()
        return shape(ended)


def shape(span: ReadableSpan) -> dict[str, Any]:
    """All that a span says but its own id, and what no two spans share."""
    said = json.loads(span.to_json().replace("Infinity", "0"))
    del said["context"]["span_id"]
    if span.parent is None:
        del said["context"]["trace_id"]
    for event in said["events"]:
        if event["name"] == "exception":
            del event["timestamp"]
            event["attributes"].pop("exception.stacktrace", None)
    assert span.context is not None
    assert span.instrumentation_scope is not None
    return {
        **said,
        "dropped": (span.dropped_attributes, span.dropped_events, span.dropped_links),
        "scope": (span.instrumentation_scope.to_json(), span._instrumentation_info),  # to read it warns
        "flags": span.context.trace_flags,
        "context": [type(part) for part in span.context],
        "parent": span.parent,
        "order": list(span.attributes or {}),
    }


KEYS = st.sampled_from(["a", "b", "c", "d", "e", ""])
SCALARS = st.one_of(st.text(), st.integers(), st.floats(allow_nan=False), st.booleans(), st.none())
VALUES = st.one_of(
    SCALARS, st.lists(SCALARS), st.tuples(st.text(), st.integers()), st.dictionaries(KEYS, SCALARS), st.just(object)
)
ATTRIBUTES = st.dictionaries(KEYS, VALUES)
STEPS = st.one_of(
    st.tuples(st.just("set_attribute"), KEYS, VALUES),
    st.tuples(st.just("set_attributes"), ATTRIBUTES),
    st.tuples(st.just("add_event"), st.text(), ATTRIBUTES, st.just(15)),
    st.tuples(st.just("add_link"), st.just(OTHER), ATTRIBUTES),
    st.tuples(st.just("update_name"), st.text()),
    st.tuples(st.just("set_status"), st.sampled_from(StatusCode), st.one_of(st.none(), st.text())),
    st.tuples(st.just("record_exception"), st.just(ValueError("no")), ATTRIBUTES),
    st.tuples(st.just("end"), st.integers(11, 19)),
)
AROUND = st.one_of(
    st.none(),  # a root of this process
    st.just(trace.INVALID_SPAN),
    st.builds(
        lambda remote, flags, state: NonRecordingSpan(
            SpanContext(7, 8, is_remote=remote, trace_flags=TraceFlags(flags | TraceFlags.SAMPLED), trace_state=state)
        ),
        st.booleans(),
        st.integers(0, 255),
        st.one_of(st.none(), st.just(TraceState([("a", "b")]))),
    ),
)
LIMITS = ("max_span_attributes", "max_event_attributes", "max_link_attributes", "max_events", "max_links")


@given(
    begun=ATTRIBUTES,
    links=st.lists(ATTRIBUTES, max_size=3),
    steps=st.lists(STEPS),
    limits=st.fixed_dictionaries({}, optional={name: st.integers(1, 4) for name in LIMITS}),
    around=AROUND,
)
def test_a_lean_span_says_what_the_sdks_says_after_any_life(
    begun: dict[str, Any],
    links: list[dict[str, Any]],
    steps: list[tuple[Any, ...]],
    limits: dict[str, int],
    around: trace.Span | None,
) -> None:
    def life(span: trace.Span) -> None:
        for name, *arguments in steps:
            getattr(span, name)(*arguments)

    logging.disable(logging.WARNING)
    try:
        of_sdk, lean_one = Both(around, **limits).live(
            life,
            attributes=begun,
            links=[Link(OTHER, attributes) for attributes in links],
            kind=SpanKind.CLIENT,
        )
    finally:
        logging.disable(logging.NOTSET)
    assert lean_one == of_sdk


def test_a_block_that_raises_says_the_same_of_both() -> None:
    def life(span: trace.Span) -> None:
        with pytest.raises(ValueError, match="no"), trace.use_span(span):
            raise ValueError("no")

    of_sdk, lean_one = Both().live(life)
    assert lean_one == of_sdk
    assert lean_one["status"]["status_code"] == "ERROR"


@pytest.mark.parametrize("record", [True, False])
@pytest.mark.parametrize("mark", [True, False])
def test_an_exception_is_noted_by_both_as_was_asked_for(*, record: bool, mark: bool) -> None:
    both = Both()
    ends: list[Any] = []
    asked = {"record_exception": record, "set_status_on_exception": mark}
    for tracer in (both.sdk, both.lean):
        begun: Any = tracer.start_span("name", both.within, start_time=10, **asked)  # type: ignore[arg-type]
        with pytest.raises(ValueError, match="no"), begun as span:
            raise ValueError("no")
        ends.append({**shape(span), "end_time": 20})
    assert ends[1] == ends[0]


def test_nothing_changes_after_the_end_and_each_try_is_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    both = Both()
    span = both.lean.start_span("name", both.within, attributes={"a": 1})
    span.end(20)
    span.end(30)
    span.set_attribute("a", 2)
    span.add_event("late")
    span.add_link(OTHER)
    span.set_status(StatusCode.ERROR)
    span.update_name("late")
    assert isinstance(span, LeanSpan)
    assert dict(span.attributes or {}) == {"a": 1}
    assert (span.events, span.links, span.end_time, span.name) == ((), (), 20, "name")
    assert span.status.status_code is StatusCode.UNSET
    assert len(both.exported.get_finished_spans()) == 1
    assert len(caplog.records) == 6
    with pytest.raises(TypeError):
        span.attributes["a"] = 2  # type: ignore[index]


def test_what_the_program_passed_and_changes_later_does_not_change_the_span() -> None:
    both = Both()
    passed: dict[str, Any] = {"a": [1], "b": "c"}
    span = both.lean.start_span("name", both.within, attributes=passed)
    span.add_event("e", passed)
    passed["a"].append(2)
    passed["b"] = "d"
    assert isinstance(span, LeanSpan)
    assert dict(span.attributes or {}) == {"a": (1,), "b": "c"}
    assert dict(span.events[0].attributes or {}) == {"a": (1,), "b": "c"}


def test_processors_may_add_attributes_when_a_span_begins() -> None:
    both = Both()
    told: list[tuple[str, Any]] = []

    class Adds(sdk.SpanProcessor):
        def on_start(self, span: sdk.Span, parent_context: Context | None = None) -> None:
            span.set_attribute("added", value=True)
            told.append(("start", parent_context))

        def on_end(self, span: ReadableSpan) -> None:
            told.append(("end", dict(span.attributes or {})))

    both.provider.add_span_processor(Adds())
    both.lean.start_span("name", both.within).end()
    assert told == [("start", both.within), ("end", {"added": True})]


def test_what_is_within_an_unsampled_span_is_left_to_the_sdk() -> None:
    parent = NonRecordingSpan(SpanContext(1, 2, is_remote=False))
    span = Both().lean.start_span("name", set_span_in_context(parent))
    assert not isinstance(span, LeanSpan)
    assert not span.is_recording()


def test_a_tracer_that_was_turned_off_makes_no_spans() -> None:
    both = Both()
    both.sdk._tracer_config = type("Off", (), {"is_enabled": False})()  # type: ignore[attr-defined]
    assert not both.lean.start_span("name", both.within).is_recording()


def test_a_processor_that_is_added_later_hears_of_the_end_before_and_after_it() -> None:
    both = Both()
    both.lean.start_span("name", both.within).end()
    heard: list[tuple[str, bool]] = []

    class Listens(sdk.SpanProcessor):
        def _on_ending(self, span: sdk.Span) -> None:
            heard.append(("ending", span.end_time is not None))

        def on_end(self, span: ReadableSpan) -> None:
            heard.append(("end", span.end_time is not None))

    both.provider.add_span_processor(Listens())
    both.lean.start_span("name", both.within).end()
    assert heard == [("ending", True), ("end", True)]


def test_seeded_random_numbers_of_the_program_are_not_drawn_to_try_the_sdk_out() -> None:
    tracer = TracerProvider().get_tracer("t")
    random.seed(1)
    before = random.getstate()
    assert lean(tracer) is not tracer
    assert random.getstate() == before


@pytest.mark.parametrize(
    "provider",
    [
        TracerProvider(sampler=ALWAYS_ON),
        TracerProvider(sampler=DEFAULT_OFF),
        TracerProvider(sampler=ParentBased(ALWAYS_ON, local_parent_sampled=ALWAYS_ON)),
        TracerProvider(span_limits=SpanLimits(max_span_attribute_length=8)),
        TracerProvider(span_limits=SpanLimits(max_attribute_length=8)),
        TracerProvider(span_limits=SpanLimits(max_events=0)),
        trace.NoOpTracerProvider(),
        trace.ProxyTracerProvider(),
    ],
    ids=["always on", "off", "own sampler", "span length", "length", "no events", "no-op", "proxy"],
)
def test_a_provider_out_of_the_common_keeps_its_own_tracer(provider: trace.TracerProvider) -> None:
    tracer = provider.get_tracer("t")
    assert lean(tracer) is tracer


def test_an_sdk_whose_spans_are_made_of_other_parts_keeps_its_own_tracer(monkeypatch: pytest.MonkeyPatch) -> None:
    tracer = TracerProvider().get_tracer("t")
    monkeypatch.delattr(sdk.Span, "_new_links")
    assert lean(tracer) is tracer


def test_lean_spans_and_others_may_be_parents_of_each_other() -> None:
    both = Both()
    first = both.lean.start_span("first", both.within)
    second = both.sdk.start_span("second", set_span_in_context(first))
    third = both.lean.start_span("third", set_span_in_context(second))
    assert isinstance(second, sdk.Span)
    assert isinstance(third, LeanSpan)
    assert (second.parent, third.parent) == (first.get_span_context(), second.get_span_context())
    assert third.get_span_context().trace_id == both.root.get_span_context().trace_id


def test_a_status_with_words_is_kept() -> None:
    of_sdk, lean_one = Both().live(lambda span: span.set_status(Status(StatusCode.ERROR, "why")))
    assert lean_one == of_sdk
