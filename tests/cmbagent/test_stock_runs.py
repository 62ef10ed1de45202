"""Stock CMBAgent, driven offline: the exact truth of its runs."""

from __future__ import annotations

from collections import Counter

import pytest

from cmbagent_otel import semconv
from cmbagent_otel.scope import id_of
from cmbagent_otel.semconv import NodeKind, NodeType
from cmbagent_otel.testing import say
from tests.cmbagent import scripts
from tests.cmbagent.scripts import CONTROLLER
from tests.cmbagent.stage import TASK, Play, Played, facts, plot, steps
from tests.scenarios.trace import Trace, attribute, lines

pytestmark = [pytest.mark.timeout(300), pytest.mark.filterwarnings("ignore")]  # what CMBAgent warns of is its own


def test_one_shot_with_failing_attempts_is_a_step_and_its_redos(retried: Played) -> None:
    result, server, trace = retried
    assert result["final_context"]["n_attempts"] == 2
    assert plot(trace) == lines("""
        one_shot
          phase one_shot
            step 1 ! execution_failed
              engineer
              engineer_nest
              executor_response_formatter
            step 1 redo 1 ! execution_failed
              engineer
              engineer_nest
              executor_response_formatter
            step 1 redo 2
              engineer
              engineer_nest
              executor_response_formatter
              control
            terminator
    """)
    assert [facts(span) for span in steps(trace)] == [
        {"number": 1, "attempt": 1, "name": "engineer", "type": "execution_failed"},
        {"number": 1, "attempt": 2, "name": "engineer", "reason": "failure", "type": "execution_failed"},
        {"number": 1, "attempt": 3, "name": "engineer", "reason": "failure", "status": "completed"},
    ]
    assert tools(trace) == [("post_execution_transfer", "executor_response_formatter")] * 3 + [
        ("record_status", CONTROLLER)
    ]
    assert exit_codes(trace) == [1, 1, 0]
    assert len(trace.of(NodeKind.LLM)) == len(server.exchanges) == 11


def test_nested_chat_of_the_engineer_hangs_under_the_turn_that_opened_it(play: Play) -> None:
    trace = play("one_shot", scripts.one_shot(failures=0)).trace
    assert trace.outline().replace(f"invoke_agent {CONTROLLER}\n", "invoke_agent control\n") == lines("""
        invoke_workflow one_shot
          phase one_shot
            invoke_workflow main_cmbagent_chat
              invoke_agent terminator
                chat gpt-4.1-2025-04-14
            step 1
              invoke_agent engineer
                chat gpt-4.1-2025-04-14
              invoke_agent engineer_nest
                invoke_workflow engineer_nested_chat
                  invoke_agent engineer_response_formatter
                    chat o3-mini-2025-01-31
                  invoke_agent executor
                    execute_code executor
              invoke_agent executor_response_formatter
                chat o3-mini-2025-01-31
                execute_tool post_execution_transfer
              invoke_agent control
                chat gpt-4.1-2025-04-14
                execute_tool record_status
    """)


def test_redo_is_linked_to_the_attempt_before_and_names_the_first(retried: Played) -> None:
    trace = retried.trace
    first, second, third = steps(trace)
    assert [attribute(span, semconv.NODE_TYPE) for span in (first, second, third)] == [
        NodeType.STEP,
        NodeType.BRANCH_POINT,
        NodeType.BRANCH_POINT,
    ]
    assert [attribute(span, semconv.REDO_SOURCE) for span in (second, third)] == [id_of(first.context)] * 2
    assert [
        [(link.context.span_id, dict(link.attributes or {})) for link in span.links] for span in (second, third)
    ] == [
        [(first.context.span_id, {semconv.LINK_KIND: semconv.LINK_REDO_OF})],
        [(second.context.span_id, {semconv.LINK_KIND: semconv.LINK_REDO_OF})],
    ]
    assert {span.parent and span.parent.span_id for span in (first, second, third)} == {
        trace.named("phase one_shot").context.span_id
    }


def test_planning_and_control_with_a_review_and_a_redo(planned: Played) -> None:
    result, server, trace = planned
    assert result["final_context"]["current_status"] == "completed"
    assert plot(trace) == lines("""
        planning_and_control
          phase planning
            plan_setter
            planner
            planner_response_formatter
            plan_recorder
            phase plan_review
              plan_reviewer
              reviewer_response_formatter
              review_recorder
            planner
            planner_response_formatter
            plan_recorder
            terminator
          phase control
            control
            step 1 ! execution_failed
              engineer
              engineer_nest
              executor_response_formatter
            step 1 redo 1
              engineer
              engineer_nest
              executor_response_formatter
              control
            control
            step 2
              researcher
              researcher_response_formatter
              researcher_executor
              control
            terminator
    """)
    assert [facts(span) for span in steps(trace)] == [
        {"number": 1, "attempt": 1, "name": "engineer", "type": "execution_failed"},
        {"number": 1, "attempt": 2, "name": "engineer", "status": "completed", "reason": "failure"},
        {"number": 2, "attempt": 1, "name": "researcher", "status": "completed"},
    ]
    assert Counter(tools(trace)) == {
        ("record_plan_constraints", "plan_setter"): 1,
        ("record_plan", "plan_recorder"): 2,
        ("record_review", "review_recorder"): 1,
        ("record_status", CONTROLLER): 4,
        ("post_execution_transfer", "executor_response_formatter"): 2,
    }
    assert exit_codes(trace) == [1, 0, 0]
    assert len(trace.of(NodeKind.LLM)) == len(server.exchanges) == 24
    assert attribute(trace.named("phase planning"), semconv.PLAN_STEPS) == 2


def test_next_step_follows_the_accepted_attempt_and_a_phase_the_one_before(planned: Played) -> None:
    trace = planned.trace
    _, accepted, second = steps(trace)
    assert attribute(second, semconv.DAG_DEPENDS_ON) == (id_of(accepted.context),)
    planning, control = trace.named("phase planning"), trace.named("phase control")
    assert attribute(control, semconv.DAG_DEPENDS_ON) == (id_of(planning.context),)


@pytest.mark.parametrize("name", ["planning_and_control_context_carryover", "deep_research"])
def test_carry_over_is_one_control_phase_with_a_chat_for_each_step(play: Play, name: str) -> None:
    trace = play(name, scripts.planning_and_control(carried_over=True)).trace
    assert plot(trace).split("  phase control")[1] == lines("""
        -
            control
            step 1 ! execution_failed
              engineer
              engineer_nest
              executor_response_formatter
            step 1 redo 1
              engineer
              engineer_nest
              executor_response_formatter
              control
            control
            terminator
            control_starter
            step 2
              researcher
              researcher_response_formatter
              researcher_executor
              control
            terminator
    """).removeprefix("-")
    assert trace.roots[0].name == f"invoke_workflow {name}"
    assert len([span for span in trace.of(NodeKind.CHAT) if span.name == "invoke_workflow main_cmbagent_chat"]) == 3
    _, accepted, second = steps(trace)
    assert attribute(second, semconv.DAG_DEPENDS_ON) == (id_of(accepted.context),)


def test_feedback_of_a_person_is_a_redo_by_feedback(play: Play) -> None:
    replies = scripts.one_shot(failures=0) | {
        "engineer": [say("My code."), say("With a log axis.")],
        "engineer_response_formatter": [scripts.code(scripts.GOOD_CODE)] * 2,
        "executor_response_formatter": [scripts.executed("success", "control")] * 2,
        "control": [scripts.status_call(1, "completed")] * 2,
    }
    trace = play("human_in_the_loop", replies, person="Use a log axis.\nexit\n").trace
    assert plot(trace) == lines("""
        human_in_the_loop
          phase hitl_control
            step 1
              engineer
              engineer_nest
              executor_response_formatter
              control
            admin
            step 1 redo 1
              engineer
              engineer_nest
              executor_response_formatter
              control
            admin
    """)
    assert [facts(span).get("reason") for span in steps(trace)] == [None, "feedback"]
    assert [span.name for span in trace.of(NodeKind.APPROVAL)] == ["await_human_input admin"] * 2
    assert attribute(steps(trace)[1], semconv.REDO_HYPOTHESIS) == "Redo attempt 1"


def test_with_the_gate_open_task_goals_and_what_is_done_differently_are_told(play: Play) -> None:
    trace = play("planning_and_control", scripts.planning_and_control(), content_on=True).trace
    assert attribute(trace.roots[0], semconv.WORKFLOW_TASK) == TASK
    assert [attribute(span, semconv.STEP_GOAL) for span in steps(trace)] == [
        "Compute the spectrum",
        "Compute the spectrum",
        "Interpret it",
    ]
    assert [attribute(span, semconv.REDO_HYPOTHESIS) for span in steps(trace)] == [None, "Deconvolve the beam.", None]


def test_with_the_gate_shut_neither_task_nor_goals_nor_suggestions_are_told(planned: Played) -> None:
    trace = planned.trace
    told = "".join(span.to_json() for span in trace.spans)
    for words in (TASK, "Interpret it", "Deconvolve", "Mind the beam"):
        assert words not in told


def test_limit_of_cmbagent_is_observed_and_not_enforced_again(play: Play) -> None:
    replies = scripts.one_shot(failures=4) | {
        "executor_response_formatter": [scripts.executed("failure", "engineer")] * 4,
    }
    trace = play("one_shot", replies).trace
    assert [facts(span) for span in steps(trace)] == [
        {"number": 1, "attempt": 1, "name": "engineer", "type": "execution_failed"},
        {"number": 1, "attempt": 2, "name": "engineer", "reason": "failure", "type": "execution_failed"},
        {"number": 1, "attempt": 3, "name": "engineer", "reason": "failure", "type": "execution_failed"},
        {"number": 1, "attempt": 4, "name": "engineer", "reason": "failure", "type": "max_attempts"},
    ]


def test_control_of_a_given_plan_has_no_planning(play: Play, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("plan") / "plan.json"
    path.write_text('{"sub_tasks": [{"sub_task": "Compute", "sub_task_agent": "engineer", "bullet_points": []}]}')
    replies = scripts.one_shot(failures=0) | {
        "control": [scripts.status_call(1, "in progress"), scripts.status_call(1, "completed")],
    }
    trace = play("control", replies, plan=str(path)).trace
    assert plot(trace) == lines("""
        control
          phase control
            control
            step 1
              engineer
              engineer_nest
              executor_response_formatter
              control
            terminator
    """)


def test_files_of_the_engineer_and_the_researcher_are_told(planned: Played) -> None:
    trace = planned.trace
    names = [
        [file.rpartition("/out/control/")[2].split('"')[0] for file in attribute(span, semconv.CODE_FILES) or ()]
        for span in trace.of(NodeKind.CODE)
    ]
    assert names == [["codebase/spectrum.py"], ["codebase/spectrum.py", "data/spectrum.txt"], ["notes.md"]]


def tools(trace: Trace) -> list[tuple[str, str]]:
    """Each tool call with the agent that asked for it."""
    return [
        (attribute(span, semconv.TOOL_NAME), attribute(span, semconv.TOOL_CALLER)) for span in trace.of(NodeKind.TOOL)
    ]


def exit_codes(trace: Trace) -> list[int]:
    """Of the code executions, in order."""
    return [attribute(span, semconv.PROCESS_EXIT_CODE) for span in trace.of(NodeKind.CODE)]
