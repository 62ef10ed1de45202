"""What goes wrong: a model that can't be reached, an exception and a cancellation in the middle."""

from __future__ import annotations

import asyncio
from typing import Any

from autogen import register_function

from cmbagent_otel.testing import call_tool, fail, say
from tests.scenarios.programs.chats import assistant, user
from tests.scenarios.world import World, program


@program(fail(401, "who are you?"))
def model_that_refuses(world: World) -> Any:
    try:
        user().initiate_chat(assistant(world, "teller"), message="Tell.")
    except Exception as error:
        return type(error).__name__
    return None


@program(say("Too late. TERMINATE", seconds=1.0))
def chat_that_is_cancelled(world: World) -> Any:
    async def main() -> str:
        chat = asyncio.create_task(user().a_initiate_chat(assistant(world, "teller"), message="Tell."))
        await asyncio.sleep(0.3)
        chat.cancel()
        try:
            await chat
        except asyncio.CancelledError:
            return "cancelled"
        return "done"

    return asyncio.run(main())


class GiveUp(BaseException):
    """What no ``except Exception`` catches."""


@program(call_tool("give_up"))
def exception_that_ag2_does_not_catch(world: World) -> Any:
    def give_up() -> str:
        raise GiveUp

    asking, quitter = user(), assistant(world, "quitter")
    register_function(give_up, caller=quitter, executor=asking, description="give up")
    try:
        asking.initiate_chat(quitter, message="Go on.")
    except GiveUp:
        return "gave up"
    return None
