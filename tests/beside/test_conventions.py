"""What ``opentelemetry-util-genai`` makes of the same calls: same names, kinds and attributes, up to what stands here.

It follows the GenAI conventions as they move, so it is the oracle; to run on it is too slow, and it is too young.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider

from cmbagent_otel import content, semconv
from cmbagent_otel.instrumentation.autogen import AutogenInstrumentor
from cmbagent_otel.semconv import NodeKind
from cmbagent_otel.testing import ScriptedModelServer
from tests.ag2.recorder import Recorder
from tests.scenarios.trace import Trace, attribute

pytest.importorskip("autogen")
handlers = pytest.importorskip("opentelemetry.util.genai.handler", reason="not installed: opentelemetry-util-genai")
types = pytest.importorskip("opentelemetry.util.genai.types")

# What our spans say beside: who made the model call, and what lies outside of the conventions.
OURS_ALONE = {
    NodeKind.LLM: {semconv.AGENT_NAME: "whose call it is; the conventions have it on the agent's span"},
    NodeKind.AGENT: {},
    NodeKind.TOOL: {semconv.AGENT_NAME: "who asked for it"},
    NodeKind.CHAT: {},
}
# What the oracle says and we do not.
THEIRS_ALONE: dict[str, dict[str, str]] = {NodeKind.LLM: {}, NodeKind.AGENT: {}, NodeKind.TOOL: {}, NodeKind.CHAT: {}}


def of_the_conventions(span: ReadableSpan) -> dict[str, Any]:
    """Attributes that the conventions have a word for."""
    return {
        key: list(value) if isinstance(value, tuple) else value
        for key, value in (span.attributes or {}).items()
        if key.startswith(("gen_ai.", "server.", "error."))
    }


def is_the_same(ours: ReadableSpan, theirs: ReadableSpan, kind: str) -> None:
    """Name, kind, status and attributes, up to the documented differences."""
    assert ours.name == theirs.name
    assert ours.kind == theirs.kind
    assert ours.status.status_code == theirs.status.status_code
    said, expected = of_the_conventions(ours), of_the_conventions(theirs)
    for key in OURS_ALONE[kind]:
        said.pop(key, None)
    for key in THEIRS_ALONE[kind]:
        expected.pop(key, None)
    assert said == expected


class Oracle:
    """Spans of the oracle, from what the model's server was asked and answered."""

    def __init__(self) -> None:
        self.recorder = Recorder()
        self.provider = TracerProvider(shutdown_on_exit=False)
        self.provider.add_span_processor(self.recorder)
        self.handler = handlers.TelemetryHandler(tracer_provider=self.provider)

    def last(self) -> ReadableSpan:
        """The span that ended last."""
        return self.recorder.ended[-1]

    def model_call(self, server: ScriptedModelServer, exchange: Any, said: Mapping[str, Any]) -> ReadableSpan:
        """A call as the server saw it."""
        url, body = urlsplit(server.base_url), exchange.request.body
        invocation = self.handler.inference(
            "openai", request_model=body["model"], server_address=url.hostname, server_port=url.port
        )
        invocation.temperature = body.get("temperature")
        invocation.top_p = body.get("top_p")
        invocation.max_tokens = body.get("max_tokens")
        invocation.seed = body.get("seed")
        if body.get("stream"):
            invocation.data.request_stream = True
        invocation.response_id = f"chatcmpl-scripted-{exchange.request.number}"
        invocation.response_model_name = body["model"]
        invocation.input_tokens = exchange.usage.input_tokens
        invocation.output_tokens = exchange.usage.output_tokens
        invocation.data.usage_cache_read_input_tokens = exchange.usage.cached_tokens
        invocation.finish_reasons = ["tool_calls" if exchange.reply.tool_calls else "stop"]
        if said:
            invocation.output_messages = [types.OutputMessage(**said)]
        invocation.stop()
        return self.last()


@pytest.fixture
def play(provider: TracerProvider, recorder: Recorder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Run a program of the scenarios under our hooks."""
    monkeypatch.chdir(tmp_path)
    instrumentor = AutogenInstrumentor()
    instrumentor.instrument(tracer_provider=provider)

    def run(program: Any) -> tuple[ScriptedModelServer, Trace]:
        from tests.scenarios import stage

        return stage.perform(program, tmp_path / program.name)[1].server, Trace(recorder.ended)

    yield run
    instrumentor.uninstrument()
    content.reset()


@pytest.mark.parametrize(
    "name",
    [
        "two_agents_with_a_tool",
        "two_agents_with_a_tool_async",
        "answer_with_cached_tokens",
        "program_that_draws_lots",
        "streamed_answer",
    ],
)
def test_model_calls_are_those_of_the_oracle(name: str, play: Any) -> None:
    from tests.scenarios.programs import chats, models

    server, trace = play(getattr(chats, name, None) or getattr(models, name))
    oracle = Oracle()
    calls = trace.of(NodeKind.LLM)
    assert len(calls) == len(server.exchanges) > 0
    for ours, exchange in zip(calls, server.exchanges, strict=True):
        is_the_same(ours, oracle.model_call(server, exchange, {}), NodeKind.LLM)


def test_model_call_that_failed_is_that_of_the_oracle(play: Any) -> None:
    from openai import AuthenticationError

    from tests.scenarios.programs import failures

    server, trace = play(failures.model_that_refuses)
    (ours,) = trace.of(NodeKind.LLM)
    oracle, url = Oracle(), urlsplit(server.base_url)
    invocation = oracle.handler.inference(
        "openai", request_model="gpt-4o-mini", server_address=url.hostname, server_port=url.port
    )
    invocation.temperature = server.requests[0].body.get("temperature")
    invocation.fail(AuthenticationError.__new__(AuthenticationError))
    is_the_same(ours, oracle.last(), NodeKind.LLM)


def test_turns_tools_and_chats_are_those_of_the_oracle(play: Any) -> None:
    from tests.scenarios.programs import chats

    _, trace = play(chats.two_agents_with_a_tool)
    oracle = Oracle()
    for turn in trace.of(NodeKind.AGENT):
        oracle.handler.invoke_local_agent(agent_name=attribute(turn, semconv.AGENT_NAME)).stop()
        is_the_same(turn, oracle.last(), NodeKind.AGENT)
    (tool,) = trace.of(NodeKind.TOOL)
    call_id = attribute(tool, semconv.TOOL_CALL_ID)
    oracle.handler.tool("add", tool_type="function", tool_call_id=call_id).stop()
    is_the_same(tool, oracle.last(), NodeKind.TOOL)
    (chat,) = trace.of(NodeKind.CHAT)
    oracle.handler.workflow(name="adder").stop()
    is_the_same(chat, oracle.last(), NodeKind.CHAT)


def test_messages_have_the_form_of_the_oracle(play: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from tests.scenarios.programs import chats

    monkeypatch.setenv("OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT", "SPAN_ONLY")
    monkeypatch.setenv("OTEL_SEMCONV_STABILITY_OPT_IN", "gen_ai_latest_experimental")
    content.configure(recorded=True, on_spans=True, limit=65536)
    server, trace = play(chats.two_agents_with_a_tool)
    oracle = Oracle()
    asks, answers = trace.of(NodeKind.LLM)
    first, second = server.exchanges
    asked = types.ToolCallRequestPart(id="call_1_0", name="add", arguments='{"a": 1, "b": 2}')
    for ours, exchange, part, reason in (
        (asks, first, asked, "tool_calls"),
        (answers, second, types.TextPart(content="The sum is 3. TERMINATE"), "stop"),
    ):
        theirs = oracle.model_call(server, exchange, {"role": "assistant", "parts": [part], "finish_reason": reason})
        expected = stated(attribute(theirs, semconv.OUTPUT_MESSAGES))
        assert stated(attribute(ours, semconv.OUTPUT_MESSAGES)) == expected
    (response,) = stated(attribute(answers, semconv.INPUT_MESSAGES))
    said = types.ToolCallResponsePart(id="call_1_0", response="3")
    assert response == {"role": "tool", "parts": [vars(said)]}


def stated(messages: str) -> list[dict[str, Any]]:
    """Messages without what is null in them: the oracle names what is not there."""
    return [{key: value for key, value in message.items() if value is not None} for message in json.loads(messages)]
