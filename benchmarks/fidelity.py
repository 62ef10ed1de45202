"""What each tracer makes of the same chats, beside the truth: ``make fidelity``.

``fidelity.py run TRACER`` plays the chats in this environment and writes what it saw as JSON; ``fidelity.py table
FILES`` prints the results. The truth is what the scripted model billed, and what tools, code and people did.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import json
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

ASPECTS = ("spans", "traces", "model calls", "tokens", "tools", "code", "people", "handoffs")
# What each dialect calls a span, under its own key: "chat" is a model call in one and a conversation in another.
MODEL = {("openinference.span.kind", "LLM"), ("gen_ai.operation.name", "chat")}
TOOL = {("openinference.span.kind", "TOOL"), ("gen_ai.operation.name", "execute_tool")}
CODE = {("gen_ai.operation.name", "execute_code"), ("ag2.span.type", "code_execution")}
HUMAN = {("gen_ai.operation.name", "await_human_input"), ("ag2.span.type", "human_input")}
IN = ("gen_ai.usage.input_tokens", "llm.token_count.prompt")
OUT = ("gen_ai.usage.output_tokens", "llm.token_count.completion")


def chats() -> dict[str, Any]:
    """The chats, by name: programs that know nothing of tracing."""
    from tests.scenarios.programs import chats as two
    from tests.scenarios.programs import code, groups, models, people, threads

    return {
        "sync": two.two_agents_with_a_tool,
        "async": two.two_agents_with_a_tool_async,
        "group": groups.handoffs_of_each_kind,
        "threads": threads.chat_in_the_background,
        "code": code.code_by_command_line,
        "human": people.person_answers,
        "retries": models.model_tried_again,
    }


TRUTH = {
    "sync": {"tools": 1, "code": 0, "people": 0, "handoffs": 0},
    "async": {"tools": 1, "code": 0, "people": 0, "handoffs": 0},
    "group": {"tools": 3, "code": 0, "people": 0, "handoffs": 4},
    "threads": {"tools": 1, "code": 0, "people": 0, "handoffs": 0},
    "code": {"tools": 0, "code": 2, "people": 0, "handoffs": 0},
    "human": {"tools": 0, "code": 0, "people": 2, "handoffs": 0},
    "retries": {"tools": 0, "code": 0, "people": 0, "handoffs": 0},
}


def ours(provider: TracerProvider) -> None:
    """The hooks of this package."""
    from cmbagent_otel.instrumentation.autogen import AutogenInstrumentor

    AutogenInstrumentor().instrument(tracer_provider=provider)


def ag2(provider: TracerProvider) -> None:
    """AG2's own tracing, on every agent that is made: its users do that by hand."""
    from autogen import ConversableAgent
    from autogen.opentelemetry import instrument_agent, instrument_llm_wrapper

    instrument_llm_wrapper(tracer_provider=provider)
    original = ConversableAgent.__init__

    def made(self: Any, *args: Any, **kwargs: Any) -> None:
        original(self, *args, **kwargs)
        instrument_agent(self, tracer_provider=provider)

    ConversableAgent.__init__ = made


def openinference(provider: TracerProvider) -> None:
    """OpenInference for AG2 and for OpenAI."""
    # By name: they are in an environment of their own.
    ag2_package = importlib.import_module("openinference.instrumentation.ag2")
    openai_package = importlib.import_module("openinference.instrumentation.openai")
    ag2_package.AG2Instrumentor().instrument(tracer_provider=provider, skip_dep_check=True)
    openai_package.OpenAIInstrumentor().instrument(tracer_provider=provider, skip_dep_check=True)


def openlit(provider: TracerProvider) -> None:
    """OpenLIT; it takes the global provider."""
    trace.set_tracer_provider(provider)
    importlib.import_module("openlit").init(disable_metrics=True)


TRACERS: dict[str, Callable[[TracerProvider], None]] = {
    "ours": ours,
    "ag2": ag2,
    "openinference": openinference,
    "openlit": openlit,
}


def count(spans: list[ReadableSpan]) -> dict[str, Any]:
    """What a tracer saw."""

    def is_a(span: ReadableSpan, names: set[tuple[str, str]]) -> bool:
        return any((span.attributes or {}).get(key) == word for key, word in names)

    def total(keys: tuple[str, ...]) -> int:
        values = [next((v for key in keys if (v := (span.attributes or {}).get(key)) is not None), 0) for span in spans]
        return sum(int(value) for value in values if isinstance(value, int | float))

    handoffs = [event for span in spans for event in span.events if event.name == "cmbagent.handoff"]
    return {
        "spans": len(spans),
        "traces": len({span.context.trace_id for span in spans if span.context}),
        "model calls": sum(is_a(span, MODEL) for span in spans),
        "tokens": f"{total(IN)}/{total(OUT)}",
        "tools": sum(is_a(span, TOOL) for span in spans),
        "code": sum(is_a(span, CODE) for span in spans),
        "people": sum(is_a(span, HUMAN) for span in spans),
        "handoffs": len(handoffs) + sum(span.name.startswith("ag2.handoff") for span in spans),
    }


def run(tracer: str) -> dict[str, Any]:
    """Play all chats under ``tracer``."""
    from tests.scenarios import stage

    exporter, provider = InMemorySpanExporter(), TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    TRACERS[tracer](provider)
    seen: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        Path("chats").mkdir()
        for name, program in chats().items():
            exporter.clear()
            try:
                with contextlib.redirect_stdout(io.StringIO()):
                    _, world = stage.perform(program, Path(folder) / name)
            except Exception as error:  # noqa: BLE001 - a tracer that breaks a chat is what this is to show
                seen[name] = {"broken": type(error).__name__}
                continue
            answered = [exchange for exchange in world.server.exchanges if exchange.reply.status == 200]
            billed = world.server.billed
            truth = {
                "traces": 1,
                "model calls": len(answered),
                "tokens": f"{billed.input_tokens}/{billed.output_tokens}",
                **TRUTH[name],
            }
            seen[name] = {"truth": truth, "seen": count(list(exporter.get_finished_spans()))}
    return seen


def table(files: list[str]) -> None:
    """Print what each saw; what differs from the truth has a mark."""
    results = {Path(file).stem: json.loads(Path(file).read_text()) for file in files}
    for chat in next(iter(results.values())):
        truth: dict[str, Any] = next((r[chat]["truth"] for r in results.values() if "truth" in r.get(chat, {})), {})
        print(f"\n{chat}\n  {'':<16}" + "".join(f"{aspect:>13}" for aspect in ASPECTS))
        print(f"  {'truth':<16}" + "".join(f"{truth.get(aspect, '')!s:>13}" for aspect in ASPECTS))
        for tracer, result in results.items():
            found = result[chat].get("seen")
            if found is None:
                print(f"  {tracer:<16}   the chat broke: {result[chat].get('broken')}")
                continue
            cells = [f"{found[a]}{'' if a not in truth or found[a] == truth[a] else ' !'}" for a in ASPECTS]
            print(f"  {tracer:<16}" + "".join(f"{cell:>13}" for cell in cells))
    print("\n! differs from the truth; tokens are summed over all spans, as a reader would who knows no dialect")


if __name__ == "__main__":
    if sys.argv[1] == "run":
        found = run(sys.argv[2])
        Path(sys.argv[3]).write_text(json.dumps(found))
        sys.stdout.flush()
        os._exit(0)  # some tracers leave threads behind that keep the process
    table(sys.argv[2:])
