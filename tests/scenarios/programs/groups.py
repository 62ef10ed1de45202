"""Groups: plain group chats with each way to choose a speaker, and patterns with each kind of handoff.

No postponed annotations here: AG2 evaluates those of tools.
"""

import asyncio
from typing import Any

from autogen import ConversableAgent, GroupChat, GroupChatManager
from autogen.agentchat import a_initiate_group_chat, initiate_group_chat
from autogen.agentchat.group import (
    AgentTarget,
    ContextExpression,
    ContextVariables,
    ExpressionContextCondition,
    NestedChatTarget,
    OnCondition,
    OnContextCondition,
    ReplyResult,
    RevertToUserTarget,
    StringLLMCondition,
    TerminateTarget,
)
from autogen.agentchat.group.patterns import AutoPattern, DefaultPattern, RoundRobinPattern

from cmbagent_otel.testing import by_agent, call_tool, say
from tests.scenarios.programs.chats import assistant, user
from tests.scenarios.world import World, program, seen


def group(world: World, **options: Any) -> tuple[ConversableAgent, GroupChatManager]:
    """A poet and a critic, and who speaks with them."""
    asking = user()
    agents = [asking, assistant(world, "poet"), assistant(world, "critic")]
    chat = GroupChat(agents, messages=[], max_round=4, **options)
    return asking, GroupChatManager(chat, name="salon", llm_config=world.llm_config())


def verses() -> Any:
    """The model of a group that a model leads."""
    return by_agent(
        {
            "poet": [say("A rose."), say("Another rose.")],
            "critic": [say("Too short."), say("Better.")],
            "role play": [say("poet"), say("critic"), say("poet")],
        }
    )


IN_TURN = (say("A rose."), say("Too short."))


@program(*IN_TURN)
def group_in_turn(world: World) -> Any:
    asking, manager = group(world, speaker_selection_method="round_robin")
    return seen(asking.initiate_chat(manager, message="Write a line."))


@program(*IN_TURN)
def group_in_turn_async(world: World) -> Any:
    asking, manager = group(world, speaker_selection_method="round_robin")
    return seen(asyncio.run(asking.a_initiate_chat(manager, message="Write a line.")))


@program(script=verses)
def group_led_by_a_model(world: World) -> Any:
    asking, manager = group(world, speaker_selection_method="auto")
    return seen(asking.initiate_chat(manager, message="Write a line."))


@program(script=verses)
def group_led_by_a_model_async(world: World) -> Any:
    asking, manager = group(world, speaker_selection_method="auto")
    return seen(asyncio.run(asking.a_initiate_chat(manager, message="Write a line.")))


@program(*IN_TURN)
def group_led_by_a_function(world: World) -> Any:
    def choose(last: Any, chat: GroupChat) -> Any:
        return {"user": chat.agent_by_name("poet"), "poet": chat.agent_by_name("critic")}.get(last.name)

    asking, manager = group(world, speaker_selection_method=choose)
    return seen(asking.initiate_chat(manager, message="Write a line."))


def workshop(world: World) -> DefaultPattern:
    """Five agents that hand over in each way there is.

    planner -(ReplyResult)-> coder -(LLM condition)-> tester -(context condition)-> writer -(after-work)-> editor.
    """

    def make_plan(steps: int, context_variables: ContextVariables) -> ReplyResult:
        """Record the plan."""
        world.done.append(f"make_plan {steps}")
        context_variables["steps"] = steps
        return ReplyResult(message=f"{steps} steps", target=AgentTarget(coder), context_variables=context_variables)

    def pass_tests(context_variables: ContextVariables) -> ReplyResult:
        """Run the tests."""
        world.done.append("pass_tests")
        context_variables["tested"] = True
        return ReplyResult(message="all pass", context_variables=context_variables)

    planner = assistant(world, "planner", functions=[make_plan])
    coder = assistant(world, "coder")
    tester = assistant(world, "tester", functions=[pass_tests])
    writer = assistant(world, "writer")
    editor = assistant(world, "editor")
    coder.handoffs.add_llm_condition(
        OnCondition(target=AgentTarget(tester), condition=StringLLMCondition("The code is written."))
    )
    tester.handoffs.add_context_condition(
        OnContextCondition(
            target=AgentTarget(writer), condition=ExpressionContextCondition(ContextExpression("${tested}"))
        )
    )
    writer.handoffs.set_after_work(AgentTarget(editor))
    editor.handoffs.set_after_work(TerminateTarget())
    return DefaultPattern(
        initial_agent=planner,
        agents=[planner, coder, tester, writer, editor],
        context_variables=ContextVariables(data={"tested": False}),
        group_manager_args={"llm_config": False, "name": "workshop"},
    )


WORKSHOP = {
    "planner": [call_tool("make_plan", {"steps": 2})],
    "coder": [call_tool("transfer_to_tester_1")],
    "tester": [call_tool("pass_tests")],
    "writer": [say("It is written.")],
    "editor": [say("It is printed.")],
}


def outcome(result: Any) -> Any:
    """What a user sees of a group chat by pattern."""
    chat, context, last = result
    return {**seen(chat), "context": context.to_dict(), "last": last.name}


@program(script=lambda: by_agent(WORKSHOP))
def handoffs_of_each_kind(world: World) -> Any:
    return outcome(initiate_group_chat(workshop(world), messages="Make a program.", max_rounds=20))


@program(script=lambda: by_agent(WORKSHOP))
def handoffs_of_each_kind_async(world: World) -> Any:
    return outcome(asyncio.run(a_initiate_group_chat(workshop(world), messages="Make a program.", max_rounds=20)))


@program(
    script=lambda: by_agent(
        {
            "clerk": [call_tool("transfer_to_wrapped_nested_clerk_1_1"), say("Done."), say("Bye.")],
            "expert": [say("Yes."), say("No.")],
        }
    )
)
def handoff_to_a_nested_chat_and_to_the_user(world: World) -> Any:
    clerk, expert = assistant(world, "clerk"), assistant(world, "expert")
    person = user("person", default_auto_reply="thank you")
    clerk.handoffs.add_llm_condition(
        OnCondition(
            target=NestedChatTarget(
                nested_chat_config={
                    "chat_queue": [{"recipient": expert, "message": "May we?", "max_turns": 1}],
                    "use_async": False,
                }
            ),
            condition=StringLLMCondition("Ask the expert."),
        )
    )
    clerk.handoffs.set_after_work(RevertToUserTarget())
    pattern = DefaultPattern(
        initial_agent=clerk, agents=[clerk], user_agent=person, group_manager_args={"llm_config": False}
    )
    return outcome(initiate_group_chat(pattern, messages="A question.", max_rounds=7))


@program(say("One."), say("Two."), say("Three."))
def pattern_in_turn(world: World) -> Any:
    agents = [assistant(world, name) for name in ("one", "two", "three")]
    pattern = RoundRobinPattern(initial_agent=agents[0], agents=agents, group_manager_args={"llm_config": False})
    return outcome(initiate_group_chat(pattern, messages="Count.", max_rounds=4))


@program(script=verses)
def pattern_led_by_a_model(world: World) -> Any:
    poet, critic = assistant(world, "poet"), assistant(world, "critic")
    pattern = AutoPattern(
        initial_agent=poet, agents=[poet, critic], group_manager_args={"llm_config": world.llm_config()}
    )
    return outcome(initiate_group_chat(pattern, messages="Write a line.", max_rounds=3))
