"""Tracing changes nothing: what a program returns, prints, and asks its model is the same with hooks and without."""

from __future__ import annotations

import copy
import json
import pickle
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from autogen import ConversableAgent
from autogen.agentchat.group import ContextVariables

from cmbagent_otel.instrumentation.autogen import AutogenInstrumentor
from tests.scenarios import observe, programs
from tests.scenarios.world import PROGRAMS

assert programs.__all__


@pytest.fixture(scope="session")
def observed(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], dict[str, Any]]:
    """What is seen of every program without hooks, and with."""
    folder = tmp_path_factory.mktemp("observed")

    def run(*words: str) -> dict[str, Any]:
        result = folder / f"{len(words)}.json"
        subprocess.run([sys.executable, "-m", observe.__name__, str(result), *words], check=True, cwd=_ROOT)
        found: dict[str, Any] = json.loads(result.read_text())
        return found

    with ThreadPoolExecutor(max_workers=2) as pool:
        without, with_hooks = pool.submit(run), pool.submit(run, "hooks")
        return without.result(), with_hooks.result()


_ROOT = Path(__file__).parents[2]


@pytest.mark.timeout(300)
@pytest.mark.parametrize("aspect", ["outcome", "done", "stdout", "stderr", "requests"])
@pytest.mark.parametrize("name", sorted(PROGRAMS))
def test_program_is_the_same_with_hooks_and_content(
    name: str, aspect: str, observed: tuple[dict[str, Any], dict[str, Any]]
) -> None:
    without, with_hooks = observed
    assert with_hooks[name][aspect] == without[name][aspect]


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
