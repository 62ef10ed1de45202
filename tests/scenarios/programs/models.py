"""Models: streamed, cached, tried again, by the responses API, shown images, and said odd things."""

from __future__ import annotations

import random
from importlib.util import find_spec
from typing import Any

from autogen import Cache, ConversableAgent, OpenAIWrapper

from cmbagent_otel.testing import call_tool, fail, say
from tests.scenarios.programs.chats import ADDS, assistant, user, with_tools
from tests.scenarios.world import IS_CMBAGENTS, IS_OLD, World, program, seen


def streaming(agent: ConversableAgent) -> ConversableAgent:
    """The agent, with a model that answers in pieces; not every AG2 takes that as a setting."""
    for entry in agent.client._config_list:
        entry["stream"] = True
    return agent


@program(say("A long answer in pieces. TERMINATE"), possible=not IS_OLD)
def streamed_answer(world: World) -> Any:
    return seen(user().initiate_chat(streaming(assistant(world, "teller")), message="Tell."))


@program(call_tool("add", {"a": 1, "b": 2}), say("3. TERMINATE"), possible=not IS_OLD)
def streamed_tool_call(world: World) -> Any:
    asking, adder = with_tools(world)
    return seen(asking.initiate_chat(streaming(adder), message="What is 1 + 2?"))


@program(fail(500), fail(429), say("At last. TERMINATE"))
def model_tried_again(world: World) -> Any:
    return seen(user().initiate_chat(assistant(world, "teller"), message="Tell."))


@program(fail(400, "no"), say("From the second. TERMINATE"))
def second_entry_of_the_config_list(world: World) -> Any:
    config = world.llm_config("gpt-4o")
    config["config_list"] += world.llm_config("gpt-4o-mini")["config_list"]
    return seen(user().initiate_chat(assistant(world, "teller", llm_config=config), message="Tell."))


@program(say("The same. TERMINATE"), traces=2, possible=not IS_CMBAGENTS)  # that has its cache cut out
def cached_answer(world: World) -> Any:
    with Cache.disk(cache_path_root=str(world.folder / "cache")) as cache:
        return [seen(user().initiate_chat(assistant(world, "teller"), message="Tell.", cache=cache)) for _ in range(2)]


@program(say("From the vendor's cache. TERMINATE", cached_tokens=7))
def answer_with_cached_tokens(world: World) -> Any:
    return seen(user().initiate_chat(assistant(world, "teller"), message="Tell."))


@program(call_tool("odd \0 tool \ud83d"), say("nul \0 surrogate \ud83d end \U0001f600 TERMINATE"))
def odd_text(world: World) -> Any:
    asking, adder = with_tools(world)
    return seen(asking.initiate_chat(adder, message="nul \0 end \U0001f600"))


@program(say("A dot. TERMINATE"))
def picture(world: World) -> Any:
    message = {
        "content": [
            {"type": "text", "text": "What is this?"},
            {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}},
        ]
    }
    return seen(user().initiate_chat(assistant(world, "teller"), message=message))


@program(say("Here. TERMINATE"))
def program_that_draws_lots(world: World) -> Any:
    random.seed(7)
    chat = seen(user().initiate_chat(assistant(world, "teller"), message="Tell."))
    return [chat, random.random()]


@program(*ADDS)
def model_without_an_agent(world: World) -> Any:
    client = OpenAIWrapper(**world.llm_config())
    answer = client.create(messages=[{"role": "user", "content": "Hello."}])
    return str(client.extract_text_or_completion_object(answer)[0])


@program(
    say("By another door. TERMINATE", cached_tokens=5),
    possible=not IS_OLD,
)
def answer_by_the_responses_api(world: World) -> Any:
    entry = {"api_type": "responses", "model": "gpt-4o-mini", "base_url": world.server.base_url, "api_key": "sk-x"}
    teller = assistant(world, "teller", llm_config={"config_list": [entry], "cache_seed": None})
    return seen(user().initiate_chat(teller, message="Tell."))


@program(
    call_tool("add", {"a": 1, "b": 2}),
    say("3. TERMINATE"),
    possible=find_spec("autogen.llm_clients") is not None,
)
def answer_by_the_unified_client(world: World) -> Any:
    asking, adder = with_tools(world, api_type="openai_v2", price=None)
    return seen(asking.initiate_chat(adder, message="What is 1 + 2?"))
