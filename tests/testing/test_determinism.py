"""Ids and times that repeat."""

from __future__ import annotations

import time

import pytest
from opentelemetry.sdk.trace import TracerProvider

from cmbagent_otel.testing import IncrementalIdGenerator, TickingClock

pytest_plugins = ["pytester"]


def test_ids_count_from_one() -> None:
    provider = TracerProvider(id_generator=IncrementalIdGenerator(), shutdown_on_exit=False)
    tracer = provider.get_tracer("test")
    contexts = [tracer.start_span(name).get_span_context() for name in ("first", "second")]
    assert [(context.trace_id, context.span_id) for context in contexts] == [(1, 1), (2, 2)]


def test_spans_take_their_times_from_the_ticking_clock_and_afterwards_from_the_real_one() -> None:
    tracer = TracerProvider(shutdown_on_exit=False).get_tracer("test")
    with TickingClock(start=100, step=10):
        span = tracer.start_span("ticking")
        span.end()
    assert (span.start_time, span.end_time) == (100, 110)  # type: ignore[attr-defined]
    real = tracer.start_span("real")
    assert abs(real.start_time - time.time_ns()) < 60_000_000_000  # type: ignore[attr-defined]


def test_the_fixtures_give_a_server_and_spans_that_repeat(pytester: pytest.Pytester) -> None:
    pytester.makeconftest('pytest_plugins = ["cmbagent_otel.testing.fixtures"]')
    pytester.makepyfile(
        """
        import openai
        from cmbagent_otel.testing import say

        def test_server(scripted_model):
            server = scripted_model([say("hello")])
            with openai.OpenAI() as client:
                answer = client.chat.completions.create(model="m", messages=[])
            assert answer.choices[0].message.content == "hello"
            assert len(server.requests) == 1

        def test_spans(tracer_provider, span_exporter):
            with tracer_provider.get_tracer("test").start_as_current_span("one"):
                pass
            (span,) = span_exporter.get_finished_spans()
            assert span.context.span_id == 1
            assert span.end_time - span.start_time == 1_000_000
        """
    )
    pytester.runpytest_subprocess().assert_outcomes(passed=2)
