"""What the hooks cost on the agent's thread: ``make bench-hooks``.

Chats of two agents whose model is a stub in this process. The arms take turns in one process; a round is timed with
``thread_time``, so that the writer's thread does not count. "Bare" is ``start_as_current_span`` around the same calls
with the attributes that the hooks set, under a batch processor with an exporter that does nothing; it has no events,
ours have one for each message. AG2's own tracing has that processor, too, plays the same chats, and makes as many
spans: a chat, a turn, a model call; it records content always. Per span is what an arm adds to the untraced chat,
divided by its spans.

Before a round is timed the arm plays for a while: Python learns a class anew when a method of it has been replaced,
which a program does once and the arms here do each round. After it its spans are flushed, so that no thread of it works
beside the next arm.
"""

from __future__ import annotations

import argparse
import gc
import logging
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from itertools import count
from pathlib import Path
from types import FrameType, SimpleNamespace
from typing import Any

from autogen import ConversableAgent, OpenAIWrapper
from autogen.opentelemetry import instrument_agent, instrument_llm_wrapper
from opentelemetry.instrumentation.utils import suppress_instrumentation
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ParentBased
from opentelemetry.trace import SpanKind, Tracer

from benchmarks.figures import by_name, hand_on
from cmbagent_otel import content, scope, semconv
from cmbagent_otel.instrumentation.autogen import AutogenInstrumentor
from cmbagent_otel.processor import DagSpanProcessor
from cmbagent_otel.semconv import NodeKind
from cmbagent_otel.settings import load
from cmbagent_otel.spans.ids import SystemRandomIdGenerator

TEXT = "The spectral index of the sky is close to minus two. " * 10


_NUMBERS = count()
_WARM_UP_TURNS = 100


class Nothing(SpanExporter):
    """Takes spans, and does nothing."""

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Nothing."""
        return SpanExportResult.SUCCESS


class Counter(SpanProcessor):
    """Keeps spans, outside of the timed rounds."""

    def __init__(self) -> None:
        self.spans: list[ReadableSpan] = []

    def on_end(self, span: ReadableSpan) -> None:
        """Keep it."""
        self.spans.append(span)


class Message(SimpleNamespace):
    """A message as models of OpenAI's library are: it can be had as a dictionary."""

    def model_dump(self) -> dict[str, Any]:
        """Its fields."""
        return dict(vars(self))


class Stub:
    """A model client that answers at once."""

    def __init__(self, config: dict[str, Any], **_: Any) -> None:
        self._model = config["model"]

    def create(self, params: dict[str, Any]) -> Any:
        """An answer that was not given before, so that nothing kept of the last one helps."""
        message = Message(role="assistant", content=f"{next(_NUMBERS)} {TEXT}", function_call=None, tool_calls=None)
        choice = SimpleNamespace(message=message, finish_reason="stop", index=0)
        usage = SimpleNamespace(prompt_tokens=20, completion_tokens=10, total_tokens=30)
        return SimpleNamespace(id="stub", model=self._model, choices=[choice], usage=usage, cost=0.0)

    def message_retrieval(self, response: Any) -> list[str]:
        """What AG2 asks a client for."""
        return [choice.message.content for choice in response.choices]

    def cost(self, response: Any) -> float:
        """Nothing."""
        return 0.0

    @staticmethod
    def get_usage(response: Any) -> dict[str, Any]:
        """What AG2 counts by."""
        return {"prompt_tokens": 20, "completion_tokens": 10, "total_tokens": 30, "cost": 0.0, "model": response.model}


def agents() -> tuple[ConversableAgent, ConversableAgent]:
    """Two that talk with each other."""
    entry = {"model": "stub", "model_client_cls": "Stub", "api_key": "none"}
    made = [
        ConversableAgent(name, llm_config={"config_list": [dict(entry)], "cache_seed": None}, human_input_mode="NEVER")
        for name in ("one", "two")
    ]
    for agent in made:
        agent.register_model_client(Stub)
    return made[0], made[1]


class Arm:
    """A way to run the chats."""

    def __init__(
        self,
        name: str,
        around: Callable[[], Any],
        spans_per_chat: int = 0,
        provider: TracerProvider | None = None,
    ) -> None:
        self.name = name
        self.around = around
        self.provider = provider
        self.spans_per_chat = spans_per_chat
        self.seconds: list[float] = []
        self.pair = agents()

    def round(self, turns: int, chats: int) -> None:
        """Time ``chats`` chats of ``turns`` turns."""
        one, two = self.pair
        with self.around():
            for _ in range(max(1, _WARM_UP_TURNS // turns)):
                one.initiate_chat(two, message=TEXT, max_turns=turns // 2, silent=True)
            gc.collect()
            begun = time.thread_time()
            for _ in range(chats):
                one.initiate_chat(two, message=TEXT, max_turns=turns // 2, silent=True)
            self.seconds.append((time.thread_time() - begun) / chats)
        if self.provider is not None:
            self.provider.force_flush()  # no work of this arm's other threads goes on beside the next


@contextmanager
def hooks(provider: TracerProvider, *, recorded: bool = False, suppressed: bool = False) -> Iterator[None]:
    """Our hooks on ``provider``."""
    scope.reset()
    instrumentor = AutogenInstrumentor()
    instrumentor.instrument(tracer_provider=provider)
    content.configure(recorded=recorded, on_spans=False, limit=65536)
    with ExitStack() as stack:
        if suppressed:
            stack.enter_context(suppress_instrumentation())
        yield
    instrumentor.uninstrument()
    scope.reset()


@contextmanager
def own_tracing(pair: tuple[ConversableAgent, ConversableAgent], provider: TracerProvider) -> Iterator[None]:
    """AG2's own tracing; it has no way back, so the class is given its method back by hand."""
    original = OpenAIWrapper.create
    instrument_llm_wrapper(tracer_provider=provider)
    for agent in pair:
        instrument_agent(agent, tracer_provider=provider)
    yield
    OpenAIWrapper.create = original


def batched() -> TracerProvider:
    """A provider whose spans go nowhere."""
    provider = TracerProvider(shutdown_on_exit=False, id_generator=SystemRandomIdGenerator())
    provider.add_span_processor(BatchSpanProcessor(Nothing()))
    return provider


def recorded_spans(turns: int, *, own: bool = False) -> list[ReadableSpan]:
    """The spans of one chat under our hooks, or under AG2's own tracing."""
    counter, provider = Counter(), TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(counter)
    one, two = pair = agents()
    with own_tracing(pair, provider) if own else hooks(provider):
        one.initiate_chat(two, message=TEXT, max_turns=turns // 2, silent=True)
    return counter.spans


@contextmanager
def bare_spans(provider: TracerProvider, spans: list[ReadableSpan]) -> Iterator[None]:
    """``start_as_current_span`` at the places of the hooks, with their names and attributes, and nothing else."""
    tracer = provider.get_tracer("bare")
    shapes = {str((span.attributes or {})[semconv.NODE_KIND]): span for span in spans}
    originals = []
    for owner, method, node_kind in (
        (ConversableAgent, "initiate_chat", NodeKind.CHAT),
        (ConversableAgent, "generate_reply", NodeKind.AGENT),
        (OpenAIWrapper, "create", NodeKind.LLM),
    ):
        shape = shapes[node_kind]
        original = vars(owner)[method]
        originals.append((owner, method, original))
        setattr(owner, method, _within_span(original, tracer, shape.name, shape.kind, dict(shape.attributes or {})))
    yield
    for owner, method, original in originals:
        setattr(owner, method, original)


def _within_span(
    original: Callable[..., Any], tracer: Tracer, name: str, kind: SpanKind, attributes: dict[str, Any]
) -> Callable[..., Any]:
    def traced(self: Any, *args: Any, **kwargs: Any) -> Any:
        with tracer.start_as_current_span(name, kind=kind, attributes=attributes):
            return original(self, *args, **kwargs)

    return traced


def measure(turns: int, rounds: int, chats: int, folder: Path) -> dict[str, tuple[float, float]]:
    """Median and minimum, in microseconds a span, and for the last two the share of the untraced chat."""
    dag = TracerProvider(shutdown_on_exit=False, id_generator=SystemRandomIdGenerator())
    dag.add_span_processor(
        DagSpanProcessor(load(database_url=f"sqlite:///{folder / f'{turns}.db'}", spool_dir=folder / "spool"))
    )
    sampler = ParentBased(ALWAYS_OFF)
    unsampled = TracerProvider(shutdown_on_exit=False, sampler=sampler, id_generator=SystemRandomIdGenerator())
    unsampled.add_span_processor(BatchSpanProcessor(Nothing()))
    own_provider, bare_provider = batched(), batched()

    nothing = Arm("nothing", ExitStack)
    spans = recorded_spans(turns)
    ours = Arm("ours", lambda: hooks(dag), len(spans), dag)
    with_content = Arm("ours, content on", lambda: hooks(dag, recorded=True), len(spans), dag)
    not_sampled = Arm("not sampled", lambda: hooks(unsampled))
    suppressed = Arm("suppressed", lambda: hooks(dag, suppressed=True))
    own = Arm(
        "AG2's own tracing",
        lambda: own_tracing(own.pair, own_provider),
        len(recorded_spans(turns, own=True)),
        own_provider,
    )
    bare = Arm("bare", lambda: bare_spans(bare_provider, spans), len(spans), bare_provider)
    arms = [nothing, bare, ours, with_content, not_sampled, suppressed, own]

    for number in range(rounds + 1):
        for arm in arms[number % len(arms) :] + arms[: number % len(arms)]:
            arm.round(turns, chats)
    for arm in arms:
        del arm.seconds[0]  # the first round warms up
    for provider in (dag, unsampled, own_provider, bare_provider):
        provider.shutdown()
    base = nothing.seconds
    figures = {}
    for arm in (bare, ours, with_content, own):
        added = [
            (with_arm - without) / arm.spans_per_chat * 1e6 for with_arm, without in zip(arm.seconds, base, strict=True)
        ]
        least = (min(arm.seconds) - min(base)) / arm.spans_per_chat * 1e6
        figures[arm.name] = (statistics.median(added), least)
    for arm in (not_sampled, suppressed):
        share = [with_arm / without - 1 for with_arm, without in zip(arm.seconds, base, strict=True)]
        figures[arm.name] = (statistics.median(share), min(arm.seconds) / min(base) - 1)
    figures["turn"] = (statistics.median(base) / turns * 1e6, min(base) / turns * 1e6)
    figures["per turn, ours"] = tuple(value * len(spans) / turns for value in figures["ours"])  # type: ignore[assignment]
    figures["per turn, own"] = tuple(value * own.spans_per_chat / turns for value in figures[own.name])  # type: ignore[assignment]
    figures["per turn, content"] = tuple(value * len(spans) / turns for value in figures[with_content.name])  # type: ignore[assignment]
    return figures


def bytecodes(turns: int, folder: Path) -> dict[str, float]:
    """How many bytecodes each arm adds, a span: no time, so a machine that is busy besides does not change it."""
    dag = TracerProvider(shutdown_on_exit=False, id_generator=SystemRandomIdGenerator())
    dag.add_span_processor(DagSpanProcessor(load(database_url=f"sqlite:///{folder / 'counted.db'}", spool_dir=folder)))
    pair = agents()
    spans = recorded_spans(turns)
    untraced = _counted(ExitStack, pair, turns)
    bare, own = batched(), batched()
    counted = {
        "bare": _counted(lambda: bare_spans(bare, spans), pair, turns),
        "ours": _counted(lambda: hooks(dag), pair, turns),
        "ours, content on": _counted(lambda: hooks(dag, recorded=True), pair, turns),
        "AG2's own tracing": _counted(lambda: own_tracing(pair, own), pair, turns),
    }
    for provider in (dag, bare, own):
        provider.shutdown()
    return {name: (total - untraced) / len(spans) for name, total in counted.items()}


def _counted(around: Callable[[], Any], pair: tuple[ConversableAgent, ConversableAgent], turns: int) -> int:
    """The bytecodes of this thread in one chat, after one that warms up."""
    one, two = pair
    total = 0

    def count(frame: FrameType, event: str, _: Any) -> Any:
        nonlocal total
        if event == "call":
            frame.f_trace_opcodes = True
            frame.f_trace_lines = False
        total += event == "opcode"
        return count

    with around():
        one.initiate_chat(two, message=TEXT, max_turns=turns // 2, silent=True)
        before = sys.gettrace()
        sys.settrace(count)
        try:
            one.initiate_chat(two, message=TEXT, max_turns=turns // 2, silent=True)
        finally:
            sys.settrace(before)
    return total


def hand_on_rounds(path: Path, rounds: int) -> None:
    """Measure five times, each with a fifth of the rounds; a ratio is of the medians of one of these."""
    passes: dict[str, list[dict[str, float]]] = {"10 turns a chat": [], "80 turns a chat": []}
    with tempfile.TemporaryDirectory() as folder:
        for number in range(5):
            for name, turns, chats in (("10 turns a chat", 10, 40), ("80 turns a chat", 80, 5)):
                own_folder = Path(folder) / str(number)
                own_folder.mkdir(exist_ok=True)
                figures = {
                    key: value[0] for key, value in measure(turns, max(3, rounds // 5), chats, own_folder).items()
                }
                asked = {10: (1.7, 0.6, 1), 80: (1.7, 0.35, 0.5)}[turns]
                passes[name].append(
                    {
                        f"ours : bare SDK spans (<= {asked[0]})": figures["ours"] / figures["bare"],
                        f"ours : AG2's own tracing (<= {asked[1]})": figures["ours"] / figures["AG2's own tracing"],
                        f"ours, content on : AG2's own tracing (<= {asked[2]})": figures["ours, content on"]
                        / figures["AG2's own tracing"],
                        "hooks, not sampled : the turn untraced (<= 0.08)": figures["not sampled"],
                        "hooks, suppressed : the turn untraced (<= 0.08)": figures["suppressed"],
                    }
                    | {f"{arm}, us a span": figures[arm] for arm in ("ours", "bare", "AG2's own tracing")}
                    | {"the turn untraced, us": figures["turn"]}
                )
    hand_on(path, {name: by_name(found) for name, found in passes.items()}, ("autogen", "opentelemetry-sdk"))


def main() -> None:
    """Print the figures, and what they are to be."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--json", type=Path, help="only hand the figures on, in this file")
    options = parser.parse_args()
    logging.disable(logging.ERROR)
    if options.json:
        hand_on_rounds(options.json, options.rounds)
        return
    with tempfile.TemporaryDirectory() as folder:
        few = measure(10, options.rounds, 40, Path(folder))
        many = measure(80, options.rounds, 5, Path(folder))
        counted = {turns: bytecodes(turns, Path(folder)) for turns in (10, 80)}
    print(f"{'':<24}{'10 turns a chat':>24}{'80 turns a chat':>24}")
    print(f"{'':<24}{'median      minimum':>24}{'median      minimum':>24}")
    for name in few:
        unit = " %" if name in ("not sampled", "suppressed") else " us"
        cells = "".join(
            f"{median * (100 if unit == ' %' else 1):>12.1f}{least * (100 if unit == ' %' else 1):>9.1f}{unit}"
            for median, least in (few[name], many[name])
        )
        print(f"{name:<24}{cells}")
    print(
        "\n(an arm's figures are the microseconds that it adds a span; not sampled, suppressed: of the untraced turn)\n"
    )
    print("bytecodes that an arm adds a span, which no other work on the machine changes")
    for name in counted[10]:
        print(f"  {name:<22}{counted[10][name]:>24.0f}{counted[80][name]:>24.0f}")
    print()
    for which, index in (("median", 0), ("minimum", 1)):
        f, m = ({name: values[index] for name, values in figures.items()} for figures in (few, many))
        own = "AG2's own tracing"
        rows = [
            ("ours / bare, 10 turns", f["ours"] / f["bare"], 1.7),
            ("ours / AG2's own, 10 turns", f["ours"] / f[own], 0.6),
            ("ours / AG2's own, 80 turns", m["ours"] / m[own], 0.35),
            ("ours at 80 / at 10 turns", m["ours"] / f["ours"], 1.1),
            ("content on / AG2's own, 10 turns", f["ours, content on"] / f[own], 1.0),
            ("content on / AG2's own, 80 turns", m["ours, content on"] / m[own], 0.5),
            ("not sampled, of the turn", f["not sampled"], 0.08),
            ("suppressed, of the turn", f["suppressed"], 0.08),
        ]
        print(which)
        for name, value, bound in rows:
            print(f"  {name:<34}{value:>8.2f}   to be <= {bound:<5}{'' if value <= bound else '  MISSED'}")


if __name__ == "__main__":
    main()
