"""What is under way is known, and what has ended is let go of, however busy the writer's thread is."""

from __future__ import annotations

import weakref

from opentelemetry.sdk.trace import Span, TracerProvider

from cmbagent_otel.live import Live
from cmbagent_otel.spans.record import SpanRecord


def _begun(live: Live, name: str) -> Span:
    span = TracerProvider().get_tracer("test").start_span(name)
    assert isinstance(span, Span)
    live.begun(span)
    return span


def test_spans_that_have_ended_take_no_room_while_nobody_asks_what_is_due() -> None:
    live = Live(heartbeat_interval=30)

    def live_and_end(number: int) -> weakref.ref[Span]:
        span = _begun(live, f"span {number}")
        span.end()
        live.ended(span)
        return weakref.ref(span)

    made = [live_and_end(number) for number in range(5_000)]
    assert sum(span() is not None for span in made) == 0


def test_a_span_that_is_still_running_is_announced_however_many_came_after_it() -> None:
    live = Live(heartbeat_interval=30)
    running = _begun(live, "long")
    for number in range(5_000):
        live.ended(_begun(live, f"span {number}"))
    (record, heartbeat) = live.due(512, everything=True)
    assert isinstance(record, SpanRecord)
    assert record.name == "long"
    assert heartbeat is not None
    running.end()
    assert live.due(512, everything=True) == []
