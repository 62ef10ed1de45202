"""Groups: who speaks, who chose, and who handed over to whom."""

from __future__ import annotations

import pytest

from cmbagent_otel import semconv
from cmbagent_otel.semconv import NodeKind
from tests.scenarios.programs import groups, threads
from tests.scenarios.stage import Play
from tests.scenarios.trace import attribute, lines, moments
from tests.scenarios.world import Program


@pytest.mark.parametrize("program", [groups.group_in_turn, groups.group_in_turn_async], ids=str)
def test_manager_of_a_group_is_a_chat_and_no_agent(play: Play, program: Program) -> None:
    outcome, _, trace = play(program)
    assert trace.outline() == lines("""
        invoke_workflow salon
          invoke_agent poet
            chat gpt-4o-mini
          invoke_agent critic
            chat gpt-4o-mini
          invoke_agent user
    """)
    assert attribute(trace.roots[0], semconv.CHAT_MANAGER) == "salon"
    assert [sender for sender, _ in trace.messages] == [message["name"] for message in outcome["history"]]


@pytest.mark.parametrize("program", [groups.group_led_by_a_model, groups.group_led_by_a_model_async], ids=str)
def test_selection_by_a_model_holds_its_model_calls_and_names_who_was_chosen(play: Play, program: Program) -> None:
    trace = play(program).trace
    assert trace.outline() == lines("""
        invoke_workflow salon
          speaker_selection
            chat gpt-4o-mini
          invoke_agent poet
            chat gpt-4o-mini
          speaker_selection
            chat gpt-4o-mini
          invoke_agent critic
            chat gpt-4o-mini
          speaker_selection
            chat gpt-4o-mini
          invoke_agent poet
            chat gpt-4o-mini
    """)
    chosen = [attribute(span, semconv.SPEAKER_SELECTED) for span in trace.of(NodeKind.SPEAKER_SELECTION)]
    assert chosen == ["poet", "critic", "poet"]
    assert trace.messages == [("user", "salon"), ("poet", "salon"), ("critic", "salon"), ("poet", "salon")]


def test_selection_by_a_function_makes_no_span_and_its_end_is_no_error(play: Play) -> None:
    trace = play(groups.group_led_by_a_function).trace
    assert trace.outline() == lines("""
        invoke_workflow salon
          invoke_agent poet
            chat gpt-4o-mini
          invoke_agent critic
            chat gpt-4o-mini
    """)


@pytest.mark.parametrize(
    "program", [groups.group_in_turn, groups.group_led_by_a_model, groups.group_led_by_a_function], ids=str
)
def test_taking_turns_is_no_handoff(play: Play, program: Program) -> None:
    assert play(program).trace.handoffs == []


WORKSHOP = lines("""
    invoke_workflow workshop
      invoke_agent planner
        chat gpt-4o-mini
        execute_tool make_plan
      invoke_agent coder
        chat gpt-4o-mini
        execute_tool transfer_to_tester_1
      invoke_agent tester
        chat gpt-4o-mini
        execute_tool pass_tests
      invoke_agent tester
      invoke_agent writer
        chat gpt-4o-mini
      invoke_agent editor
        chat gpt-4o-mini
""")


@pytest.mark.parametrize(
    "program",
    [groups.handoffs_of_each_kind, groups.handoffs_of_each_kind_async, threads.group_in_the_background],
    ids=str,
)
def test_each_handoff_is_stated_once_with_its_kind(play: Play, program: Program) -> None:
    _, world, trace = play(program)
    assert trace.outline() == WORKSHOP
    assert trace.handoffs == [
        ("planner", "coder", "reply_result"),
        ("coder", "tester", "llm_condition"),
        ("tester", "writer", "context_condition"),
        ("writer", "editor", "after_work"),
    ]
    assert world.done == ["make_plan 2", "pass_tests"]


def test_tools_of_a_group_name_who_asked_and_who_ran_them(play: Play) -> None:
    trace = play(groups.handoffs_of_each_kind).trace
    tool = trace.named("execute_tool make_plan")
    assert attribute(tool, semconv.TOOL_CALLER) == "planner"
    assert attribute(tool, semconv.TOOL_EXECUTOR) == "_Group_Tool_Executor"


def test_what_the_tool_executor_says_is_on_the_last_tool_that_it_ran(play: Play) -> None:
    outcome, _, trace = play(groups.handoffs_of_each_kind)
    said = [len(moments(span, semconv.MESSAGE_EVENT)) for span in trace.of(NodeKind.TOOL)]
    assert said == [1, 1, 1]
    senders = [sender for sender, _ in trace.messages]
    assert senders == [message.get("name", "_User") for message in outcome["history"]]


def test_handoff_to_a_nested_chat_and_back_and_to_the_user(play: Play) -> None:
    trace = play(groups.handoff_to_a_nested_chat_and_to_the_user).trace
    assert trace.handoffs == [
        ("clerk", "wrapped_nested_clerk_1", "llm_condition"),
        ("wrapped_nested_clerk_1", "clerk", "after_work"),
        ("clerk", "person", "after_work"),
    ]
    assert trace.parent_of(trace.named("invoke_workflow expert")) == "invoke_agent wrapped_nested_clerk_1"


def test_pattern_in_turn_hands_over_after_work(play: Play) -> None:
    trace = play(groups.pattern_in_turn).trace
    assert trace.handoffs == [("one", "two", "after_work"), ("two", "three", "after_work")]


def test_pattern_led_by_a_model_chooses_and_hands_nothing_over(play: Play) -> None:
    trace = play(groups.pattern_led_by_a_model).trace
    assert len(trace.of(NodeKind.SPEAKER_SELECTION)) == 1
    assert trace.handoffs == []
