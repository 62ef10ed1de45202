"""Where our spans go: the tracer that makes them, found when the first one begins."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable

from opentelemetry import trace
from opentelemetry.trace import Tracer, TracerProvider

from cmbagent_otel import semconv
from cmbagent_otel.version import __version__


class _Destination:
    """What the whole process shares."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.tracer: Tracer | None = None
        self.all_or_nothing = False
        self.resolver: Callable[[], None] | None = None


_destination = _Destination()


def before_first_span(resolver: Callable[[], None] | None) -> None:
    """Call ``resolver`` once, before the first span of ours: the provider is found only then."""
    with _destination.lock:
        _destination.resolver = resolver
        _destination.tracer = None


def use_provider(provider: TracerProvider) -> None:
    """Take the tracer of our spans from ``provider``, not from the global one."""
    with _destination.lock:
        _destination.resolver = None
        _take(provider.get_tracer(semconv.SCOPE_NAME, __version__, schema_url=semconv.SCHEMA_URL))


def tracer() -> Tracer:
    """The tracer of our spans."""
    found = _destination.tracer
    if found is None:
        with _destination.lock:
            resolver, _destination.resolver = _destination.resolver, None
            if resolver is not None:
                resolver()
            found = _take(trace.get_tracer(semconv.SCOPE_NAME, __version__, schema_url=semconv.SCHEMA_URL))
    return found


def _take(found: Tracer) -> Tracer:
    if "opentelemetry.sdk.trace" in sys.modules:  # without it no tracer is the SDK's
        from cmbagent_otel.spans.lean import lean

        found = lean(found)
    _destination.tracer = found
    under_unsampled = getattr(getattr(found, "sampler", None), "_local_parent_not_sampled", None)
    _destination.all_or_nothing = (
        under_unsampled is not None and under_unsampled.get_description() == "AlwaysOffSampler"
    )
    return found


def is_all_or_nothing() -> bool:
    """Whether under a span that is not sampled none is."""
    return _destination.all_or_nothing


def goes_elsewhere(span: object) -> bool:
    """Whether it is known of the span that it goes to another provider: as a parent it would never come."""
    processor = getattr(span, "_span_processor", None)
    ours = getattr(_destination.tracer, "span_processor", None)
    return processor is not None and ours is not None and processor is not ours


def is_our_destination(other: object) -> bool:
    """Whether spans of the tracer or span ``other`` go where ours go."""
    ours = getattr(tracer(), "span_processor", None)
    return ours is not None and ours in (
        getattr(other, "span_processor", None),
        getattr(other, "_span_processor", None),
    )


def reset() -> None:
    """Forget everything, as in a new process; for tests."""
    global _destination  # noqa: PLW0603 - a process has one
    _destination = _Destination()
