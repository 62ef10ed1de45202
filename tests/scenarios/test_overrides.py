"""Overrides, on one agent and in classes: seen once, or left alone where they can't be seen; never changed."""

from __future__ import annotations

import pytest

from cmbagent_otel import semconv
from cmbagent_otel.instrumentation.autogen import AutogenInstrumentor
from cmbagent_otel.semconv import NodeKind
from tests.scenarios.programs import overrides
from tests.scenarios.stage import Play
from tests.scenarios.trace import attribute, lines
from tests.scenarios.world import Program


@pytest.mark.parametrize(
    "program", [overrides.human_input_set_on_the_agent, overrides.human_input_set_on_the_agent_async], ids=str
)
def test_human_input_set_on_the_agent_is_no_wait_that_we_know_of(play: Play, program: Program) -> None:
    outcome, _, trace = play(program)
    assert trace.outline() == lines("""
        invoke_workflow butler
          invoke_agent butler
            chat gpt-4o-mini
          invoke_agent person
          invoke_agent butler
            chat gpt-4o-mini
    """)
    assert trace.messages == [("person", "butler"), ("butler", "person")] * 2
    assert len(trace.messages) == len(outcome["history"])


def test_reply_set_on_the_agent_that_asks_ag2_is_a_turn(play: Play) -> None:
    outcome, _, trace = play(overrides.reply_set_on_the_agent_that_asks_ag2)
    assert trace.outline() == lines("""
        invoke_workflow polite
          invoke_agent polite
            chat gpt-4o-mini
    """)
    assert outcome["history"][-1]["content"] == "Tea, please"
    assert trace.messages == [("asking", "polite"), ("polite", "asking")]


def test_reply_set_on_the_agent_is_no_turn_but_its_model_call_and_its_message_are_there(play: Play) -> None:
    trace = play(overrides.reply_set_on_the_agent_that_asks_the_model_itself).trace
    assert trace.outline() == lines("""
        invoke_workflow direct
          chat gpt-4o-mini
    """)
    assert trace.messages == [("asking", "direct"), ("direct", "asking")]


def test_handoff_from_an_agent_whose_turn_is_not_seen_is_not_laid_to_another(play: Play) -> None:
    outcome, _, trace = play(overrides.reply_set_on_the_agent_between_two_handoffs)
    assert [message["content"] for message in outcome["history"]] == ["Count.", "One.", "Two.", "Three."]
    assert [attribute(span, semconv.AGENT_NAME) for span in trace.of(NodeKind.AGENT)] == ["one", "three"]
    assert trace.handoffs == []
    assert [sender for sender, _ in trace.messages] == ["_User", "one", "two", "three"]


def test_what_runs_code_on_the_agent_gives_the_outcome_of_the_execution(play: Play) -> None:
    _, world, trace = play(overrides.code_runner_set_on_the_agent)
    run = trace.named("execute_code runner")
    assert trace.parent_of(run) == "invoke_agent runner"
    assert attribute(run, semconv.PROCESS_EXIT_CODE) == 3
    assert world.done == ["print(6 * 7)"]


def test_what_runs_tools_on_the_agent_is_the_tool_call_that_it_asks_for(play: Play) -> None:
    _, world, trace = play(overrides.tools_run_by_what_is_set_on_the_agent)
    assert trace.parent_of(trace.named("execute_tool add")) == "invoke_agent adder"
    assert world.done == ["asked", "add 1 2"]


@pytest.mark.parametrize(
    "program",
    [overrides.class_that_overrides_everything, overrides.class_that_overrides_everything_async],
    ids=str,
)
def test_class_that_overrides_everything_is_seen_once(play: Play, program: Program) -> None:
    _, world, trace = play(program)
    assert trace.outline() == lines("""
        invoke_workflow adder
          invoke_agent adder
            chat gpt-4o-mini
            execute_tool add
          invoke_agent late
          invoke_agent adder
            chat gpt-4o-mini
          invoke_agent late
            execute_code late
          invoke_agent adder
            chat gpt-4o-mini
          invoke_agent late
            await_human_input late
    """)
    called = [
        "initiate_chat",
        "generate_reply",
        "execute_function",
        "add by the agent itself",
        "generate_reply",
        "run_code",
        "generate_reply",
        "get_human_input",
    ]
    assert [name.removeprefix("a_") for name in world.done] == called


@pytest.mark.parametrize(
    "program", [overrides.override_of_a_tool_that_raises, overrides.override_of_a_tool_that_raises_async], ids=str
)
def test_error_of_a_tool_is_told_by_its_type_also_under_an_override(play: Play, program: Program) -> None:
    (tool,) = play(program).trace.of(NodeKind.TOOL)
    assert attribute(tool, semconv.ERROR_TYPE) == "ZeroDivisionError"


def test_class_attributes_that_are_no_functions_are_left_as_they_are(play: Play) -> None:
    program = overrides.class_attributes_that_are_no_functions
    trace = play(program).trace
    assert [span.name for span in trace.of(NodeKind.AGENT)] == ["invoke_agent butler"] * 4
    assert trace.of(NodeKind.APPROVAL) == []


def test_async_override_that_is_no_coroutine_function_gives_what_it_gives(play: Play) -> None:
    _, world, trace = play(overrides.async_methods_that_are_no_coroutine_functions)
    assert world.done == ["Future"]
    assert trace.of(NodeKind.APPROVAL) == []


def test_uninstrument_gives_overrides_back_and_leaves_what_is_set_on_agents(hooks: AutogenInstrumentor) -> None:
    cls = overrides.ByFunction
    original = vars(cls)["get_human_input"]
    agent = cls("agent", llm_config=False)
    assert vars(cls)["get_human_input"] is not original
    agent.generate_reply = original
    hooks.uninstrument()
    assert vars(cls)["get_human_input"] is original
    assert agent.generate_reply is original
