"""Threads and tasks: AG2's own, and the program's."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from autogen.agentchat import run_group_chat

from cmbagent_otel.testing import by_agent, call_tool, say
from tests.scenarios.programs.chats import ADDS, assistant, user, with_tools
from tests.scenarios.programs.groups import WORKSHOP, workshop
from tests.scenarios.world import World, program, seen


def events_of(response: Any) -> list[str]:
    """The kinds of all events of a run, which is over then."""
    kinds = [event.type for event in response.events]
    return [*kinds, response.summary]


@program(*ADDS)
def chat_in_the_background(world: World) -> Any:
    asking, adder = with_tools(world)
    return events_of(asking.run(adder, message="What is 1 + 2?"))


@program(script=lambda: by_agent(WORKSHOP))
def group_in_the_background(world: World) -> Any:
    return events_of(run_group_chat(workshop(world), messages="Make a program.", max_rounds=20))


@program(*(say("Here. TERMINATE") for _ in range(3)), traces=3)
def chats_in_a_thread_pool(world: World) -> Any:
    def chat(number: int) -> Any:
        return seen(user().initiate_chat(assistant(world, f"worker_{number}"), message="There?"))

    with ThreadPoolExecutor(max_workers=3) as pool:
        return list(pool.map(chat, range(3)))


@program(*(say("Here. TERMINATE") for _ in range(3)), traces=3)
def chats_side_by_side(world: World) -> Any:
    async def chat(number: int) -> Any:
        return seen(await user().a_initiate_chat(assistant(world, f"worker_{number}"), message="There?"))

    async def main() -> list[Any]:
        return await asyncio.gather(*(chat(number) for number in range(3)))

    return asyncio.run(main())


@program(call_tool("ask_three"), *(say("Three.") for _ in range(3)), say("Nine. TERMINATE"))
def agents_asked_at_once_by_an_async_tool(world: World) -> Any:
    from autogen import register_function

    async def ask_three() -> str:
        agents = [assistant(world, f"helper_{number}") for number in range(3)]
        ask = [{"role": "user", "content": "How many?"}]
        replies = await asyncio.gather(*(agent.a_generate_reply(messages=ask) for agent in agents))
        return " ".join(map(str, replies))

    asking, chief = user(), assistant(world, "chief")
    register_function(ask_three, caller=chief, executor=asking, description="ask three")
    return seen(asyncio.run(asking.a_initiate_chat(chief, message="Ask.")))
