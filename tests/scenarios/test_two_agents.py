"""Two agents talk: turns, models, tools, messages, chats in a row and in each other."""

from __future__ import annotations

import pytest

from cmbagent_otel import semconv
from cmbagent_otel.semconv import NodeKind, NodeType
from tests.scenarios.programs import chats
from tests.scenarios.stage import Play
from tests.scenarios.trace import attribute, lines, moments
from tests.scenarios.world import Program


@pytest.mark.parametrize("program", [chats.two_agents_with_a_tool, chats.two_agents_with_a_tool_async], ids=str)
def test_tool_hangs_under_the_turn_that_asked_for_it(play: Play, program: Program) -> None:
    _, world, trace = play(program)
    assert trace.outline() == lines("""
        invoke_workflow adder
          invoke_agent adder
            chat gpt-4o-mini
            execute_tool add
          invoke_agent user
          invoke_agent adder
            chat gpt-4o-mini
    """)
    tool = trace.named("execute_tool add")
    assert attribute(tool, semconv.TOOL_CALLER) == "adder"
    assert attribute(tool, semconv.TOOL_EXECUTOR) == "user"
    assert attribute(tool, semconv.TOOL_CALL_ID) == "call_1_0"
    assert world.done == ["add 1 2"]


@pytest.mark.parametrize("program", [chats.two_agents_with_a_tool, chats.two_agents_with_a_tool_async], ids=str)
def test_each_message_is_recorded_once_on_the_turn_that_said_it(play: Play, program: Program) -> None:
    outcome, _, trace = play(program)
    assert len(outcome["history"]) == 4
    assert trace.messages == [("user", "adder"), ("adder", "user"), ("user", "adder"), ("adder", "user")]
    assert [attribute(span, semconv.AGENT_NAME) for span in trace.of(NodeKind.AGENT)] == ["adder", "user", "adder"]
    assert [len(moments(span, semconv.MESSAGE_EVENT)) for span in trace.of(NodeKind.AGENT)] == [1, 1, 1]
    ids = [event.attributes[semconv.EVENT_ID] for event in trace.events(semconv.MESSAGE_EVENT)]
    assert len(set(ids)) == 4


@pytest.mark.parametrize("program", [chats.tool_that_raises, chats.tool_that_raises_async], ids=str)
def test_tool_that_raises_fails_with_the_type_of_its_error_and_nothing_else_does(play: Play, program: Program) -> None:
    trace = play(program).trace
    assert trace.outline() == lines("""
        invoke_workflow adder
          invoke_agent adder
            chat gpt-4o-mini
            execute_tool divide ! ZeroDivisionError
            execute_tool add
          invoke_agent user
          invoke_agent adder
            chat gpt-4o-mini
    """)


def test_tool_that_is_not_there_and_arguments_that_are_not_json_fail_as_such(play: Play) -> None:
    trace = play(chats.model_asks_for_what_is_not_there).trace
    failed = {span.name: attribute(span, semconv.ERROR_TYPE) for span in trace.of(NodeKind.TOOL)}
    assert failed == {"execute_tool multiply": "tool_not_found", "execute_tool add": "invalid_arguments"}


@pytest.mark.parametrize("program", [chats.async_tool_in_a_sync_chat, chats.async_tool_in_an_async_chat], ids=str)
def test_async_tool_stays_in_the_trace_with_what_it_calls(play: Play, program: Program) -> None:
    trace = play(program).trace
    assert trace.outline() == lines("""
        invoke_workflow astronomer
          invoke_agent astronomer
            chat gpt-4o-mini
            execute_tool look_up
              invoke_agent archive
                chat gpt-4o-mini
          invoke_agent user
          invoke_agent astronomer
            chat gpt-4o-mini
    """)
    assert attribute(trace.named("invoke_agent archive"), semconv.NODE_TYPE) == NodeType.SUB_AGENT
    assert [attribute(s, semconv.NODE_TYPE) for s in trace.of(NodeKind.AGENT)].count(NodeType.AGENT) == 3


def test_agents_of_a_tool_do_not_disturb_the_chat_around_it(play: Play) -> None:
    trace = play(chats.async_tool_in_a_sync_chat).trace
    assert [pair for pair in trace.messages if "archive" not in pair] == [
        ("user", "astronomer"),
        ("astronomer", "user"),
        ("user", "astronomer"),
        ("astronomer", "user"),
    ]


def test_summary_by_a_model_belongs_to_the_chat(play: Play) -> None:
    outcome, _, trace = play(chats.two_models_for_two_turns)
    assert trace.outline() == lines("""
        invoke_workflow two
          invoke_agent two
            chat gpt-4o-mini
          invoke_agent one
            chat gpt-4o-mini
          invoke_agent two
            chat gpt-4o-mini
          chat gpt-4o-mini
    """)
    assert len(trace.messages) == len(outcome["history"])


@pytest.mark.parametrize("program", [chats.chats_in_a_row, chats.chats_in_a_row_async], ids=str)
def test_chats_in_a_row_are_one_trace(play: Play, program: Program) -> None:
    trace = play(program).trace
    assert trace.outline() == lines("""
        invoke_workflow initiate_chats
          invoke_workflow first
            invoke_agent first
              chat gpt-4o-mini
          invoke_workflow second
            invoke_agent second
              chat gpt-4o-mini
    """)


@pytest.mark.parametrize("program", [chats.nested_chat, chats.nested_chat_async], ids=str)
def test_nested_chat_hangs_under_the_turn_that_holds_it(play: Play, program: Program) -> None:
    trace = play(program).trace
    assert trace.outline() == lines("""
        invoke_workflow writer
          invoke_agent writer
            invoke_workflow critic
              invoke_agent critic
                chat gpt-4o-mini
    """)
    assert attribute(trace.named("invoke_agent critic"), semconv.NODE_TYPE) == NodeType.SUB_AGENT
    assert trace.messages == [("user", "writer"), ("writer", "critic"), ("critic", "writer"), ("writer", "user")]


def test_turn_that_only_finds_the_chat_to_be_over_leaves_no_span(play: Play) -> None:
    outcome, _, trace = play(chats.eight_turns)
    assert outcome["history"][-1]["name"] == "teller"
    assert [attribute(span, semconv.AGENT_NAME) for span in trace.of(NodeKind.AGENT)] == ["teller", "user"] * 7 + [
        "teller"
    ]
