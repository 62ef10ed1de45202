"""Two agents, with and without tools, sync and async, alone, in a row, and nested."""

from __future__ import annotations

import asyncio
from typing import Any

from autogen import ConversableAgent, UserProxyAgent, register_function

from cmbagent_otel.testing import call_tool, call_tools, say
from tests.scenarios.world import World, program, seen


def ends(message: dict[str, Any]) -> bool:
    """Whether a message ends the chat."""
    return "TERMINATE" in str(message.get("content") or "")


def user(name: str = "user", **options: Any) -> UserProxyAgent:
    """Somebody who asks, runs tools, and stops at TERMINATE."""
    given = {"human_input_mode": "NEVER", "code_execution_config": False, "is_termination_msg": ends, **options}
    return UserProxyAgent(name, **given)


def assistant(world: World, name: str, **options: Any) -> ConversableAgent:
    """An agent with the scripted model."""
    given = {"llm_config": world.llm_config(), "system_message": f"You are {name}.", **options}
    return ConversableAgent(name, **given)


def with_tools(world: World, **settings: Any) -> tuple[UserProxyAgent, ConversableAgent]:
    """A user that runs the tools ``add`` and ``divide``, and an adder that asks for them."""

    def add(a: int, b: int) -> int:
        world.done.append(f"add {a} {b}")
        return a + b

    def divide(a: int, b: int) -> float:
        world.done.append(f"divide {a} {b}")
        return a / b

    asking, adder = user(), assistant(world, "adder", llm_config=world.llm_config(**settings))
    for tool in (add, divide):
        register_function(tool, caller=adder, executor=asking, description=tool.__name__)
    return asking, adder


ADDS = (call_tool("add", {"a": 1, "b": 2}), say("The sum is 3. TERMINATE"))


@program(*ADDS)
def two_agents_with_a_tool(world: World) -> Any:
    asking, adder = with_tools(world)
    return seen(asking.initiate_chat(adder, message="What is 1 + 2?"))


@program(*ADDS)
def two_agents_with_a_tool_async(world: World) -> Any:
    asking, adder = with_tools(world)
    return seen(asyncio.run(asking.a_initiate_chat(adder, message="What is 1 + 2?")))


RAISES = (
    call_tools(("divide", {"a": 1, "b": 0}), ("add", {"a": 1, "b": 0})),
    say("It can't be divided. TERMINATE"),
)


@program(*RAISES)
def tool_that_raises(world: World) -> Any:
    asking, adder = with_tools(world)
    return seen(asking.initiate_chat(adder, message="What is 1 / 0?"))


@program(*RAISES)
def tool_that_raises_async(world: World) -> Any:
    asking, adder = with_tools(world)
    return seen(asyncio.run(asking.a_initiate_chat(adder, message="What is 1 / 0?")))


@program(call_tools(("multiply", {}), ("add", "{not json")), say("Never mind. TERMINATE"))
def model_asks_for_what_is_not_there(world: World) -> Any:
    asking, adder = with_tools(world)
    return seen(asking.initiate_chat(adder, message="What is 1 * 2?"))


def with_an_async_tool(world: World) -> tuple[UserProxyAgent, ConversableAgent]:
    """A user that runs an async tool, which itself asks another agent."""

    async def look_up(star: str) -> str:
        await asyncio.sleep(0)
        world.done.append(f"look_up {star}")
        archive = assistant(world, "archive")
        return str(archive.generate_reply(messages=[{"role": "user", "content": star}]))

    asking, astronomer = user(), assistant(world, "astronomer")
    register_function(look_up, caller=astronomer, executor=asking, description="look up a star")
    return asking, astronomer


LOOKS_UP = (call_tool("look_up", {"star": "Vega"}), say("Vega is an A0V star."), say("A0V. TERMINATE"))


@program(*LOOKS_UP)
def async_tool_in_a_sync_chat(world: World) -> Any:
    asking, astronomer = with_an_async_tool(world)
    return seen(asking.initiate_chat(astronomer, message="What is Vega?"))


@program(*LOOKS_UP)
def async_tool_in_an_async_chat(world: World) -> Any:
    asking, astronomer = with_an_async_tool(world)
    return seen(asyncio.run(asking.a_initiate_chat(astronomer, message="What is Vega?")))


@program(say("One."), say("Two."), say("Three."), say("Four."))
def two_models_for_two_turns(world: World) -> Any:
    one, two = assistant(world, "one"), assistant(world, "two")
    return seen(one.initiate_chat(two, message="Zero.", max_turns=2, summary_method="reflection_with_llm"))


IN_A_ROW = (say("First. TERMINATE"), say("Second. TERMINATE"))


def queue(world: World) -> list[dict[str, Any]]:
    """Two chats in a row."""
    return [
        {"recipient": assistant(world, name), "message": f"Speak, {name}.", "max_turns": 1, "chat_id": number}
        for number, name in enumerate(("first", "second"), start=1)
    ]


@program(*IN_A_ROW)
def chats_in_a_row(world: World) -> Any:
    return [seen(chat) for chat in user().initiate_chats(queue(world))]


@program(*IN_A_ROW)
def chats_in_a_row_async(world: World) -> Any:
    chats = queue(world)
    chats[1]["prerequisites"] = [1]
    done = asyncio.run(user().a_initiate_chats(chats))
    return [seen(done[number]) for number in sorted(done)]


def nests(world: World, *, use_async: bool) -> tuple[UserProxyAgent, ConversableAgent]:
    """A writer who has a critic look at what is asked, in a chat of their own, before answering."""
    asking, writer, critic = user(), assistant(world, "writer"), assistant(world, "critic")
    inner: dict[str, Any] = {"recipient": critic, "message": "Is it any good?", "max_turns": 1}
    if use_async:
        inner["chat_id"] = 1
    writer.register_nested_chats([inner], trigger=asking, use_async=use_async or None)
    return asking, writer


@program(say("It is good."))
def nested_chat(world: World) -> Any:
    asking, writer = nests(world, use_async=False)
    return seen(asking.initiate_chat(writer, message="Write a line.", max_turns=1))


@program(say("It is good."))
def nested_chat_async(world: World) -> Any:
    asking, writer = nests(world, use_async=True)
    return seen(asyncio.run(asking.a_initiate_chat(writer, message="Write a line.", max_turns=1)))


@program(*(say(f"Part {n}. {'TERMINATE' if n == 7 else ''}") for n in range(8)))
def eight_turns(world: World) -> Any:
    asking = user(default_auto_reply="Go on.")
    return seen(asking.initiate_chat(assistant(world, "teller"), message="Tell a story." * 40))
