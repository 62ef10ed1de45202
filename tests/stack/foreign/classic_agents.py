"""A chat of AG2 classic: a tool, code that fails, and a person who is asked."""

import os
import tempfile
from typing import Annotated

from autogen import ConversableAgent, register_function
from autogen.coding import LocalCommandLineCodeExecutor

LLM = {"config_list": [{"model": "gpt-4o-mini", "api_key": os.environ["OPENAI_API_KEY"]}], "cache_seed": None}


def volume(distance: Annotated[float, "in Gpc"]) -> str:
    """Volume of a sphere."""
    return f"{4.18879 * distance**3:.1f} Gpc^3"


class Executor(ConversableAgent):
    """An agent whose person always says the same."""

    def get_human_input(self, _prompt: str, **_options: object) -> str:
        return "exit"


def agents() -> tuple[ConversableAgent, ConversableAgent]:
    """The one that asks, and the one that answers."""
    astronomer = ConversableAgent("astronomer", system_message="You are the astronomer.", llm_config=LLM)
    student = Executor(
        "student",
        llm_config=False,
        human_input_mode="TERMINATE",
        is_termination_msg=lambda message: "TERMINATE" in (message.get("content") or ""),
        code_execution_config={"executor": LocalCommandLineCodeExecutor(work_dir=tempfile.mkdtemp())},
    )
    register_function(volume, caller=astronomer, executor=student, description="Volume of a sphere.")
    return student, astronomer
