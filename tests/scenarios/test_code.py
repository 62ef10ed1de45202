"""Code: what was run, in which language, and how it ended."""

from __future__ import annotations

import pytest

from cmbagent_otel import semconv
from cmbagent_otel.semconv import NodeKind
from tests.scenarios.programs import code
from tests.scenarios.stage import Play
from tests.scenarios.trace import attribute, lines
from tests.scenarios.world import Program


@pytest.mark.parametrize("program", [code.code_by_command_line, code.code_in_the_older_way], ids=str)
def test_code_hangs_under_the_turn_that_runs_it_and_a_bad_exit_is_an_error(play: Play, program: Program) -> None:
    trace = play(program).trace
    assert trace.outline() == lines("""
        invoke_workflow coder
          invoke_agent coder
            chat gpt-4o-mini
          invoke_agent runner
            execute_code runner ! nonzero_exit_code
          invoke_agent coder
            chat gpt-4o-mini
          invoke_agent runner
            execute_code runner
          invoke_agent coder
            chat gpt-4o-mini
    """)
    failed, passed = trace.of(NodeKind.CODE)
    assert attribute(failed, semconv.PROCESS_EXIT_CODE) == 3
    assert attribute(passed, semconv.PROCESS_EXIT_CODE) == 0
    assert attribute(failed, semconv.CODE_LANGUAGE) == "python"
    assert attribute(passed, semconv.CODE_LANGUAGE) == "python"
    assert [attribute(span, semconv.CODE_BLOCKS) for span in (failed, passed)] == [1, 2]


def test_code_in_two_languages_names_both(play: Play) -> None:
    (ran,) = play(code.code_in_two_languages).trace.of(NodeKind.CODE)
    assert attribute(ran, semconv.CODE_LANGUAGE) == "sh, python"


@pytest.mark.parametrize(
    "program", [code.code_that_takes_too_long, code.code_that_takes_too_long_in_the_older_way], ids=str
)
def test_code_that_takes_too_long_ends_with_a_timeout(play: Play, program: Program) -> None:
    (stopped,) = play(program).trace.of(NodeKind.CODE)
    assert attribute(stopped, semconv.ERROR_TYPE) == "timeout"
    assert attribute(stopped, semconv.CODE_TIMEOUT) is True


def test_executor_of_the_programs_own_is_seen(play: Play) -> None:
    _, world, trace = play(code.code_by_an_executor_of_ones_own)
    (ran,) = trace.of(NodeKind.CODE)
    assert attribute(ran, semconv.AGENT_NAME) == "runner"
    assert world.done == ["pretend 1"]


def test_executor_that_calls_its_super_runs_code_once(play: Play) -> None:
    assert len(play(code.code_by_an_executor_that_calls_its_super).trace.of(NodeKind.CODE)) == 1
