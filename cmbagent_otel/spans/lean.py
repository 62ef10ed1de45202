"""Spans of the SDK, made for less: those that begin within a sampled span of this process, as nearly all of ours do.

The SDK copies a span's attributes three times, looks into each value, and takes a dozen locks until the span has ended.
A lean span is a span of the SDK for whoever holds it, and keeps the SDK's limits; but what is plain is taken as it is.
All others are the SDK's own: roots, children of remote parents, and any where the provider samples or cuts values.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any

from opentelemetry.attributes import BoundedAttributes
from opentelemetry.context import Context
from opentelemetry.sdk import trace as sdk
from opentelemetry.sdk.trace.sampling import DEFAULT_ON
from opentelemetry.sdk.util import BoundedList
from opentelemetry.trace import (
    Link,
    Span,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    Tracer,
)
from opentelemetry.trace.propagation import _SPAN_KEY

_STRINGS = frozenset({str})
_PLAIN = frozenset({str, int, float, bool})
_PLAIN_OR_TUPLE = _PLAIN | {tuple}
_UNSET = Status(StatusCode.UNSET)


def lean(tracer: Tracer) -> Tracer:
    """A tracer that makes the same spans for less, or ``tracer`` itself where something about it is out of the common.

    That is: an SDK other than OpenTelemetry's, or one whose spans are made of other parts than those known here; a
    sampler that asks for more than the parent's decision; a bound on the length of values; the SDK's metrics of itself.
    """
    try:
        if type(tracer) is sdk.Tracer and _is_common(tracer):
            made = LeanTracer(tracer)
            _try_out(made)
            return made
    except Exception:  # noqa: BLE001 - an SDK that is not known here; it makes its spans itself
        return tracer
    return tracer


def _is_common(tracer: sdk.Tracer) -> bool:
    limits = tracer._span_limits  # noqa: SLF001 - no other way to know them
    return (
        tracer.sampler is DEFAULT_ON
        and limits.max_span_attribute_length is None
        and limits.max_attribute_length is None
        and 0 not in (limits.max_span_attributes, limits.max_events, limits.max_links)
        and type(tracer._tracer_metrics).__name__ == "NoOpTracerMetrics"  # noqa: SLF001
    )


def _try_out(tracer: LeanTracer) -> None:
    """Let one span live through all that may happen to it, for nobody; raises where the SDK's parts do not fit."""
    context = SpanContext(1, 1, is_remote=False, trace_flags=TraceFlags(TraceFlags.SAMPLED))
    span = LeanSpan(
        tracer,
        "",
        context,
        context,
        kind=SpanKind.INTERNAL,
        attributes={"a": "b"},
        links=(Link(context),),
        start_time=1,
    )
    span._span_processor = sdk.SpanProcessor()  # noqa: SLF001
    span.set_attributes({"c": (1, 2)})
    span.add_event("", {"d": 1})
    span.add_link(context)
    span.record_exception(ValueError())
    span.set_status(StatusCode.ERROR)
    span.update_name("name")
    span.end()
    span.to_json()


class LeanSpan(sdk.Span):
    """A span whose parent is one of this process and sampled."""

    _context: SpanContext
    _end_time: int | None = None
    _status = _UNSET
    _events: Any = ()
    _links: Any = ()
    _sampler = DEFAULT_ON
    _trace_config = None
    _record_exception = True
    _set_status_on_exception = True
    _record_end_metrics = None

    def __init__(
        self,
        tracer: LeanTracer,
        name: str,
        context: SpanContext,
        parent: SpanContext,
        *,
        kind: SpanKind,
        attributes: Mapping[str, Any],
        links: Sequence[Link],
        start_time: int,
    ) -> None:
        made_by = tracer.of_sdk
        self._lock = threading.Lock()
        self._name = name
        self._context = context
        self._parent = parent
        self._kind = kind
        self._start_time = start_time
        self._resource = made_by.resource
        self._instrumentation_info = made_by.instrumentation_info
        self._instrumentation_scope = tracer.instrumentation_scope
        self._span_processor = tracer.span_processor
        self._limits = limits = tracer.limits
        self._attributes: Any = _kept(attributes, limits.max_span_attributes)
        if links:
            self._links = self._new_links(links)

    def get_span_context(self) -> SpanContext:
        """Its ids."""
        return self._context

    def set_attribute(self, key: str, value: Any) -> None:
        """Set one attribute."""
        if not self._take({key: value}):
            super().set_attribute(key, value)

    def set_attributes(self, attributes: Mapping[str, Any]) -> None:
        """Set attributes."""
        if not self._take(attributes):
            super().set_attributes(attributes)

    def _take(self, attributes: Mapping[str, Any]) -> bool:
        """Take them as they are; where that can't be, the SDK does what is to be done."""
        with self._lock:
            own = self._attributes
            if self._end_time is not None or type(own) is not dict:
                return False
            most = self._limits.max_span_attributes
            if (most is None or len(own) + len(attributes) <= most) and _is_plain(attributes):
                if not own.keys().isdisjoint(attributes):
                    for key in attributes:
                        own.pop(key, None)  # it becomes the newest, as with the SDK: the oldest is dropped first
                own.update(attributes)
                return True
            self._attributes = BoundedAttributes(most, own, immutable=False)
            return False

    def add_event(self, name: str, attributes: Mapping[str, Any] | None = None, timestamp: int | None = None) -> None:
        """Add an event."""
        event = sdk.Event(name, _kept(attributes or {}, self._limits.max_event_attributes), timestamp)
        with self._lock:
            if self._end_time is None:
                if not self._events:
                    self._events = []
                self._events.append(event)
                most = self._limits.max_events
                if most is not None and len(self._events) > most:
                    self._events = BoundedList.from_seq(most, self._events)
                return
        self._add_event(event)  # warns that the span has ended

    def add_link(self, context: SpanContext, attributes: Mapping[str, Any] | None = None) -> None:
        """Add a link."""
        if not self._links:
            self._links = self._new_links(())
        super().add_link(context, attributes)

    def end(self, end_time: int | None = None) -> None:
        """End it; processors get the span itself, which nobody can change any more."""
        with self._lock:
            ended = self._end_time is not None
            if not ended:
                self._end_time = end_time if end_time is not None else time.time_ns()
        if ended:
            super().end()  # warns of it
            return
        processor = self._span_processor
        processor._on_ending(self)  # noqa: SLF001 - as the SDK does
        processor.on_end(self)


def _is_plain(attributes: Mapping[str, Any]) -> bool:
    """Whether the SDK would take all of them as they are; asked of all at once, since it is asked of each span."""
    if "" in attributes or not _STRINGS.issuperset(map(type, attributes)):
        return False
    values = attributes.values()
    if _PLAIN.issuperset(map(type, values)):
        return True
    inner = [value for value in values if type(value) is tuple]
    return _PLAIN_OR_TUPLE.issuperset(map(type, values)) and _PLAIN.issuperset(map(type, chain.from_iterable(inner)))


def _kept(attributes: Mapping[str, Any], most: int | None) -> Any:
    if (most is None or len(attributes) <= most) and _is_plain(attributes):
        return dict(attributes)
    return BoundedAttributes(most, attributes, immutable=False)


class LeanTracer(Tracer):
    """Makes lean spans where it may, and lets the SDK's tracer make the others."""

    def __init__(self, of_sdk: sdk.Tracer) -> None:
        self.of_sdk = of_sdk
        self.sampler = of_sdk.sampler
        self.span_processor = of_sdk.span_processor
        self.limits = of_sdk._span_limits  # noqa: SLF001 - no other way to know them
        self.instrumentation_scope = of_sdk._instrumentation_scope  # noqa: SLF001

    def start_as_current_span(self, *args: Any, **kwargs: Any) -> Any:
        """That of the SDK."""
        return self.of_sdk.start_as_current_span(*args, **kwargs)

    def start_span(  # noqa: PLR0917 - as the API has it
        self,
        name: str,
        context: Context | None = None,
        kind: SpanKind = SpanKind.INTERNAL,
        attributes: Mapping[str, Any] | None = None,
        links: Sequence[Link] | None = (),
        start_time: int | None = None,
        record_exception: bool = True,  # noqa: FBT001, FBT002
        set_status_on_exception: bool = True,  # noqa: FBT001, FBT002
    ) -> Span:
        """Begin a span, as :meth:`opentelemetry.trace.Tracer.start_span` does."""
        parent = context.get(_SPAN_KEY) if context is not None else None
        of_sdk = self.of_sdk
        if type(parent) is LeanSpan or (isinstance(parent, sdk.Span) and parent.get_span_context().trace_flags.sampled):
            parent_context: Any = parent._context  # noqa: SLF001 - of our own class, or its base
            trace_id, _, _, trace_flags, trace_state, _ = parent_context
            if of_sdk._is_enabled():  # noqa: SLF001
                span = LeanSpan(
                    self,
                    name,
                    SpanContext(trace_id, of_sdk.id_generator.generate_span_id(), False, trace_flags, trace_state),  # noqa: FBT003
                    parent_context,
                    kind=kind,
                    attributes=attributes or {},
                    links=links or (),
                    start_time=start_time if start_time is not None else time.time_ns(),
                )
                self.span_processor.on_start(span, context)
                return span
        return of_sdk.start_span(
            name, context, kind, attributes, links, start_time, record_exception, set_status_on_exception
        )
