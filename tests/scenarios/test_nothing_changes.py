"""Tracing changes nothing: what a program returns, prints, and asks its model is the same with hooks and without."""

from __future__ import annotations

import copy
import pickle

import pytest
from autogen import ConversableAgent
from autogen.agentchat.group import ContextVariables

from cmbagent_otel.instrumentation.autogen import AutogenInstrumentor
from tests.scenarios import programs
from tests.scenarios.observed import Observed
from tests.scenarios.world import PROGRAMS

assert programs.__all__


@pytest.mark.timeout(300)
@pytest.mark.parametrize("aspect", ["outcome", "done", "stdout", "stderr", "requests"])
@pytest.mark.parametrize("name", sorted(PROGRAMS))
def test_program_is_the_same_with_hooks_and_content(name: str, aspect: str, observed: Observed) -> None:
    assert observed.with_hooks[name][aspect] == observed.without[name][aspect]


def double(number: int) -> int:
    """A tool that can be found by its name."""
    return 2 * number


def test_agents_made_with_hooks_can_be_copied_and_so_can_what_they_carry(hooks: AutogenInstrumentor) -> None:
    del hooks
    agent = ConversableAgent(
        "agent",
        llm_config=False,
        human_input_mode="NEVER",
        default_auto_reply="as always",
        function_map={"double": double},
    )
    twin = copy.deepcopy(agent)
    assert twin.generate_reply(messages=[{"role": "user", "content": "Hello."}]) == "as always"
    assert twin.execute_function({"name": "double", "arguments": '{"number": 2}'})[1]["content"] == 4
    assert twin._reply_func_list[0]["reply_func"] == agent._reply_func_list[0]["reply_func"]
    variables = ContextVariables(data={"step": 1})
    assert copy.deepcopy(variables).to_dict() == pickle.loads(pickle.dumps(variables)).to_dict() == {"step": 1}


def test_hooked_methods_are_pickled_by_their_name(hooks: AutogenInstrumentor) -> None:
    del hooks
    method = ConversableAgent.generate_reply
    assert pickle.loads(pickle.dumps(method)).__wrapped__ is method.__wrapped__
    assert b"cmbagent" not in pickle.dumps(method)
