"""People: asked by AG2, by an override, and by a group."""

from __future__ import annotations

import asyncio
from typing import Any

from autogen import ConversableAgent, UserProxyAgent
from autogen.io import IOStream

from cmbagent_otel.testing import say
from tests.scenarios.programs.chats import assistant
from tests.scenarios.world import World, program, seen


class Keyboard(IOStream):
    """Somebody who types the answers that they are given."""

    def __init__(self, *answers: str) -> None:
        self.answers = list(answers)

    def print(self, *objects: Any, **options: Any) -> None:
        print(*objects, **options)

    def send(self, message: Any) -> None:
        message.print()

    def input(self, prompt: str = "", *, password: bool = False) -> str:
        return self.answers.pop(0)


class AsyncKeyboard(Keyboard):
    """The same for async chats."""

    async def input(self, prompt: str = "", *, password: bool = False) -> str:  # type: ignore[override]
        return self.answers.pop(0)


def person() -> UserProxyAgent:
    """Somebody who is always asked."""
    return UserProxyAgent("person", human_input_mode="ALWAYS", code_execution_config=False)


@program(say("Shall I?"), say("Then I shall."))
def person_answers(world: World) -> Any:
    with IOStream.set_default(Keyboard("yes", "exit")):
        return seen(person().initiate_chat(assistant(world, "butler"), message="Hello."))


@program(say("Shall I?"), say("Then I shall."))
def person_answers_async(world: World) -> Any:
    with IOStream.set_default(AsyncKeyboard("yes", "exit")):
        return seen(asyncio.run(person().a_initiate_chat(assistant(world, "butler"), message="Hello.")))


@program(say("Shall I?"))
def person_starts(world: World) -> Any:
    with IOStream.set_default(Keyboard("Good morning.", "exit")):
        return seen(person().initiate_chat(assistant(world, "butler")))


class Scripted(ConversableAgent):
    """Somebody whose answers come from elsewhere, as in many web front ends."""

    def get_human_input(self, prompt: str, **options: Any) -> str:
        return "exit"


class Polite(ConversableAgent):
    """An agent that overrides its reply and calls AG2's."""

    def generate_reply(self, *args: Any, **kwargs: Any) -> Any:
        reply = super().generate_reply(*args, **kwargs)
        return f"{reply}, please" if isinstance(reply, str) else reply


@program(say("Tea"))
def overrides(world: World) -> Any:
    scripted = Scripted("scripted", human_input_mode="ALWAYS", llm_config=False)
    polite = Polite("polite", llm_config=world.llm_config(), human_input_mode="NEVER")
    return seen(scripted.initiate_chat(polite, message="What will it be?"))
