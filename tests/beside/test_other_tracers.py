"""Instrumentors of OpenAI's library beside us: all spans stay; in our tables the model calls are ours, counted once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.sdk.trace import TracerProvider
from sqlalchemy import text

from cmbagent_otel import semconv
from cmbagent_otel.instrumentation.autogen import AutogenInstrumentor
from cmbagent_otel.store.engine import open_engine
from cmbagent_otel.testing import ScriptedModelServer
from tests.ag2.recorder import Recorder
from tests.invariants import check_invariants
from tests.scenarios.trace import Trace, attribute

pytest.importorskip("autogen")
OTHERS = [
    "opentelemetry.instrumentation.genai.openai",
    "opentelemetry.instrumentation.openai_v2",  # its forerunner
    "openinference.instrumentation.openai",
]
PROGRAMS = ["two_agents_with_a_tool", "two_agents_with_a_tool_async", "streamed_answer"]


@pytest.fixture(params=OTHERS)
def other(request: pytest.FixtureRequest) -> Any:
    """An instrumentor of OpenAI's library that is not ours."""
    return pytest.importorskip(request.param, reason=f"not installed: {request.param}").OpenAIInstrumentor()


@pytest.fixture(params=["before us", "after us"])
def first(request: pytest.FixtureRequest) -> str:
    """Who is installed first."""
    return str(request.param)


@pytest.fixture
def both(other: Any, first: str, provider: TracerProvider) -> Iterator[Any]:
    """The other instrumentor and ours, on one provider."""
    ours = AutogenInstrumentor()
    order = [other, ours] if first == "before us" else [ours, other]
    for instrumentor in order:
        instrumentor.instrument(tracer_provider=provider)
    yield other
    for instrumentor in reversed(order):
        instrumentor.uninstrument()


def perform(name: str, folder: Path) -> ScriptedModelServer:
    """Run a program of the scenarios."""
    from tests.scenarios import stage
    from tests.scenarios.programs import chats, models

    program = getattr(chats, name, None) or getattr(models, name)
    return stage.perform(program, folder / name)[1].server


@pytest.mark.usefixtures("both")
@pytest.mark.parametrize("program", PROGRAMS)
def test_model_call_is_one_llm_node_and_billed_once(
    program: str, provider: TracerProvider, recorder: Recorder, database: str, tmp_path: Path
) -> None:
    server = perform(program, tmp_path)
    assert provider.force_flush()
    scopes = {span.instrumentation_scope.name for span in recorder.ended if span.instrumentation_scope}
    theirs = scopes - {semconv.SCOPE_NAME}
    assert len(theirs) == 1, "both traced"
    trace = Trace(recorder.ended)
    assert len(trace.traces) == 1
    assert trace.orphans == []
    engine = open_engine(database)
    with engine.connect() as connection:
        calls = connection.execute(text("SELECT input_tokens, output_tokens FROM dag_nodes WHERE node_type = 'llm'"))
        billed = [tuple(row) for row in calls]
        costs = connection.scalar(text("SELECT COUNT(*) FROM cost_records"))
    answered = [exchange for exchange in server.exchanges if exchange.reply.status == 200]
    assert len(billed) == costs == len(answered)
    assert sum(tokens for tokens, _ in billed) == server.billed.input_tokens
    assert sum(tokens for _, tokens in billed) == server.billed.output_tokens
    check_invariants(engine)
    engine.dispose()


@pytest.mark.usefixtures("both")
def test_spans_of_the_other_hang_under_our_model_call(recorder: Recorder, tmp_path: Path) -> None:
    perform("two_agents_with_a_tool", tmp_path)
    trace = Trace(recorder.ended)
    theirs = [s for s in trace.spans if s.instrumentation_scope and s.instrumentation_scope.name != semconv.SCOPE_NAME]
    assert [trace.parent_of(span) for span in theirs] == ["chat gpt-4o-mini"] * 2
    assert {attribute(span, semconv.LLM_INNER) for span in theirs} == {True}
