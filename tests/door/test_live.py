"""What is under way is known, and what has ended is let go of, however busy the writer's thread is."""

from __future__ import annotations

import weakref
from collections.abc import Callable

import pytest
from opentelemetry.context import Context
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor, TracerProvider
from opentelemetry.trace import Tracer

from cmbagent_otel.live import Live
from cmbagent_otel.spans.lean import LeanSpan, lean
from cmbagent_otel.spans.record import SpanRecord


class Told(SpanProcessor):
    """Tells :class:`Live` what an SDK tells its processors; the SDK's own spans come as a copy when they end."""

    def __init__(self) -> None:
        self.live = Live(heartbeat_interval=30)
        self.announced: list[bool] = []

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        self.live.begun(span, parent_context)

    def on_end(self, span: ReadableSpan) -> None:
        self.announced.append(self.live.ended(span))


@pytest.fixture
def told() -> Told:
    return Told()


@pytest.fixture(params=[lean, lambda tracer: tracer], ids=["lean", "of the SDK"])
def tracer(request: pytest.FixtureRequest, told: Told) -> Tracer:
    """Makes spans of ours, or such as other tracers and providers out of the common make."""
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(told)
    make: Callable[[Tracer], Tracer] = request.param
    made = make(provider.get_tracer("test"))
    assert (type(made.start_span("first")) is LeanSpan) == (make is lean)
    told.live = Live(heartbeat_interval=30)
    return made


def test_spans_that_have_ended_take_no_room_while_nobody_asks_what_is_due(told: Told, tracer: Tracer) -> None:
    def live_and_end(number: int) -> weakref.ref[object]:
        span = tracer.start_span(f"span {number}")
        span.end()
        return weakref.ref(span)

    made = [live_and_end(number) for number in range(2_000)]
    assert sum(span() is not None for span in made) == 0
    assert told.live.due(512, everything=True) == []


def test_a_span_that_is_still_running_is_announced_however_many_came_after_it(told: Told, tracer: Tracer) -> None:
    running = tracer.start_span("long")
    for number in range(2_000):
        tracer.start_span(f"span {number}").end()
    (record, heartbeat) = told.live.due(512, everything=True)
    assert isinstance(record, SpanRecord)
    assert record.name == "long"
    assert heartbeat is not None
    running.end()
    assert told.live.due(512, everything=True) == []
    assert (told.announced[-1], any(told.announced[:-1])) == (True, False)
