"""AG2 1.x has an environment of its own (``make test-ag2-1.2.1``); elsewhere these tests are not collected."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec

import pytest
from opentelemetry.sdk.trace import TracerProvider

from cmbagent_otel import content, scope
from cmbagent_otel.instrumentation import health
from cmbagent_otel.instrumentation.ag2 import Ag2Instrumentor
from tests.ag2.recorder import Recorder

collect_ignore_glob = [] if find_spec("ag2") is not None else ["test_*.py"]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


@pytest.fixture
def provider(recorder: Recorder) -> TracerProvider:
    made = TracerProvider(shutdown_on_exit=False)
    made.add_span_processor(recorder)
    return made


@pytest.fixture
def hooks(provider: TracerProvider, recorder: Recorder) -> Iterator[Ag2Instrumentor]:
    """The hooks; afterwards no code of ours has failed, and no span is open."""
    health.reset()
    instrumentor = Ag2Instrumentor()
    instrumentor.instrument(tracer_provider=provider)
    yield instrumentor
    if instrumentor.is_instrumented_by_opentelemetry:
        instrumentor.uninstrument()
    scope.reset()
    assert health.health().faults == {}
    assert recorder.left_open == []


@pytest.fixture
def content_on(hooks: Ag2Instrumentor) -> Iterator[None]:
    """The content gate, open."""
    del hooks
    content.configure(recorded=True, on_spans=True, limit=65536)
    yield
    content.reset()
