"""AG2 classic and AG2 1.x in one process: two modules of two distributions, one run."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from typing import Any

import pytest
from opentelemetry.sdk.trace import TracerProvider
from sqlalchemy import text

import cmbagent_otel as otel
from cmbagent_otel.instrumentation.ag2 import Ag2Instrumentor
from cmbagent_otel.instrumentation.autogen import AutogenInstrumentor
from cmbagent_otel.store.engine import open_engine
from cmbagent_otel.testing import ScriptedModelServer, Usage, call_tool, say
from tests.ag2.recorder import Recorder
from tests.invariants import check_invariants
from tests.scenarios.trace import lines

pytest.importorskip("autogen")
pytest.importorskip("ag2", reason="not installed: ag2 1.x beside AG2 classic")


@pytest.fixture
def both(provider: TracerProvider) -> Iterator[None]:
    """The hooks of both."""
    instrumentors = [AutogenInstrumentor(), Ag2Instrumentor()]
    for instrumentor in instrumentors:
        instrumentor.instrument(tracer_provider=provider)
    yield
    for instrumentor in instrumentors:
        instrumentor.uninstrument()


def test_they_come_from_two_distributions() -> None:
    found = packages_distributions()
    assert found["autogen"] == ["autogen"]
    assert found["ag2"] == ["ag2"]


TOKENS = Usage(11, 7)


def expert(answer: str) -> Any:
    """An agent of AG2 1.x; with AG2's own scripted model, since the two want different versions of OpenAI's library."""
    from ag2 import Agent
    from ag2.events import ModelMessage, ModelResponse
    from ag2.events.types import Usage as Tokens
    from ag2.testing import TestConfig

    tokens = Tokens(prompt_tokens=TOKENS.input_tokens, completion_tokens=TOKENS.output_tokens)
    response = ModelResponse(ModelMessage(answer), usage=tokens, model="scripted")
    return Agent("expert", prompt="You are expert.", config=TestConfig(response))


@pytest.mark.usefixtures("both")
def test_both_are_in_one_run_each_with_its_turns_and_tokens(
    provider: TracerProvider, recorder: Recorder, database: str, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tests.scenarios.programs.chats import assistant
    from tests.scenarios.world import World

    monkeypatch.chdir(tmp_path)
    with ScriptedModelServer([say("A line.")]) as server, otel.workflow("two"):
        world = World(server, tmp_path)
        writer = assistant(world, "writer")
        assistant(world, "asking").initiate_chat(writer, message="Write.", max_turns=1)
        assert asyncio.run(expert("It is good.").ask("Is it any good?")).body == "It is good."
    trace = recorder.trace
    assert trace.outline() == lines("""
        invoke_workflow two
          invoke_workflow writer
            invoke_agent writer
              chat gpt-4o-mini
          invoke_agent expert
            chat unknown
    """)
    billed = server.billed
    tokens = (billed.input_tokens + TOKENS.input_tokens, billed.output_tokens + TOKENS.output_tokens)
    assert trace.tokens[:2] == tokens
    assert provider.force_flush()
    engine = open_engine(database)
    with engine.connect() as connection:
        assert connection.scalar(text("SELECT COUNT(*) FROM workflow_runs")) == 1
        assert connection.scalar(text("SELECT SUM(input_tokens) FROM dag_nodes")) == tokens[0]
    check_invariants(engine)
    engine.dispose()


@pytest.mark.usefixtures("both")
def test_agent_of_one_as_a_tool_of_the_other_hangs_under_the_tool(
    recorder: Recorder, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from autogen import register_function

    from tests.scenarios.programs.chats import assistant, user
    from tests.scenarios.world import World

    monkeypatch.chdir(tmp_path)
    with ScriptedModelServer([call_tool("consult", {"question": "Is it so?"}), say("TERMINATE")]) as server:

        async def consult(question: str) -> str:
            return str((await expert("Yes.").ask(question)).body)

        asking, chief = user(), assistant(World(server, tmp_path), "chief")
        register_function(consult, caller=chief, executor=asking, description="ask the expert")
        asking.initiate_chat(chief, message="Is it so?")
    assert recorder.trace.outline() == lines("""
        invoke_workflow chief
          invoke_agent chief
            chat gpt-4o-mini
            execute_tool consult
              invoke_agent expert
                chat unknown
          invoke_agent user
          invoke_agent chief
            chat gpt-4o-mini
    """)
    billed = server.billed
    assert recorder.trace.tokens[:2] == (billed.input_tokens + 11, billed.output_tokens + 7)
