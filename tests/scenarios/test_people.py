"""People: the wait for them, and classes that override what AG2 does."""

from __future__ import annotations

import pytest

from cmbagent_otel import semconv
from cmbagent_otel.semconv import NodeKind, NodeType
from tests.scenarios.programs import people
from tests.scenarios.stage import Play
from tests.scenarios.trace import attribute, lines
from tests.scenarios.world import Program


@pytest.mark.parametrize("program", [people.person_answers, people.person_answers_async], ids=str)
def test_wait_for_a_person_hangs_under_the_turn_that_asks(play: Play, program: Program) -> None:
    outcome, _, trace = play(program)
    assert trace.outline() == lines("""
        invoke_workflow butler
          invoke_agent butler
            chat gpt-4o-mini
          invoke_agent person
            await_human_input person
          invoke_agent butler
            chat gpt-4o-mini
          invoke_agent person
            await_human_input person
    """)
    asked = trace.of(NodeKind.APPROVAL)
    assert len(asked) == len(outcome["human"])
    assert {attribute(span, semconv.NODE_TYPE) for span in asked} == {NodeType.APPROVAL}
    assert attribute(trace.named("invoke_workflow butler"), semconv.CHAT_NAME) == "butler"


def test_person_who_starts_is_asked_within_the_chat(play: Play) -> None:
    trace = play(people.person_starts).trace
    assert trace.outline() == lines("""
        invoke_workflow butler
          await_human_input person
          invoke_agent butler
            chat gpt-4o-mini
          invoke_agent person
            await_human_input person
    """)


def test_overrides_of_reply_and_human_input_are_seen_once(play: Play) -> None:
    outcome, _, trace = play(people.overrides)
    assert trace.outline() == lines("""
        invoke_workflow polite
          invoke_agent polite
            chat gpt-4o-mini
          invoke_agent scripted
            await_human_input scripted
    """)
    assert outcome["history"][-1]["content"] == "Tea, please"
    assert trace.messages == [("scripted", "polite"), ("polite", "scripted")]
