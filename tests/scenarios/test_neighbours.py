"""Others that trace the same program: no double spans, no crash."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from autogen import OpenAIWrapper
from opentelemetry.sdk.trace import TracerProvider

from cmbagent_otel import semconv
from cmbagent_otel.instrumentation.autogen import AutogenInstrumentor
from cmbagent_otel.testing import ScriptedModelServer
from tests.scenarios.programs import chats
from tests.scenarios.stage import Recorder
from tests.scenarios.trace import Trace, attribute
from tests.scenarios.world import World

own = pytest.importorskip("autogen.opentelemetry", reason="this AG2 has no tracing of its own")


@pytest.fixture
def _llm_wrapper_given_back() -> Iterator[None]:
    """AG2's own tracing has no way back."""
    original = vars(OpenAIWrapper)["create"]
    yield
    OpenAIWrapper.create = original


def chat(own_provider: TracerProvider, ours: TracerProvider, tmp_path: Any) -> Any:
    """A chat of two agents with a tool, under AG2's own tracing and ours."""
    instrumentor = AutogenInstrumentor()
    instrumentor.instrument(tracer_provider=ours)
    try:
        with ScriptedModelServer(chats.ADDS) as server:
            own.instrument_llm_wrapper(tracer_provider=own_provider)
            asking, adder = chats.with_tools(World(server, tmp_path))
            for agent in (asking, adder):
                own.instrument_agent(agent, tracer_provider=own_provider)
            asking.initiate_chat(adder, message="What is 1 + 2?")
        return server
    finally:
        instrumentor.uninstrument()


def provider(recorder: Recorder) -> TracerProvider:
    made = TracerProvider(shutdown_on_exit=False)
    made.add_span_processor(recorder)
    return made


@pytest.mark.usefixtures("_llm_wrapper_given_back")
def test_ag2s_own_tracing_to_the_same_place_makes_no_double_spans(tmp_path: Any) -> None:
    recorder = Recorder()
    shared = provider(recorder)
    server = chat(shared, shared, tmp_path)
    trace = Trace(recorder.ended)
    assert len(trace.traces) == 1
    assert trace.orphans == []
    operations = [attribute(span, semconv.OPERATION_NAME) for span in trace.spans]
    assert operations.count("chat") == len(server.requests) == 2
    assert operations.count("execute_tool") == 1
    chats_traced = [span.name for span in trace.spans if "conversation" in span.name or "invoke_workflow" in span.name]
    assert len(chats_traced) == 1


@pytest.mark.usefixtures("_llm_wrapper_given_back")
def test_ag2s_own_tracing_to_another_place_leaves_our_trace_whole(tmp_path: Any) -> None:
    theirs, ours = Recorder(), Recorder()
    server = chat(provider(theirs), provider(ours), tmp_path)
    trace = Trace(ours.ended)
    assert theirs.ended
    assert trace.orphans == []
    assert len(trace.roots) == 1
    assert trace.tokens == server.billed
    assert attribute(trace.named("execute_tool add"), semconv.TOOL_CALLER) == "adder"
