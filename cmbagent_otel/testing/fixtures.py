"""The kit as pytest fixtures: put ``pytest_plugins = ["cmbagent_otel.testing.fixtures"]`` into ``conftest.py``."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from cmbagent_otel.testing.determinism import IncrementalIdGenerator, TickingClock
from cmbagent_otel.testing.model_server import ScriptedModelServer
from cmbagent_otel.testing.script import Reply, Script


@pytest.fixture
def scripted_model(
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Callable[[Script | Iterable[Reply]], ScriptedModelServer]]:
    """Start a server with a script; ``OPENAI_BASE_URL`` and ``OPENAI_API_KEY`` lead the test's program to it."""
    with ExitStack() as servers:

        def start(script: Script | Iterable[Reply]) -> ScriptedModelServer:
            server = servers.enter_context(ScriptedModelServer(script))
            monkeypatch.setenv("OPENAI_BASE_URL", server.base_url)
            monkeypatch.setenv("OPENAI_API_KEY", "sk-scripted")
            return server

        yield start


@pytest.fixture
def span_exporter() -> InMemorySpanExporter:
    """Where :func:`tracer_provider` puts ended spans: ``span_exporter.get_finished_spans()``."""
    return InMemorySpanExporter()


@pytest.fixture
def tracer_provider(span_exporter: InMemorySpanExporter) -> Iterator[TracerProvider]:
    """A provider whose ids count from 1 and whose clock ticks a millisecond; it is not the global one."""
    provider = TracerProvider(id_generator=IncrementalIdGenerator(), shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(span_exporter))
    with TickingClock():
        yield provider
    provider.shutdown()
