"""Code execution: by an executor, and by AG2's older way; what works, what fails, what takes too long."""

from __future__ import annotations

from typing import Any

from autogen import ConversableAgent
from autogen.coding import CodeBlock, LocalCommandLineCodeExecutor, MarkdownCodeExtractor
from autogen.coding.base import CodeResult

from cmbagent_otel.testing import say
from tests.scenarios.programs.chats import assistant, ends, user
from tests.scenarios.world import IS_CMBAGENTS, World, program, seen


def block(code: str, language: str = "python") -> str:
    """Code as a model writes it."""
    return f"```{language}\n{code}\n```"


def runner(config: Any) -> ConversableAgent:
    """Somebody who runs what the coder writes."""
    return user("runner", code_execution_config=config, is_termination_msg=ends)


CODE = (
    say(block("import sys; print(6 * 7); sys.exit(3)")),
    say(block("print('first')") + "\n" + block("print('second')")),
    say("TERMINATE"),
)


@program(*CODE)
def code_by_command_line(world: World) -> Any:
    executor = LocalCommandLineCodeExecutor(timeout=60, work_dir=world.folder)
    return seen(runner({"executor": executor}).initiate_chat(assistant(world, "coder"), message="Code."))


@program(say(block("import time; time.sleep(60)")), say("TERMINATE"), possible=not IS_CMBAGENTS)  # that never stops any
def code_that_takes_too_long(world: World) -> Any:
    executor = LocalCommandLineCodeExecutor(timeout=1, work_dir=world.folder)
    return seen(runner({"executor": executor}).initiate_chat(assistant(world, "coder"), message="Code."))


@program(*CODE)
def code_in_the_older_way(world: World) -> Any:
    config = {"work_dir": str(world.folder), "use_docker": False, "timeout": 60}
    return seen(runner(config).initiate_chat(assistant(world, "coder"), message="Code."))


@program(say(block("import time; time.sleep(2)")), say("TERMINATE"))
def code_that_takes_too_long_in_the_older_way(world: World) -> Any:
    config = {"work_dir": str(world.folder), "use_docker": False, "timeout": 1}
    return seen(runner(config).initiate_chat(assistant(world, "coder"), message="Code."))


@program(
    say(block("echo first", "sh") + "\n" + block("print('second')")),
    say("TERMINATE"),
    possible=not IS_CMBAGENTS,  # that takes Python only
)
def code_in_two_languages(world: World) -> Any:
    executor = LocalCommandLineCodeExecutor(timeout=60, work_dir=world.folder)
    return seen(runner({"executor": executor}).initiate_chat(assistant(world, "coder"), message="Code."))


class Pretender:
    """An executor of the program's own, that runs nothing."""

    code_extractor = MarkdownCodeExtractor()

    def __init__(self, world: World) -> None:
        self.world = world

    def execute_code_blocks(self, code_blocks: list[CodeBlock]) -> CodeResult:
        self.world.done.append(f"pretend {len(code_blocks)}")
        return CodeResult(exit_code=0, output="as if")

    def restart(self) -> None:
        """Nothing is there to restart."""


@program(say(block("print(1)")), say("TERMINATE"))
def code_by_an_executor_of_ones_own(world: World) -> Any:
    return seen(runner({"executor": Pretender(world)}).initiate_chat(assistant(world, "coder"), message="Code."))


class CarefulExecutor(LocalCommandLineCodeExecutor):
    """An executor that overrides AG2's and calls it."""

    def execute_code_blocks(self, code_blocks: list[CodeBlock]) -> Any:
        return super().execute_code_blocks(code_blocks)


@program(say(block("print(1)")), say("TERMINATE"))
def code_by_an_executor_that_calls_its_super(world: World) -> Any:
    executor = CarefulExecutor(work_dir=world.folder)
    return seen(runner({"executor": executor}).initiate_chat(assistant(world, "coder"), message="Code."))
