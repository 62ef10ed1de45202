"""Runs of stock CMBAgent that go wrong: what is known is said, what was cut off is marked, nothing is made up."""

from __future__ import annotations

import pytest

from cmbagent_otel import semconv
from cmbagent_otel.testing import Reply, call_tool, fail, say
from tests.cmbagent import scripts, stage
from tests.cmbagent.scripts import status_arguments, status_call, status_calls
from tests.cmbagent.stage import Play, facts, plot, steps
from tests.scenarios.stage import Recorder
from tests.scenarios.trace import Trace, attribute, lines

pytestmark = [pytest.mark.timeout(300), pytest.mark.filterwarnings("ignore")]  # what CMBAgent warns of is its own


def controlled(*words: Reply, works: int) -> dict[str, list[Reply]]:
    """A plan without review, then a controller that says these words over an engineer that works that often."""
    return {
        **scripts.planning(reviews=0),
        "control": list(words),
        "engineer": [say("Here is my code.")] * works,
        "engineer_response_formatter": [scripts.code(scripts.GOOD_CODE)] * works,
        "executor_response_formatter": [scripts.executed("success", "control")] * works,
        "terminator": [say("Done.")] * 2,
    }


def test_plan_without_steps_has_no_steps(play: Play) -> None:
    replies = scripts.planning(reviews=0, steps=()) | {"control": [say("Nothing to do.")]}
    trace = play("planning_and_control", replies | {"terminator": [say("Done.")] * 2}, n_plan_reviews=0).trace
    assert steps(trace) == []
    assert plot(trace).partition("  phase control")[2] == "\n    control\n    terminator"
    assert attribute(trace.named("phase planning"), semconv.PLAN_STEPS) == 0


def test_status_call_that_never_comes_leaves_the_turns_in_the_chat(play: Play) -> None:
    replies = controlled(call_tool("transfer_to_engineer_1"), say("All done."), works=1)
    trace = play("planning_and_control", replies, n_plan_reviews=0).trace
    assert steps(trace) == []
    assert "engineer_nest" in plot(trace)


def test_step_number_that_repeats_is_a_redo_without_a_reason(play: Play) -> None:
    replies = controlled(
        status_call(1, "in progress"),
        status_call(1, "completed"),
        status_call(1, "in progress"),
        status_call(1, "completed"),
        status_call(2, "completed"),
        works=2,
    )
    trace = play("planning_and_control", replies, n_plan_reviews=0).trace
    assert [facts(span) for span in steps(trace)] == [
        {"number": 1, "attempt": 1, "name": "engineer", "status": "completed"},
        {"number": 1, "attempt": 2, "name": "engineer", "status": "completed"},
    ]


def test_step_number_that_jumps_back_does_that_step_again(play: Play) -> None:
    replies = controlled(
        status_call(2, "in progress"),
        status_call(1, "in progress"),
        status_call(2, "in progress"),
        status_call(2, "completed"),
        works=3,
    )
    trace = play("planning_and_control", replies, n_plan_reviews=0).trace
    assert [facts(span) for span in steps(trace)] == [
        {"number": 2, "attempt": 1, "name": "engineer"},
        {"number": 1, "attempt": 1, "name": "engineer"},
        {"number": 2, "attempt": 2, "name": "engineer", "status": "completed"},
    ]


def test_several_words_in_one_message_are_all_heard(play: Play) -> None:
    replies = controlled(
        status_call(1, "in progress"),
        status_calls(status_arguments(1, "completed"), status_arguments(2, "in progress")),
        status_call(2, "completed"),
        works=2,
    )
    trace = play("planning_and_control", replies, n_plan_reviews=0).trace
    assert [facts(span) for span in steps(trace)] == [
        {"number": 1, "attempt": 1, "name": "engineer", "status": "completed"},
        {"number": 2, "attempt": 1, "name": "engineer", "status": "completed"},
    ]


def test_same_word_said_twice_changes_nothing(play: Play) -> None:
    replies = controlled(
        status_call(1, "in progress"),
        status_call(1, "in progress"),
        status_call(1, "completed"),
        status_call(2, "completed"),
        works=2,
    )
    trace = play("planning_and_control", replies, n_plan_reviews=0).trace
    assert [facts(span)["attempt"] for span in steps(trace)] == [1]


def test_step_that_the_controller_calls_failed_is_redone(play: Play) -> None:
    replies = controlled(
        status_call(1, "in progress"),
        status_call(1, "failed"),
        status_call(1, "completed"),
        status_call(2, "completed"),
        works=2,
    )
    trace = play("planning_and_control", replies, n_plan_reviews=0).trace
    assert [facts(span) for span in steps(trace)] == [
        {"number": 1, "attempt": 1, "name": "engineer", "status": "failed", "type": "step_failed"},
        {"number": 1, "attempt": 2, "name": "engineer", "status": "completed", "reason": "failure"},
    ]


def test_chat_out_of_rounds_cuts_its_step_off(play: Play) -> None:
    trace = play("one_shot", scripts.one_shot(failures=0), max_rounds=3).trace
    assert plot(trace) == lines("""
        one_shot
          phase one_shot
            step 1 ! interrupted
              engineer
              engineer_nest
    """)


def test_error_in_the_middle_fails_step_phase_and_run(play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    recorder = Recorder()
    monkeypatch.setattr(stage, "Recorder", lambda: recorder)
    replies = scripts.one_shot(failures=0) | {"executor_response_formatter": [fail(400)]}
    with pytest.raises(UnboundLocalError):  # what CMBAgent's AG2 makes of a model that refuses
        play("one_shot", replies)
    assert recorder.left_open == []
    assert plot(Trace(recorder.ended)) == lines("""
        one_shot ! UnboundLocalError
          phase one_shot ! UnboundLocalError
            step 1 ! UnboundLocalError
              engineer
              engineer_nest
              executor_response_formatter ! UnboundLocalError
    """)
