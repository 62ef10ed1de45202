"""What tracing costs on the agent's thread, beside OpenInference: ``make bench``.

Runs in an environment that has both. Chats of two agents with OpenAI's client, whose transport answers at once; the
arms take turns in one process, and a round is timed with ``thread_time``. OpenInference's spans go to a batch processor
that does nothing with them, ours to our own, which writes them; the threads of neither count. OpenInference records
what is said unless told not to, so both are measured with and without.
"""

from __future__ import annotations

import argparse
import importlib
import logging
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from itertools import count
from pathlib import Path
from typing import Any

from autogen import ConversableAgent
from openai import OpenAI
from openai._base_client import SyncAPIClient
from openai._models import FinalRequestOptions
from openai.types import CompletionUsage
from openai.types.chat import ChatCompletion, ChatCompletionMessage
from openai.types.chat.chat_completion import Choice
from opentelemetry.sdk.trace import TracerProvider

from benchmarks.bench_hooks import TEXT, Arm, Counter, Stub, batched, hooks
from benchmarks.figures import by_name, hand_on
from cmbagent_otel.processor import DagSpanProcessor
from cmbagent_otel.settings import load
from cmbagent_otel.spans.ids import SystemRandomIdGenerator

_NUMBERS = count()


class Model(Stub):
    """OpenAI's client with a transport that answers at once, below the method that OpenInference wraps."""

    def __init__(self, config: dict[str, Any], **_: Any) -> None:
        super().__init__(config)
        self._client = OpenAI(api_key="none", base_url="http://model.invalid/v1")

    def create(self, params: dict[str, Any]) -> Any:
        """Ask, as ``chat.completions.create`` does once it has checked its arguments."""
        asked = {key: params[key] for key in ("messages", "model")}
        options = FinalRequestOptions.construct(method="post", url="/chat/completions", json_data=asked)
        return self._client.request(ChatCompletion, options)


def _answer(*_: Any, **__: Any) -> ChatCompletion:
    """An answer that was not given before, so that nothing kept of the last one helps."""
    message = ChatCompletionMessage.construct(role="assistant", content=f"{next(_NUMBERS)} {TEXT}", tool_calls=None)
    return ChatCompletion.construct(
        id="chatcmpl-1",
        object="chat.completion",
        created=1_790_000_000,
        model="gpt-4o",
        choices=[Choice.construct(index=0, message=message, finish_reason="stop")],
        usage=CompletionUsage.construct(prompt_tokens=20, completion_tokens=10, total_tokens=30),
        cost=0.0,
    )


def agents() -> tuple[ConversableAgent, ConversableAgent]:
    """Two that talk with each other."""
    entry = {"model": "gpt-4o", "model_client_cls": "Model", "api_key": "none"}
    made = [
        ConversableAgent(name, llm_config={"config_list": [dict(entry)], "cache_seed": None}, human_input_mode="NEVER")
        for name in ("one", "two")
    ]
    for agent in made:
        agent.register_model_client(Model)
    return made[0], made[1]


@contextmanager
def openinference(provider: TracerProvider, *, content: bool) -> Iterator[None]:
    """OpenInference's instrumentors of AG2 and of OpenAI."""
    config = importlib.import_module("openinference.instrumentation").TraceConfig(
        hide_inputs=not content, hide_outputs=not content
    )
    instrumentors = [
        importlib.import_module("openinference.instrumentation.ag2").AG2Instrumentor(),
        importlib.import_module("openinference.instrumentation.openai").OpenAIInstrumentor(),
    ]
    for instrumentor in instrumentors:
        instrumentor.instrument(tracer_provider=provider, config=config)
    yield
    for instrumentor in instrumentors:
        instrumentor.uninstrument()


def measure(turns: int, chats: int, rounds: int, folder: Path) -> dict[str, list[float]]:
    """Microseconds that each arm adds to a turn, and the ratios, round by round."""
    dag = TracerProvider(shutdown_on_exit=False, id_generator=SystemRandomIdGenerator())
    dag.add_span_processor(
        DagSpanProcessor(load(database_url=f"sqlite:///{folder / f'{turns}.db'}", spool_dir=folder / "spool"))
    )
    theirs = batched()
    ways: dict[str, tuple[Callable[[], Any], TracerProvider | None]] = {
        "nothing": (ExitStack, None),
        "ours": (lambda: hooks(dag), dag),
        "ours, content on": (lambda: hooks(dag, recorded=True), dag),
        "OpenInference": (lambda: openinference(theirs, content=True), theirs),
        "OpenInference, content hidden": (lambda: openinference(theirs, content=False), theirs),
    }
    arms = {name: Arm(name, around, provider=provider) for name, (around, provider) in ways.items()}
    for arm in arms.values():
        arm.pair = agents()
    counted = _spans(arms["OpenInference"], turns)
    order = list(arms.values())
    for number in range(rounds + 1):
        for arm in order[number % len(order) :] + order[: number % len(order)]:
            arm.round(turns, chats)
    for arm in order:
        del arm.seconds[0]  # the first round warms up
    for provider in (dag, theirs):
        provider.shutdown()
    base = arms.pop("nothing").seconds
    added = [
        {name: (arm.seconds[index] - base[index]) / turns * 1e6 for name, arm in arms.items()}
        for index in range(rounds)
    ]
    ratios = (
        ("ours", "OpenInference", "OpenInference, both as they come (<= 0.5)"),
        ("ours", "OpenInference, content hidden", "OpenInference, neither with content (<= 1)"),
        ("ours, content on", "OpenInference", "OpenInference, both with content (<= 1)"),
    )
    found = [
        {f"ours : {name}": each[left] / each[right] for left, right, name in ratios}
        | {f"{name}, us a turn": value for name, value in each.items()}
        for each in added
    ]
    return by_name(found) | {
        "the turn untraced, us": [seconds / turns * 1e6 for seconds in base],
        "OpenInference, spans a turn": [counted / turns],
    }


def _spans(arm: Arm, turns: int) -> int:
    """How many spans OpenInference makes of one chat: none would mean that it is not at work."""
    counter, single = Counter(), TracerProvider(shutdown_on_exit=False)
    single.add_span_processor(counter)
    one, two = arm.pair
    with openinference(single, content=True):
        one.initiate_chat(two, message=TEXT, max_turns=turns // 2, silent=True)
    if len(counter.spans) < turns:
        raise AssertionError("OpenInference traced nothing")
    return len(counter.spans)


def main() -> None:
    """Measure, and hand on."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--json", type=Path, required=True)
    options = parser.parse_args()
    logging.disable(logging.ERROR)
    SyncAPIClient.request = _answer  # type: ignore[assignment, method-assign]
    with tempfile.TemporaryDirectory() as folder:
        parts = {
            f"{turns} turns a chat": measure(turns, chats, options.rounds, Path(folder))
            for turns, chats in ((10, 40), (80, 5))
        }
    hand_on(
        options.json,
        parts,
        (
            "autogen",
            "openai",
            "opentelemetry-sdk",
            "openinference-instrumentation-ag2",
            "openinference-instrumentation-openai",
        ),
    )


if __name__ == "__main__":
    main()
