"""Code in a Jupyter kernel, where it is installed (``make test-beside``): as code by command line."""

from __future__ import annotations

import json

import pytest

from cmbagent_otel import semconv
from cmbagent_otel.semconv import NodeKind
from tests.scenarios.programs import notebooks
from tests.scenarios.stage import Play
from tests.scenarios.trace import attribute, lines
from tests.scenarios.world import Program

pytestmark = pytest.mark.skipif(bool(notebooks.MISSING), reason=f"not installed: {', '.join(notebooks.MISSING)}")


@pytest.mark.parametrize("program", [notebooks.code_by_a_jupyter_server, notebooks.code_in_a_kernel], ids=str)
def test_code_in_a_kernel_hangs_under_its_turn_and_tells_its_files(play: Play, program: Program) -> None:
    trace = play(program).trace
    assert trace.outline() == lines("""
        execute_code
        invoke_workflow coder
          invoke_agent coder
            chat gpt-4o-mini
          invoke_agent runner
            execute_code runner
          invoke_agent coder
            chat gpt-4o-mini
          invoke_agent runner
            execute_code runner ! nonzero_exit_code
          invoke_agent coder
            chat gpt-4o-mini
    """)
    _, passed, failed = trace.of(NodeKind.CODE)
    assert [attribute(span, semconv.PROCESS_EXIT_CODE) for span in (passed, failed)] == [0, 1]
    assert [attribute(span, semconv.CODE_BLOCKS) for span in (passed, failed)] == [1, 2]
    assert {attribute(span, semconv.CODE_LANGUAGE) for span in (passed, failed)} == {"python"}
    files = [json.loads(text) for text in attribute(passed, semconv.CODE_FILES)]
    assert ("answer.txt", 2) in [(file["path"].rpartition("/")[2], file["size"]) for file in files]


@pytest.mark.parametrize(
    "program",
    [notebooks.code_by_a_jupyter_server_that_takes_too_long, notebooks.code_in_a_kernel_that_takes_too_long],
    ids=str,
)
def test_cell_that_takes_too_long_ends_with_a_timeout(play: Play, program: Program) -> None:
    stopped = play(program).trace.of(NodeKind.CODE)[1]
    assert attribute(stopped, semconv.ERROR_TYPE) == "timeout"
    assert attribute(stopped, semconv.CODE_TIMEOUT) is True
