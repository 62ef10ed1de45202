"""What programs put in the place of AG2's methods: on one agent, or in a class, in all the ways that AG2 takes."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from functools import partial
from typing import Any

from autogen import ConversableAgent, UserProxyAgent
from autogen.agentchat import initiate_group_chat
from autogen.agentchat.group import AgentTarget
from autogen.agentchat.group.patterns import DefaultPattern

from cmbagent_otel.testing import call_tool, say
from tests.scenarios.programs.chats import ADDS, assistant, ends, with_tools
from tests.scenarios.programs.code import block, runner
from tests.scenarios.programs.groups import outcome
from tests.scenarios.programs.people import person
from tests.scenarios.world import World, program, seen


@program(say("Shall I?"), say("Then I shall."))
def human_input_set_on_the_agent(world: World) -> Any:
    answers = ["yes", "exit"]
    asked = person()
    asked.get_human_input = lambda *_, **__: answers.pop(0)
    return seen(asked.initiate_chat(assistant(world, "butler"), message="Hello."))


@program(say("Shall I?"), say("Then I shall."))
def human_input_set_on_the_agent_async(world: World) -> Any:
    answers = ["yes", "exit"]
    asked = person()

    async def answer(*_: Any, **__: Any) -> str:
        return answers.pop(0)

    asked.a_get_human_input = answer
    return seen(asyncio.run(asked.a_initiate_chat(assistant(world, "butler"), message="Hello.")))


@program(say("Tea"))
def reply_set_on_the_agent_that_asks_ag2(world: World) -> Any:
    asking, polite = assistant(world, "asking"), assistant(world, "polite")
    original = polite.generate_reply
    polite.generate_reply = lambda *args, **kwargs: f"{original(*args, **kwargs)}, please"
    return seen(asking.initiate_chat(polite, message="What will it be?", max_turns=1))


@program(say("Tea"))
def reply_set_on_the_agent_that_asks_the_model_itself(world: World) -> Any:
    asking, direct = assistant(world, "asking"), assistant(world, "direct")

    def reply(*_: Any, sender: Any, **__: Any) -> Any:
        answer = direct.client.create(messages=direct.chat_messages[sender])
        return direct.client.extract_text_or_completion_object(answer)[0]

    direct.generate_reply = reply
    return seen(asking.initiate_chat(direct, message="What will it be?", max_turns=1))


@program(say("One."), say("Three."))
def reply_set_on_the_agent_between_two_handoffs(world: World) -> Any:
    one, two, three = (assistant(world, name) for name in ("one", "two", "three"))
    two.generate_reply = lambda *_, **__: {"role": "assistant", "name": "two", "content": "Two."}
    one.handoffs.set_after_work(AgentTarget(two))
    two.handoffs.set_after_work(AgentTarget(three))
    pattern = DefaultPattern(
        initial_agent=one, agents=[one, two, three], group_manager_args={"llm_config": False, "name": "count"}
    )
    return outcome(initiate_group_chat(pattern, messages="Count.", max_rounds=4))


@program(say(block("print(6 * 7)")), say("TERMINATE"))
def code_runner_set_on_the_agent(world: World) -> Any:
    running = runner({"work_dir": str(world.folder), "use_docker": False})

    def run_code(code: str, **_: Any) -> tuple[int, str, None]:
        world.done.append(code)
        return 3, "as if", None

    running.run_code = run_code
    return seen(running.initiate_chat(assistant(world, "coder"), message="Code."))


@program(*ADDS)
def tools_run_by_what_is_set_on_the_agent(world: World) -> Any:
    asking, adder = with_tools(world)
    original = asking.execute_function

    def execute_function(*args: Any, **kwargs: Any) -> Any:
        world.done.append("asked")
        return original(*args, **kwargs)

    asking.execute_function = execute_function
    return seen(asking.initiate_chat(adder, message="What is 1 + 2?"))


def late_class(world: World, agents: list[Any]) -> type[UserProxyAgent]:
    """A class that overrides all that people override, and is defined when the program runs."""

    class Late(UserProxyAgent):
        def initiate_chat(self, *args: Any, **kwargs: Any) -> Any:
            world.done.append("initiate_chat")
            return super().initiate_chat(*args, **kwargs)

        async def a_initiate_chat(self, *args: Any, **kwargs: Any) -> Any:
            world.done.append("a_initiate_chat")
            return await super().a_initiate_chat(*args, **kwargs)

        def generate_reply(self, *args: Any, **kwargs: Any) -> Any:
            world.done.append("generate_reply")
            return super().generate_reply(*args, **kwargs)

        async def a_generate_reply(self, *args: Any, **kwargs: Any) -> Any:
            world.done.append("a_generate_reply")
            return await super().a_generate_reply(*args, **kwargs)

        def get_human_input(self, prompt: str, **_: Any) -> str:
            world.done.append("get_human_input")
            return "exit"

        async def a_get_human_input(self, prompt: str, **_: Any) -> str:
            world.done.append("a_get_human_input")
            return "exit"

        def execute_function(self, *args: Any, **kwargs: Any) -> Any:
            world.done += ["execute_function", f"add by {'the agent itself' if self is agents[0] else 'another'}"]
            return super().execute_function(*args, **kwargs)

        async def a_execute_function(self, *args: Any, **kwargs: Any) -> Any:
            world.done += ["a_execute_function", f"add by {'the agent itself' if self is agents[0] else 'another'}"]
            return await super().a_execute_function(*args, **kwargs)

        def run_code(self, code: str, **_: Any) -> tuple[int, str, None]:
            world.done.append("run_code")
            return 0, "42", None

    return Late


def with_late_class(world: World) -> tuple[UserProxyAgent, ConversableAgent]:
    """An adder, and somebody of the late class who runs its tools and its code until there are neither."""
    _, adder = with_tools(world)

    def add(a: int, b: int) -> int:
        return a + b

    agents: list[Any] = []
    late = late_class(world, agents)(
        "late",
        human_input_mode="TERMINATE",
        code_execution_config={"work_dir": str(world.folder), "use_docker": False},
        function_map={"add": add},
        is_termination_msg=ends,
    )
    agents.append(late)
    return late, adder


LATE = (ADDS[0], say(block("print(6 * 7)")), say("TERMINATE"))


@program(*LATE)
def class_that_overrides_everything(world: World) -> Any:
    late, adder = with_late_class(world)
    return seen(late.initiate_chat(adder, message="Add."))


@program(*LATE)
def class_that_overrides_everything_async(world: World) -> Any:
    late, adder = with_late_class(world)
    return seen(asyncio.run(late.a_initiate_chat(adder, message="Add.")))


class Careful(UserProxyAgent):
    """Overrides how tools run, and calls AG2's."""

    def execute_function(self, *args: Any, **kwargs: Any) -> Any:
        return super().execute_function(*args, **kwargs)

    async def a_execute_function(self, *args: Any, **kwargs: Any) -> Any:
        return await super().a_execute_function(*args, **kwargs)


DIVIDES = (call_tool("divide", {"a": 1, "b": 0}), say("TERMINATE"))


def careful(world: World) -> tuple[UserProxyAgent, ConversableAgent]:
    """Somebody who runs tools that way."""

    def divide(a: int, b: int) -> float:
        return a / b

    _, adder = with_tools(world)
    return Careful(
        "careful",
        human_input_mode="NEVER",
        code_execution_config=False,
        is_termination_msg=ends,
        function_map={"divide": divide},
    ), adder


@program(*DIVIDES)
def override_of_a_tool_that_raises(world: World) -> Any:
    asking, adder = careful(world)
    return seen(asking.initiate_chat(adder, message="What is 1 / 0?"))


@program(*DIVIDES)
def override_of_a_tool_that_raises_async(world: World) -> Any:
    asking, adder = careful(world)
    return seen(asyncio.run(asking.a_initiate_chat(adder, message="What is 1 / 0?")))


class ByFunction(ConversableAgent):
    """Overrides a method as most do."""

    def get_human_input(self, prompt: str, **_: Any) -> str:
        return "exit"


class Answer:
    """An object that can be called."""

    def __call__(self, prompt: str, **_: Any) -> str:
        return "exit"


class ByObject(ConversableAgent):
    """Overrides a method by an object."""

    get_human_input = Answer()


class ByPartial(ConversableAgent):
    """Overrides a method by a partial function."""

    get_human_input = partial(lambda answer, *_, **__: answer, "exit")


class ByStaticMethod(ConversableAgent):
    """Overrides a method by a function that knows no agent."""

    @staticmethod
    def get_human_input(*_: Any, **__: Any) -> str:
        return "exit"


class ByProperty(ConversableAgent):
    """Overrides a method by what gives one."""

    @property
    def get_human_input(self) -> Any:
        return Answer()


@program(say("A."), say("B."), say("C."), say("D."), traces=4)
def class_attributes_that_are_no_functions(world: World) -> Any:
    return [
        seen(
            cls(cls.__name__, human_input_mode="ALWAYS", llm_config=False).initiate_chat(
                assistant(world, "butler"), message="Hello."
            )
        )
        for cls in (ByObject, ByPartial, ByStaticMethod, ByProperty)
    ]


class Promising(ConversableAgent):
    """Its async methods are no coroutine functions, but give what can be awaited, at once."""

    def a_get_human_input(self, prompt: str, **_: Any) -> Awaitable[str]:
        future: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        future.set_result("exit")
        return future


@program(say("Tea"))
def async_methods_that_are_no_coroutine_functions(world: World) -> Any:
    promising = Promising("promising", human_input_mode="ALWAYS", llm_config=False)

    async def chat() -> Any:
        world.done.append(type(promising.a_get_human_input("?")).__name__)
        return await promising.a_initiate_chat(assistant(world, "butler"), message="Hello.")

    return seen(asyncio.run(chat()))
