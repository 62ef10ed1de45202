"""AG2 1.x: turns, models, tools, people, sub-agents, the network; and that nothing changes."""

import asyncio
import base64
import json
from typing import Any

import pytest
from ag2 import Agent
from ag2.agent import TaskConfig
from ag2.annotations import Context
from ag2.config import OpenAIConfig
from ag2.events import ImageInput, ModelMessageChunk
from ag2.knowledge import MemoryKnowledgeStore
from ag2.middleware import BaseMiddleware, Middleware, RetryMiddleware
from ag2.network import Hub, HubClient
from ag2.network.transport import LocalLink
from ag2.stream import MemoryStream
from ag2.testing import TestConfig
from opentelemetry.sdk.trace import TracerProvider

import cmbagent_otel as otel
from cmbagent_otel import semconv
from cmbagent_otel.instrumentation.ag2 import Ag2Instrumentor
from cmbagent_otel.semconv import ErrorType, NodeKind, NodeType
from cmbagent_otel.testing import ScriptedModelServer, by_agent, call_tool, call_tools, fail, say
from tests.ag2.recorder import Recorder
from tests.scenarios.trace import attribute, lines, moments

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("hooks")]


def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


def divide(a: int, b: int) -> float:
    """Divide two numbers."""
    return a / b


def agent(server: ScriptedModelServer, name: str, *, config: dict[str, Any] | None = None, **options: Any) -> Agent:
    """An agent with the scripted model."""
    model = OpenAIConfig(model="gpt-4o-mini", base_url=server.base_url, api_key="sk-scripted", **(config or {}))
    return Agent(name, prompt=f"You are {name}.", config=model, **options)


SUM = (call_tool("add", {"a": 1, "b": 2}), say("3"))


async def test_turn_holds_its_models_and_its_tools(recorder: Recorder) -> None:
    with ScriptedModelServer(SUM) as server:
        adder = agent(server, "adder", tools=[add])
        reply = await adder.ask("What is 1 + 2?")
    assert reply.body == "3"
    trace = recorder.trace
    assert trace.outline() == lines("""
        invoke_agent adder
          chat gpt-4o-mini
          execute_tool add
          chat gpt-4o-mini
    """)
    assert trace.tokens == server.billed
    assert trace.messages == [("user", "adder"), ("adder", None)]
    call = trace.of(NodeKind.LLM)[0]
    assert attribute(call, semconv.PROVIDER_NAME) == "openai"
    assert attribute(call, semconv.RESPONSE_FINISH_REASONS) == ("tool_calls",)
    assert attribute(trace.named("execute_tool add"), semconv.TOOL_CALLER) == "adder"


async def test_tool_that_raises_fails_and_its_turn_does_not(recorder: Recorder) -> None:
    with ScriptedModelServer([call_tool("divide", {"a": 1, "b": 0}), say("It can't be done.")]) as server:
        await agent(server, "adder", tools=[divide]).ask("What is 1 / 0?")
    assert recorder.trace.outline() == lines("""
        invoke_agent adder
          chat gpt-4o-mini
          execute_tool divide ! ZeroDivisionError
          chat gpt-4o-mini
    """)


async def test_subtasks_hang_under_the_tool_that_spawned_them_and_bill_once(recorder: Recorder) -> None:
    replies = [call_tool("run_subtasks", {"tasks": ["one", "two"]}), say("1"), say("2"), say("Both are done.")]
    with ScriptedModelServer(replies) as server:
        await agent(server, "chief", tasks=TaskConfig()).ask("Do both.")
    trace = recorder.trace
    assert len(trace.roots) == 1
    workers = trace.of(NodeKind.AGENT)[1:]
    assert [trace.parent_of(worker) for worker in workers] == ["execute_tool run_subtasks"] * 2
    assert {attribute(worker, semconv.NODE_TYPE) for worker in workers} == {NodeType.SUB_AGENT}
    assert trace.tokens == server.billed


async def test_agent_as_a_tool_hangs_under_the_tool(recorder: Recorder) -> None:
    script = by_agent(
        {"chief": [call_tool("task_expert", {"objective": "Is it so?"}), say("It is.")], "expert": [say("Yes.")]}
    )
    with ScriptedModelServer(script) as server:
        expert = agent(server, "expert")
        await agent(server, "chief", tools=[expert.as_tool(description="knows", name="task_expert")]).ask("Is it so?")
    assert recorder.trace.outline() == lines("""
        invoke_agent chief
          chat gpt-4o-mini
          execute_tool task_expert
            invoke_agent expert
              chat gpt-4o-mini
          chat gpt-4o-mini
    """)


async def test_streamed_answer_has_its_tokens(recorder: Recorder) -> None:
    with ScriptedModelServer([say("A long answer in pieces.")]) as server:
        await agent(server, "teller", config={"streaming": True}).ask("Tell.")
    (call,) = recorder.trace.of(NodeKind.LLM)
    assert server.requests[0].streamed
    assert attribute(call, semconv.REQUEST_STREAM) is True
    assert recorder.trace.tokens == server.billed


async def test_attempts_of_the_client_and_of_a_middleware_are_events_of_one_call(recorder: Recorder) -> None:
    with ScriptedModelServer([fail(500), fail(400), say("At last.")]) as server:
        teller = agent(server, "teller", middleware=[RetryMiddleware(max_retries=2)])
        await teller.ask("Tell.")
    (call,) = recorder.trace.of(NodeKind.LLM)
    assert [moment.attributes[semconv.HTTP_STATUS_CODE] for moment in moments(call, semconv.LLM_ATTEMPT_EVENT)] == [
        500,
        400,
    ]
    assert attribute(call, semconv.LLM_ATTEMPTS) == len(server.requests) == 3
    assert recorder.trace.tokens == server.billed


async def test_model_that_refuses_fails_up_to_the_turn(recorder: Recorder) -> None:
    with ScriptedModelServer([fail(401)]) as server, pytest.raises(Exception, match="401"):
        await agent(server, "teller").ask("Tell.")
    assert [attribute(span, semconv.ERROR_TYPE) for span in recorder.trace.spans] == ["openai.AuthenticationError"] * 2


async def test_cancelled_turn_is_told_as_cancelled(recorder: Recorder) -> None:
    with ScriptedModelServer([say("Too late.", seconds=1.0)]) as server:
        turn = asyncio.create_task(agent(server, "teller").ask("Tell."))
        await asyncio.sleep(0.3)
        turn.cancel()
        with pytest.raises(asyncio.CancelledError):
            await turn
    assert {attribute(span, semconv.ERROR_TYPE) for span in recorder.trace.spans} == {
        "asyncio.exceptions.CancelledError"
    }


async def test_wait_for_a_person_hangs_under_the_tool_that_asks(recorder: Recorder) -> None:
    async def approve(ctx: Context) -> str:
        """Ask the person."""
        return str(await ctx.input("May I?"))

    with ScriptedModelServer([call_tool("approve"), say("Done.")]) as server:
        asking = agent(server, "clerk", tools=[approve], hitl_hook=lambda _: "yes")
        await asking.ask("Go on.")
    trace = recorder.trace
    assert trace.parent_of(trace.named("await_human_input clerk")) == "execute_tool approve"


class Noting(BaseMiddleware):
    """A middleware of the program's own, that looks at where it stands."""

    noted: list[str] = []  # noqa: RUF012 - one test, one list

    async def on_llm_call(self, call_next: Any, events: Any, context: Any) -> Any:
        from opentelemetry import trace

        self.noted.append(getattr(trace.get_current_span(), "name", ""))
        return await call_next(events, context)


async def test_our_middleware_stands_outside_of_the_programs() -> None:
    with ScriptedModelServer([say("Done.")]) as server:
        await agent(server, "teller", middleware=[Middleware(Noting)]).ask("Tell.")
    assert Noting.noted == ["chat gpt-4o-mini"]


async def test_agent_is_not_changed_and_its_reply_is_its_own(recorder: Recorder) -> None:
    with ScriptedModelServer([say("One."), say("Two.")]) as server:
        teller = agent(server, "teller")
        before = teller.middleware
        reply = await teller.ask("Tell.")
        assert teller.middleware == before == ()
        assert any(value is teller for value in vars(reply).values())
        await reply.ask("More.")
    assert [span.name for span in recorder.trace.of(NodeKind.AGENT)] == ["invoke_agent teller"] * 2


async def test_conversation_within_a_workflow_is_one_trace(recorder: Recorder) -> None:
    with ScriptedModelServer([say("One."), say("Two.")]) as server, otel.workflow("tale"):
        reply = await agent(server, "teller").ask("Tell.")
        await reply.ask("More.")
    assert len(recorder.trace.traces) == 1


async def delegate() -> ScriptedModelServer:
    """Let a chief ask an expert over the network."""
    script = by_agent(
        {
            "chief": [call_tool("delegate", {"target": "expert", "prompt": "Is it so?"}), say("It is.")],
            "expert": [say("Yes.")],
        }
    )
    with ScriptedModelServer(script) as server:
        hub = await Hub.open(MemoryKnowledgeStore())
        client = HubClient(LocalLink(hub))
        await client.register(agent(server, "expert"), attach_plugin=False)
        chief = agent(server, "chief")
        await client.register(chief)
        await chief.ask("Is it so?")
        await client.close()
        await hub.close()
    return server


async def test_agent_of_the_network_answers_under_the_turn_that_caused_it(recorder: Recorder) -> None:
    server = await delegate()
    trace = recorder.trace
    assert trace.outline() == lines("""
        invoke_agent chief
          chat gpt-4o-mini
          execute_tool delegate
            invoke_agent expert
              chat gpt-4o-mini
          chat gpt-4o-mini
    """)
    assert trace.tokens == server.billed


async def test_network_within_a_workflow_is_one_trace_and_causes_stay(recorder: Recorder) -> None:
    with otel.workflow("consultation"):
        await delegate()
    trace = recorder.trace
    assert len(trace.traces) == 1
    assert trace.parent_of(trace.named("invoke_agent expert")) == "execute_tool delegate"


async def bodies(*replies: Any, tools: list[Any], middleware: tuple[Any, ...] = ()) -> list[str]:
    """All that an agent asks its model."""
    with ScriptedModelServer(replies) as server:
        await agent(server, "adder", tools=tools, middleware=list(middleware)).ask("Go on.")
    return [json.dumps(request.body, sort_keys=True) for request in server.requests]


@pytest.mark.usefixtures("content_on")
async def test_model_is_asked_the_same_with_hooks_and_without(hooks: Ag2Instrumentor) -> None:
    replies = (call_tools(("add", {"a": 1, "b": 2})), call_tool("divide", {"a": 1, "b": 0}), say("Done."))
    with_hooks = await bodies(*replies, tools=[add, divide])
    hooks.uninstrument()
    assert await bodies(*replies, tools=[add, divide]) == with_hooks


async def test_uninstrument_gives_the_original_back(hooks: Ag2Instrumentor, recorder: Recorder) -> None:
    hooks.uninstrument()
    with ScriptedModelServer([say("Done.")]) as server:
        await agent(server, "teller").ask("Tell.")
    assert recorder.begun == []


async def test_agent_with_ag2s_own_tracing_to_the_same_place_keeps_that_alone(
    recorder: Recorder, provider: TracerProvider
) -> None:
    from ag2.middleware.builtin.telemetry import TelemetryMiddleware

    with ScriptedModelServer([say("Done.")]) as server:
        own = TelemetryMiddleware(tracer_provider=provider, agent_name="teller")
        await agent(server, "teller", middleware=[own]).ask("Tell.")
    assert [span.name for span in recorder.trace.spans if "agent" in span.name] == ["invoke_agent teller"]
    assert {span.instrumentation_scope.name for span in recorder.ended if span.instrumentation_scope} == {
        "opentelemetry.instrumentation.ag2"
    }


@pytest.mark.usefixtures("content_on")
async def test_words_are_recorded_where_the_gate_is_open(recorder: Recorder) -> None:
    with ScriptedModelServer(SUM) as server:
        await agent(server, "adder", tools=[add]).ask("What is 1 + 2?")
    trace = recorder.trace
    turn = trace.named("invoke_agent adder")
    assert json.loads(attribute(turn, semconv.INPUT_MESSAGES))[0]["parts"][0]["content"] == "What is 1 + 2?"
    assert json.loads(attribute(turn, semconv.OUTPUT_MESSAGES))[0]["parts"][0]["content"] == "3"
    second = json.loads(attribute(trace.of(NodeKind.LLM)[1], semconv.INPUT_MESSAGES))
    assert [part["type"] for message in second for part in message["parts"]] == ["tool_call_response"]
    assert "sk-scripted" not in "".join(span.to_json() for span in trace.spans)


@pytest.mark.usefixtures("content_on")
async def test_image_is_told_by_its_type_and_size(recorder: Recorder) -> None:
    image = b"\x89PNG\r\n\x1a\n" + bytes(range(256))
    with ScriptedModelServer([say("A star."), say("A star.")]) as server:
        viewer = agent(server, "viewer")
        await viewer.ask("What is it?", ImageInput(data=image, media_type="image/png"))
        await viewer.ask("And this?", ImageInput(url=f"data:image/png;base64,{base64.b64encode(image).decode()}"))
    assert all(base64.b64encode(image).decode() in json.dumps(request.body) for request in server.requests)
    for span in recorder.trace.spans:
        asked = json.loads(attribute(span, semconv.INPUT_MESSAGES))[0]["parts"][0]["content"]
        assert asked.splitlines()[1] == "[image/png, 264 bytes]"


async def test_image_is_nowhere_where_the_gate_is_shut(recorder: Recorder) -> None:
    with ScriptedModelServer([say("A star.")]) as server:
        await agent(server, "viewer").ask("What is it?", ImageInput(data=b"star" * 9, media_type="image/png"))
    words = "".join(span.to_json() for span in recorder.trace.spans)
    assert not any(said in words for said in ("What is it?", "image/png", "A star.", "c3Rhc"))


async def test_tool_that_nobody_has_is_a_call_that_failed(recorder: Recorder) -> None:
    with ScriptedModelServer([call_tools(("multiply", {"a": 1}), ("add", {"a": 1, "b": 2})), say("3")]) as server:
        await agent(server, "adder", tools=[add]).ask("What is 1 * 3?")
    trace = recorder.trace
    assert sorted(span.name for span in trace.of(NodeKind.TOOL)) == ["execute_tool add", "execute_tool multiply"]
    unknown = trace.named("execute_tool multiply")
    assert attribute(unknown, semconv.ERROR_TYPE) == ErrorType.TOOL_NOT_FOUND
    assert attribute(unknown, semconv.TOOL_CALLER) == "adder"
    assert {trace.parent_of(span) for span in trace.of(NodeKind.TOOL)} == {"invoke_agent adder"}
    assert trace.named("execute_tool add").status.is_unset
    assert trace.named("invoke_agent adder").status.is_unset


async def test_tool_that_is_cancelled_is_told_as_cancelled_up_to_the_turn(recorder: Recorder) -> None:
    started = asyncio.Event()

    async def dig() -> str:
        """Dig for long."""
        started.set()
        await asyncio.sleep(60)
        return "nothing"

    with ScriptedModelServer([call_tool("dig")]) as server:
        turn = asyncio.create_task(agent(server, "digger", tools=[dig]).ask("Dig."))
        await started.wait()
        turn.cancel()
        with pytest.raises(asyncio.CancelledError):
            await turn
    failed = {span.name: attribute(span, semconv.ERROR_TYPE) for span in recorder.trace.spans}
    assert failed == {
        "invoke_agent digger": "asyncio.exceptions.CancelledError",
        "chat gpt-4o-mini": None,
        "execute_tool dig": "asyncio.exceptions.CancelledError",
    }
    assert recorder.trace.tokens == server.billed


class Layer(BaseMiddleware):
    """A middleware that writes down when it is entered and left."""

    name = ""
    seen: list[str] = []  # noqa: RUF012 - shared by all layers of one test

    async def on_turn(self, call_next: Any, event: Any, context: Any) -> Any:
        return await self._around("turn", call_next, event, context)

    async def on_llm_call(self, call_next: Any, events: Any, context: Any) -> Any:
        return await self._around("model", call_next, events, context)

    async def on_tool_execution(self, call_next: Any, event: Any, context: Any) -> Any:
        return await self._around("tool", call_next, event, context)

    async def _around(self, what: str, call_next: Any, given: Any, context: Any) -> Any:
        self.seen.append(f"{self.name} {what}")
        try:
            return await call_next(given, context)
        finally:
            self.seen.append(f"{what} {self.name}")


class Outer(Layer):
    name = "outer"


class Inner(Layer):
    name = "inner"


class OfTheCall(Layer):
    name = "of the call"


async def layers() -> list[str]:
    """In what order the middlewares of a program are gone through."""
    Layer.seen.clear()
    with ScriptedModelServer(SUM) as server:
        adder = agent(server, "adder", tools=[add], middleware=[Middleware(Outer), Middleware(Inner)])
        await adder.ask("What is 1 + 2?", middleware=[Middleware(OfTheCall)])
    return list(Layer.seen)


async def test_middlewares_of_the_program_stand_in_the_same_order_with_hooks_and_without(
    hooks: Ag2Instrumentor,
) -> None:
    with_hooks = await layers()
    hooks.uninstrument()
    assert await layers() == with_hooks
    assert with_hooks[:3] == ["outer turn", "inner turn", "of the call turn"]


async def streamed() -> tuple[list[str], str | None]:
    """The pieces of a streamed answer as a subscriber gets them, and the whole."""
    pieces: list[str] = []
    stream = MemoryStream()
    stream.where(ModelMessageChunk).subscribe(lambda event: pieces.append(event.content))
    with ScriptedModelServer([say("A long answer in pieces.")]) as server:
        reply = await agent(server, "teller", config={"streaming": True}).ask("Tell.", stream=stream)
    return pieces, reply.body


async def test_streamed_pieces_are_the_same_with_hooks_and_without(hooks: Ag2Instrumentor) -> None:
    with_hooks = await streamed()
    hooks.uninstrument()
    assert await streamed() == with_hooks
    assert len(with_hooks[0]) > 1
    assert "".join(with_hooks[0]) == with_hooks[1]


async def test_stream_that_breaks_off_fails_the_call_and_the_turn(recorder: Recorder) -> None:
    with ScriptedModelServer([fail(400)]) as server, pytest.raises(Exception, match="400"):
        await agent(server, "teller", config={"streaming": True}).ask("Tell.")
    assert [attribute(span, semconv.ERROR_TYPE) for span in recorder.trace.spans] == ["openai.BadRequestError"] * 2


async def test_model_of_a_configuration_that_names_none_is_unknown(recorder: Recorder) -> None:
    assert (await Agent("teller", config=TestConfig("Yes.")).ask("Is it so?")).body == "Yes."
    assert recorder.trace.outline() == lines("""
        invoke_agent teller
          chat unknown
    """)
