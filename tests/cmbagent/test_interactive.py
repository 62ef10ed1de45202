"""The interactive phase of the fork, in both of its states, against a re-enactment of its loop."""

from __future__ import annotations

from typing import Any

import pytest

import cmbagent_otel as otel
from cmbagent_otel import content, semconv
from cmbagent_otel.scope import id_of
from tests.cmbagent import reenactment
from tests.cmbagent.reenactment import CMBAgent, PhaseExecutionManager, new_context, new_phase, turn
from tests.cmbagent.stage import facts, steps
from tests.scenarios.stage import Recorder
from tests.scenarios.trace import Trace, attribute, lines

both_states = pytest.mark.parametrize("announced", [True, False], ids=["earlier", "later"])
"""The fork's earlier state tells its manager of a redo, its later one does not."""


RAN, FAILED = "ran", "failed"


def work(*tries: str, last: str = "control") -> reenactment.Chat:
    """A chat in which the engineer's code ran or failed, each time it was tried."""

    def chat(variables: dict[str, Any]) -> None:
        turn("control")
        for outcome in tries:
            turn("engineer")
            variables["n_attempts"] += outcome == FAILED
        turn(last)

    return chat


def refused(_: dict[str, Any]) -> None:
    turn("control")
    raise ConnectionError


WORDLESS = "Redo attempt {}"
"""The hypothesis where there is none."""


@both_states
@pytest.mark.parametrize(
    ("chats", "reviews", "expected"),
    [
        ([work(RAN)] * 2, ["Use wavelets", None], [("", None, None), ("", "feedback", "Use wavelets")]),
        ([work(RAN)] * 2, ["", None], [("", None, None), ("", "feedback", WORDLESS.format(1))]),
        (
            [work(FAILED), work(FAILED, RAN)],
            ["Use wavelets", None],
            [
                ("execution_failed", None, None),
                ("execution_failed", "feedback", "Use wavelets"),
                ("", "failure", WORDLESS.format(2)),
            ],
        ),
        (
            [work(RAN)] * 3,
            ["Use wavelets", "Use splines", None],
            [
                ("", None, None),
                ("", "feedback", "Use wavelets"),
                ("", "feedback", "Use wavelets\n\nUse splines"),
            ],
        ),
        (
            [work(FAILED, FAILED, RAN, last="terminator"), work(RAN)],
            [None],
            [
                ("execution_failed", None, None),
                ("execution_failed", "failure", WORDLESS.format(1)),
                ("max_attempts", "failure", WORDLESS.format(2)),
                ("", "failure", WORDLESS.format(3)),
            ],
        ),
        (
            [work(RAN), refused, work(RAN)],
            ["Use wavelets", None],
            [
                ("", None, None),
                ("ConnectionError", "feedback", "Use wavelets"),
                ("", "failure", WORDLESS.format(2)),
            ],
        ),
    ],
    ids=[
        "sent back",
        "sent back without a word",
        "sent back after it failed, and failing again",
        "sent back twice",
        "tried again by the phase in a chat that begins with a failure counted",
        "refused by the model after it was sent back",
    ],
)
def test_interactive_step_is_told_alike_whether_its_redos_are_announced_or_not(
    recorder: Recorder,
    chats: list[reenactment.Chat],
    reviews: list[str | None],
    expected: list[tuple[str, str | None, str | None]],
    announced: bool,
) -> None:
    content.configure(recorded=True, on_spans=True, limit=65536)
    with PhaseExecutionManager(new_context(), new_phase("hitl_control", max_redos=2, max_n_attempts=2)) as manager:
        reenactment.interactive_step(manager, iter(chats), iter(reviews), announced=announced)
        manager.complete()
    told = steps(Trace(recorder.ended))
    assert [
        (
            attribute(span, semconv.ERROR_TYPE) or "",
            attribute(span, semconv.REDO_REASON),
            attribute(span, semconv.REDO_HYPOTHESIS),
        )
        for span in told
    ] == expected
    assert [attribute(span, semconv.STEP_ATTEMPT) for span in told] == list(range(1, len(told) + 1))
    assert [id_of(link.context) for span in told for link in span.links] == [id_of(span.context) for span in told[:-1]]
    assert {attribute(span, semconv.REDO_SOURCE) for span in told[1:]} <= {id_of(told[0].context)}


@both_states
def test_turns_after_a_failure_in_a_redo_are_the_next_attempts(recorder: Recorder, announced: bool) -> None:
    with PhaseExecutionManager(new_context(), new_phase("hitl_control", max_redos=2, max_n_attempts=2)) as manager:
        chats = iter([work(RAN), work(FAILED, RAN)])
        reenactment.interactive_step(manager, chats, iter(["", None]), announced=announced)
        manager.complete()
    assert Trace(recorder.ended).outline() == lines("""
        invoke_workflow deep_research
          phase hitl_control
            step 1
              invoke_agent control
              invoke_agent engineer
              invoke_agent control
            step 1 redo 1 ! execution_failed
              invoke_agent control
              invoke_agent engineer
            step 1 redo 2
              invoke_agent engineer
              invoke_agent control
    """)


def test_failure_that_the_controller_itself_counts_is_of_the_step(recorder: Recorder) -> None:
    """In the fork's later state ``record_status`` counts a step that the controller calls failed."""

    def chat(variables: dict[str, Any]) -> None:
        turn("engineer")
        variables["current_status"] = "failed"
        variables["n_attempts"] += 1
        turn("engineer")

    def status(variables: dict[str, Any]) -> None:
        turn("engineer")
        with otel.tool("record_status_closure"):
            variables.update(current_status="failed", n_attempts=1)
        turn("engineer")

    with PhaseExecutionManager(new_context(), new_phase("control", max_n_attempts=3)) as manager:
        for number, told in enumerate((chat, status), 1):
            cmbagent = CMBAgent(managed_mode=True)
            cmbagent.chat = told
            manager.start_step(number, "Compute")
            cmbagent.solve("task", step=number)
            manager.complete_step(number)
        manager.complete()
    assert [facts(span).get("type") for span in steps(Trace(recorder.ended))] == [
        "execution_failed",
        None,
        "step_failed",
        None,
    ]
