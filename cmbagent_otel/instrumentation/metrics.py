"""The two metrics of the GenAI conventions for model calls, where the program has set a meter provider."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from opentelemetry import metrics
from opentelemetry.metrics import Histogram, MeterProvider, NoOpMeterProvider, _internal
from opentelemetry.trace import Span

from cmbagent_otel import semconv
from cmbagent_otel.version import __version__

_SECONDS = [0.01 * 2**n for n in range(14)]
_TOKENS = [4**n for n in range(14)]
_KEYS = (
    semconv.OPERATION_NAME,
    semconv.PROVIDER_NAME,
    semconv.REQUEST_MODEL,
    semconv.RESPONSE_MODEL,
    semconv.SERVER_ADDRESS,
    semconv.SERVER_PORT,
    semconv.ERROR_TYPE,
)
_TOKEN_TYPES = ((semconv.USAGE_INPUT_TOKENS, "input"), (semconv.USAGE_OUTPUT_TOKENS, "output"))


class _Instruments:
    """The histograms of one meter provider."""

    def __init__(self, provider: MeterProvider) -> None:
        self.provider = provider
        meter = provider.get_meter(semconv.SCOPE_NAME, __version__, schema_url=semconv.SCHEMA_URL)
        self.duration: Histogram = meter.create_histogram(
            semconv.METRIC_OPERATION_DURATION,
            unit="s",
            description="Duration of a model call.",
            explicit_bucket_boundaries_advisory=_SECONDS,
        )
        self.tokens: Histogram = meter.create_histogram(
            semconv.METRIC_TOKEN_USAGE,
            unit="{token}",
            description="Tokens of a model call.",
            explicit_bucket_boundaries_advisory=_TOKENS,
        )


class _Current:
    asked = False
    instruments: _Instruments | None = None


def record_model_call(span: Span) -> None:
    """Measure a model call by its span, which has ended."""
    # The public function looks into the environment each time, as long as there is no provider.
    if _Current.asked and getattr(_internal, "_METER_PROVIDER", _Current) is None:
        return
    provider = metrics.get_meter_provider()
    _Current.asked = True
    if isinstance(provider, NoOpMeterProvider) or type(provider).__name__ == "_ProxyMeterProvider":
        return
    attributes: Mapping[str, Any] = getattr(span, "attributes", None) or {}
    started, ended = getattr(span, "start_time", None), getattr(span, "end_time", None)
    if started is None or ended is None or attributes.get(semconv.LLM_CACHED):
        return
    instruments = _Current.instruments
    if instruments is None or instruments.provider is not provider:
        instruments = _Current.instruments = _Instruments(provider)
    shared = {key: attributes[key] for key in _KEYS if key in attributes}
    instruments.duration.record((ended - started) / 1e9, shared)
    for key, token_type in _TOKEN_TYPES:
        tokens = attributes.get(key)
        if tokens is not None:
            instruments.tokens.record(tokens, {**shared, semconv.TOKEN_TYPE: token_type})
