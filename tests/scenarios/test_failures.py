"""Failures: told where they happened, and up to where nobody handled them."""

from __future__ import annotations

from tests.scenarios.programs import failures
from tests.scenarios.stage import Play
from tests.scenarios.trace import lines


def test_model_that_refuses_fails_up_to_the_chat(play: Play) -> None:
    outcome, _, trace = play(failures.model_that_refuses)
    assert outcome == "AuthenticationError"
    assert trace.outline() == lines("""
        invoke_workflow teller ! openai.AuthenticationError
          invoke_agent teller ! openai.AuthenticationError
            chat gpt-4o-mini ! openai.AuthenticationError
    """)


def test_cancelled_chat_is_told_as_cancelled(play: Play) -> None:
    outcome, _, trace = play(failures.chat_that_is_cancelled)
    assert outcome == "cancelled"
    # The thread that asks the model can't be cancelled; its answer comes, and nobody hears it.
    assert trace.outline() == lines("""
        invoke_workflow teller ! asyncio.exceptions.CancelledError
          invoke_agent teller ! asyncio.exceptions.CancelledError
            chat gpt-4o-mini
    """)


def test_exception_that_ag2_does_not_catch_fails_the_tool_the_running_turn_and_the_chat(play: Play) -> None:
    outcome, _, trace = play(failures.exception_that_ag2_does_not_catch)
    assert outcome == "gave up"
    given_up = f"{failures.GiveUp.__module__}.GiveUp"
    assert trace.outline() == lines(f"""
        invoke_workflow quitter ! {given_up}
          invoke_agent quitter
            chat gpt-4o-mini
            execute_tool give_up ! {given_up}
          invoke_agent user ! {given_up}
    """)
