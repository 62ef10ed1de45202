"""The metrics of the GenAI conventions, where the program has set a meter provider."""

from __future__ import annotations

from typing import Any

import pytest
from opentelemetry import metrics
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader

from cmbagent_otel import semconv
from tests.scenarios.programs import chats, failures, models
from tests.scenarios.stage import Play


@pytest.fixture
def reader() -> InMemoryMetricReader:
    made = InMemoryMetricReader()
    metrics.set_meter_provider(MeterProvider(metric_readers=[made], shutdown_on_exit=False))
    return made


def points(reader: InMemoryMetricReader) -> dict[str, list[Any]]:
    """Data points by the name of their metric."""
    data = reader.get_metrics_data()
    found = [m for r in data.resource_metrics for s in r.scope_metrics for m in s.metrics] if data else []
    return {metric.name: list(metric.data.data_points) for metric in found}


def test_tokens_and_durations_are_those_of_the_model_calls(play: Play, reader: InMemoryMetricReader) -> None:
    world = play(chats.two_agents_with_a_tool).world
    found = points(reader)
    (duration,) = found[semconv.METRIC_OPERATION_DURATION]
    assert duration.count == len(world.server.requests)
    tokens = {point.attributes[semconv.TOKEN_TYPE]: point.sum for point in found[semconv.METRIC_TOKEN_USAGE]}
    assert tokens == {"input": world.server.billed.input_tokens, "output": world.server.billed.output_tokens}
    assert duration.attributes[semconv.PROVIDER_NAME] == "openai"
    assert duration.attributes[semconv.REQUEST_MODEL] == "gpt-4o-mini"


def test_cached_answer_is_no_model_call(play: Play, reader: InMemoryMetricReader) -> None:
    play(models.cached_answer)
    (duration,) = points(reader)[semconv.METRIC_OPERATION_DURATION]
    assert duration.count == 1


def test_call_that_failed_is_measured_with_its_error(play: Play, reader: InMemoryMetricReader) -> None:
    play(failures.model_that_refuses)
    found = points(reader)
    (duration,) = found[semconv.METRIC_OPERATION_DURATION]
    assert duration.attributes[semconv.ERROR_TYPE] == "openai.AuthenticationError"
    assert semconv.METRIC_TOKEN_USAGE not in found
