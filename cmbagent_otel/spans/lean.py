"""Spans of the SDK, made for less: roots, and those that begin within a sampled span.

The SDK copies a span's attributes three times, looks into each value, and takes a dozen locks until the span has ended.
A lean span is a span of the SDK for whoever holds it, and keeps the SDK's limits; but what is plain is taken as it is.
All others are the SDK's own: those within an unsampled span, and any where the provider samples or cuts values.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import SimpleNamespace
from typing import Any

from opentelemetry.attributes import BoundedAttributes
from opentelemetry.context import Context, get_current
from opentelemetry.sdk import trace as sdk
from opentelemetry.sdk.trace.sampling import DEFAULT_ON
from opentelemetry.sdk.util import BoundedList
from opentelemetry.trace import (
    INVALID_SPAN_CONTEXT,
    Link,
    Span,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    Tracer,
    TraceState,
)
from opentelemetry.trace.propagation import _SPAN_KEY
from opentelemetry.trace.span import DEFAULT_TRACE_STATE

_STRINGS = frozenset({str})
_PLAIN = frozenset({str, int, float, bool})
_UNSET = Status(StatusCode.UNSET)
_SAMPLED = TraceFlags(TraceFlags.SAMPLED)
_SAMPLED_RANDOM = TraceFlags(TraceFlags.SAMPLED | getattr(TraceFlags, "RANDOM_TRACE_ID", 0))
_DEAF = getattr(sdk.SpanProcessor, "_on_ending", None)
_new: Callable[[type[LeanSpan]], LeanSpan] = object.__new__
_new_tuple: Callable[[type[SpanContext], tuple[Any, ...]], SpanContext] = tuple.__new__
_new_lock = threading.Lock


def lean(tracer: Tracer) -> Tracer:
    """A tracer that makes the same spans for less, or ``tracer`` itself where something about it is out of the common.

    That is: an SDK other than OpenTelemetry's, or one whose spans are made of other parts than those known here; a
    sampler that asks for more than the parent's decision; a bound on the length of values; the SDK's metrics of itself.
    """
    try:
        if type(tracer) is sdk.Tracer and _is_common(tracer):
            _try_out(LeanTracer(tracer, sdk.SpanProcessor()))
            return LeanTracer(tracer, tracer.span_processor)
    except Exception:  # noqa: BLE001 - an SDK that is not known here; it makes its spans itself
        return tracer
    return tracer


def _is_common(tracer: sdk.Tracer) -> bool:
    limits = tracer._span_limits  # noqa: SLF001 - no other way to know them
    tracer._tracer_config.is_enabled  # noqa: B018, SLF001 - an SDK without it is not known here
    return (
        tracer.sampler is DEFAULT_ON
        and limits.max_span_attribute_length is None
        and limits.max_attribute_length is None
        and 0 not in (limits.max_span_attributes, limits.max_events, limits.max_links)
        and type(tracer._tracer_metrics).__name__ == "NoOpTracerMetrics"  # noqa: SLF001
    )


def _try_out(tracer: LeanTracer) -> None:
    """Let spans live through all that may happen to one, for nobody; raises where the SDK's parts do not fit."""
    context = SpanContext(1, 2, is_remote=False, trace_flags=_SAMPLED)
    if tuple(_span_context(1, 2, _SAMPLED, DEFAULT_TRACE_STATE)) != tuple(context):
        raise TypeError("a span's context is made of other parts")
    span = _new(LeanSpan)
    span.begin(tracer, "", context, context, SpanKind.CLIENT, {"a": "b"}, (Link(context),), 1)
    span.set_attributes({"c": (1, 2)})
    span.add_event("", {"d": 1})
    span.add_link(context)
    span.record_exception(ValueError())
    span.set_status(StatusCode.ERROR)
    span.update_name("other")
    span.end()
    span.to_json()


class LeanSpan(sdk.Span):
    """A sampled span; its tracer makes it."""

    _context: SpanContext
    _parent: SpanContext | None
    _end_time: int | None = None
    _status = _UNSET
    _events: Any = ()
    _links: Any = ()
    _sampler = DEFAULT_ON
    _trace_config = None
    _record_exception = True
    _set_status_on_exception = True
    _record_end_metrics = None

    def begin(  # noqa: PLR0917 - called for every span, and names of arguments are paid for
        self,
        tracer: LeanTracer,
        name: str,
        context: SpanContext,
        parent: SpanContext | None,
        kind: SpanKind,
        attributes: Mapping[str, Any],
        links: Sequence[Link] | None,
        start_time: int,
    ) -> None:
        """What ``__init__`` of the SDK's does, for spans made by :class:`LeanTracer` only."""
        self._tracer = tracer
        self._lock = _new_lock()
        self._name = name
        self._context = context
        self._parent = parent
        self._kind = kind
        self._start_time = start_time
        self._resource = tracer.of_sdk.resource
        self._attributes: Any = _kept(attributes, tracer.limits.max_span_attributes)
        if links:
            self._links = self._new_links(links)

    # The same for all spans of a tracer; the SDK's methods look for them here, and set them in __init__ only.

    @property
    def _limits(self) -> Any:
        return self._tracer.limits

    @property
    def _span_processor(self) -> Any:  # type: ignore[override]
        return self._tracer.span_processor

    @property
    def _instrumentation_info(self) -> Any:  # type: ignore[override]
        return self._tracer.of_sdk.instrumentation_info

    @property
    def _instrumentation_scope(self) -> Any:  # type: ignore[override]
        return self._tracer.instrumentation_scope

    def get_span_context(self) -> SpanContext:
        """Its ids."""
        return self._context

    def is_recording(self) -> bool:
        """Whether it has not ended."""
        return self._end_time is None

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
            most = self._tracer.limits.max_span_attributes
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
        event = sdk.Event(name, _kept(attributes or {}, self._tracer.limits.max_event_attributes), timestamp)
        with self._lock:
            if self._end_time is None:
                if not self._events:
                    self._events = []
                self._events.append(event)
                most = self._tracer.limits.max_events
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
            if self._end_time is None:
                self._end_time = time.time_ns() if end_time is None else end_time
                tracer: LeanTracer | None = self._tracer
            else:
                tracer = None
        if tracer is not None:
            tracer.ended(self)
        else:
            super().end()  # warns of it


def _is_plain(attributes: Mapping[str, Any]) -> bool:
    """Whether the SDK would take all of them as they are; asked of all at once, since it is asked of each span."""
    if not _STRINGS.issuperset(map(type, attributes)) or "" in attributes:
        return False
    values = attributes.values()
    return _PLAIN.issuperset(map(type, values)) or _are_plain_or_tuples(values)


def _are_plain_or_tuples(values: Iterable[Any]) -> bool:
    for value in values:
        kind = type(value)
        if kind is tuple:
            if not _PLAIN.issuperset(map(type, value)):
                return False
        elif kind not in _PLAIN:
            return False
    return True


def _kept(attributes: Mapping[str, Any], most: int | None) -> Any:
    if (most is None or len(attributes) <= most) and _is_plain(attributes):
        return dict(attributes)
    return BoundedAttributes(most, attributes, immutable=False)


def _span_context(trace_id: int, span_id: int, flags: TraceFlags, state: TraceState) -> SpanContext:
    """What ``SpanContext`` makes of them, without its calls."""
    return _new_tuple(SpanContext, (trace_id, span_id, False, flags, state, trace_id > 0 < span_id))


def _says_random(generator: Any) -> bool:
    says = getattr(generator, "is_trace_id_random", None)  # older ones don't
    return says is not None and bool(says())


class LeanTracer(Tracer):
    """Makes lean spans where it may, and lets the SDK's tracer make the others."""

    def __init__(self, of_sdk: sdk.Tracer, span_processor: sdk.SpanProcessor) -> None:
        self.of_sdk = of_sdk
        self.sampler = of_sdk.sampler
        self.span_processor = span_processor
        self.limits = of_sdk._span_limits  # noqa: SLF001 - no other way to know them
        self.instrumentation_scope = of_sdk._instrumentation_scope  # noqa: SLF001
        one_by_one = type(span_processor) is sdk.SynchronousMultiSpanProcessor
        self._all: Any = span_processor if one_by_one else SimpleNamespace(_span_processors=(span_processor,))
        self._known: tuple[Any, list[Any]] = ((), [])
        """Processors as they were last seen, and those of them that listen when a span is about to end."""

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
        of_sdk = self.of_sdk
        if not of_sdk._tracer_config.is_enabled:  # noqa: SLF001
            return of_sdk.start_span(name, context, kind, attributes, links, start_time)
        within = (context if context is not None else get_current()).get(_SPAN_KEY)
        parent: Any
        if type(within) is LeanSpan:
            parent = within._context  # noqa: SLF001 - of our own class
            trace_id, _, _, flags, state, _ = parent
        else:
            parent = within.get_span_context() if isinstance(within, Span) else INVALID_SPAN_CONTEXT
            trace_id, flags, state = parent.trace_id, _SAMPLED, parent.trace_state
            is_random = getattr(parent.trace_flags, "random_trace_id", False)
            if not parent.is_valid:
                generator, parent, state = of_sdk.id_generator, None, DEFAULT_TRACE_STATE
                trace_id = generator.generate_trace_id()
                is_random = _says_random(generator)
            elif not parent.trace_flags.sampled:
                return of_sdk.start_span(name, context, kind, attributes, links, start_time)
            if is_random:
                flags = _SAMPLED_RANDOM
        span_id = of_sdk.id_generator.generate_span_id()
        span = _new(LeanSpan)
        span.begin(
            self,
            name,
            _span_context(trace_id, span_id, flags, state),
            parent,
            kind,
            attributes or {},
            links,
            time.time_ns() if start_time is None else start_time,
        )
        if not record_exception:
            span._record_exception = False  # noqa: SLF001 - of our own class
        if not set_status_on_exception:
            span._set_status_on_exception = False  # noqa: SLF001 - as above
        for processor in self._all._span_processors:  # noqa: SLF001 - as the SDK's one for all does
            processor.on_start(span, context)
        return span

    def ended(self, span: LeanSpan) -> None:
        """Tell the processors."""
        processors = self._all._span_processors  # noqa: SLF001 - as above
        known, listening = self._known
        if processors is not known:
            listening = [one for one in processors if getattr(one._on_ending, "__func__", None) is not _DEAF]  # noqa: SLF001
            self._known = (processors, listening)
        for processor in listening:
            processor._on_ending(span)  # noqa: SLF001 - as the SDK does
        for processor in processors:
            processor.on_end(span)
