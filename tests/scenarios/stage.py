"""The stage: hooks on a provider of a test's own, and a program played on it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from opentelemetry.context import Context
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor, TracerProvider

from cmbagent_otel import content, scope, semconv
from cmbagent_otel.instrumentation.autogen import AutogenInstrumentor
from cmbagent_otel.instrumentation.health import health
from cmbagent_otel.semconv import NodeKind
from cmbagent_otel.spans.ids import SystemRandomIdGenerator
from cmbagent_otel.testing import ScriptedModelServer
from tests.scenarios.trace import Trace, attribute
from tests.scenarios.world import Program, World


class Recorder(SpanProcessor):
    """Keeps what begins and what ends."""

    def __init__(self) -> None:
        self.begun: list[Span] = []
        self.ended: list[ReadableSpan] = []

    @property
    def left_open(self) -> list[str]:
        """Spans that never ended, and were not abandoned on purpose."""
        return [s.name for s in self.begun if s.end_time is None and semconv.ABANDONED not in (s.attributes or {})]

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """Keep it."""
        self.begun.append(span)

    def on_end(self, span: ReadableSpan) -> None:
        """Keep it."""
        self.ended.append(span)


class Performance(NamedTuple):
    """A program that has run."""

    outcome: Any
    world: World
    trace: Trace


class Play(Protocol):
    """Run a program with hooks, and check what is true of every trace."""

    def __call__(self, program: Program, *, traces: int | None = None) -> Performance: ...


class Perform(Protocol):
    """Run a program as its user would, whatever is installed."""

    def __call__(self, program: Program) -> tuple[Any, World]: ...


@contextmanager
def installed(recorder: Recorder, *, content_on: bool = False) -> Iterator[AutogenInstrumentor]:
    """Hooks in, hooks out."""
    content.configure(recorded=content_on, on_spans=content_on, limit=65536)
    provider = TracerProvider(shutdown_on_exit=False, id_generator=SystemRandomIdGenerator())
    provider.add_span_processor(recorder)
    instrumentor = AutogenInstrumentor()
    instrumentor.instrument(tracer_provider=provider)
    try:
        yield instrumentor
    finally:
        instrumentor.uninstrument()
        scope.reset()


def perform(program: Program, folder: Path) -> tuple[Any, World]:
    """Run a program: what its user sees, and the world that it ran in."""
    folder.mkdir()
    with ScriptedModelServer(program.replies()) as server:
        world = World(server, folder)
        return program.run(world), world


def check(trace: Trace, world: World, recorder: Recorder, traces: int) -> None:
    """What is true of every trace, whatever the program."""
    assert health().faults == {}, "code of ours failed"
    assert recorder.left_open == []
    assert trace.orphans == []
    assert len(trace.traces) == len(trace.roots) == traces, trace.outline()
    answered = [exchange for exchange in world.server.exchanges if exchange.reply.status == 200]
    asked = [
        span for span in trace.of(NodeKind.LLM) if span.status.is_unset and not attribute(span, semconv.LLM_CACHED)
    ]
    assert len(asked) == len(answered)
    assert trace.tokens == world.server.billed
    for span in trace.spans:
        assert span.status.is_unset == (attribute(span, semconv.ERROR_TYPE) is None), span.name
        assert not semconv.CONTENT_KEYS.intersection(span.attributes or {}) or content.is_recorded()
        size = len(span.to_json(indent=None)) - len(span.resource.to_json(indent=None))
        assert size < 8192 or content.is_recorded(), span.name
