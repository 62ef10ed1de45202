"""Stock CMBAgent on stage: its functions with hooks around them and a scripted model behind them."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from io import StringIO
from pathlib import Path
from typing import Any, NamedTuple, Protocol, TypeAlias

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider

from cmbagent_otel import content, scope, semconv
from cmbagent_otel.instrumentation import health
from cmbagent_otel.instrumentation.autogen import AutogenInstrumentor
from cmbagent_otel.instrumentation.cmbagent import CMBAgentInstrumentor
from cmbagent_otel.semconv import NodeKind
from cmbagent_otel.spans.ids import SystemRandomIdGenerator
from cmbagent_otel.testing import Reply, ScriptedModelServer
from tests.cmbagent.scripts import CONTROLLER, agents
from tests.scenarios.stage import Recorder
from tests.scenarios.trace import Trace, attribute

TASK = "Compute the spectrum"
Replies: TypeAlias = Mapping[str, Iterable[Reply]]


class Played(NamedTuple):
    """A call of CMBAgent that is over."""

    result: Any
    server: ScriptedModelServer
    trace: Trace


class Play(Protocol):
    """Call a function of CMBAgent with hooks around it, and check what is true of every trace."""

    def __call__(
        self, function: str, replies: Replies, *, person: str = "", content_on: bool = False, **arguments: Any
    ) -> Played: ...


def play(
    function: str,
    replies: Replies,
    folder: Path,
    *,
    person: str = "",
    content_on: bool = False,
    **arguments: Any,
) -> Played:
    """Call ``cmbagent.<function>`` in ``folder``. ``person`` is what somebody at the keyboard types."""
    cmbagent = pytest.importorskip("cmbagent", reason="stock CMBAgent is not installed here: make test-cmbagent")
    (folder / "chats").mkdir(exist_ok=True)
    recorder = Recorder()
    with (
        ScriptedModelServer(agents(replies)) as server,
        surroundings(server, folder, person),
        installed(recorder, content_on=content_on),
    ):
        if not hasattr(cmbagent, function):
            pytest.skip(f"this CMBAgent has no {function}")
        result = getattr(cmbagent, function)(TASK, **{"work_dir": folder / "out", **arguments})
        trace = Trace(recorder.ended)
        check(trace, server, recorder)
    return Played(result, server, trace)


@contextmanager
def surroundings(server: ScriptedModelServer, folder: Path, person: str = "") -> Iterator[None]:
    """The folder, the model and the keyboard of a run."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("OPENAI_BASE_URL", server.base_url)
        patch.setenv("OPENAI_API_KEY", "sk-scripted")
        patch.setattr(sys, "stdin", StringIO(person))
        yield


@contextmanager
def installed(recorder: Recorder, *, content_on: bool = False) -> Iterator[None]:
    """The hooks for AG2 and for CMBAgent on a provider of their own; gone afterwards."""
    health.reset()
    content.configure(recorded=content_on, on_spans=content_on, limit=65536)
    provider = TracerProvider(shutdown_on_exit=False, id_generator=SystemRandomIdGenerator())
    provider.add_span_processor(recorder)
    instrumentors = (AutogenInstrumentor(), CMBAgentInstrumentor())
    for instrumentor in instrumentors:
        instrumentor.instrument(tracer_provider=provider)
    try:
        yield
    finally:
        for instrumentor in instrumentors:
            instrumentor.uninstrument()
        scope.reset()
        logging.disable(logging.NOTSET)  # CMBAgent disables it for the whole process


def check(trace: Trace, server: ScriptedModelServer, recorder: Recorder) -> None:
    """What is true of every trace, whatever CMBAgent did."""
    assert health.health().faults == {}, "code of ours failed"
    assert recorder.left_open == []
    assert trace.orphans == []
    assert len(trace.traces) == len(trace.roots) == 1, trace.outline()
    assert trace.tokens == server.billed
    assert len({attribute(span, semconv.RUN_ID) for span in trace.spans}) == 1
    for span in trace.spans:
        assert span.status.is_unset == (attribute(span, semconv.ERROR_TYPE) is None), span.name
        assert not semconv.CONTENT_KEYS.intersection(span.attributes or {}) or content.is_recorded(), span.name


_SHOWN = frozenset({NodeKind.WORKFLOW, NodeKind.PHASE, NodeKind.STEP, NodeKind.AGENT, NodeKind.APPROVAL})


def plot(trace: Trace) -> str:
    """The trace in order of time, without the chats themselves and without what happens within a turn."""
    return "\n".join(_lines(trace, None, 0))


def _lines(trace: Trace, parent: ReadableSpan | None, depth: int) -> Iterator[str]:
    for span in _seen_under(trace, parent):
        name = span.name.removeprefix("invoke_agent ").removeprefix("invoke_workflow ")
        name = "control" if name == CONTROLLER else name
        failed = "" if span.status.is_unset else f" ! {attribute(span, semconv.ERROR_TYPE)}"
        yield f"{'  ' * depth}{name}{failed}"
        if attribute(span, semconv.NODE_KIND) != NodeKind.AGENT:
            yield from _lines(trace, span, depth + 1)


def _seen_under(trace: Trace, parent: ReadableSpan | None) -> list[ReadableSpan]:
    """Children, and in the place of a hidden child its own."""
    seen = []
    for child in _children(trace, parent):
        if attribute(child, semconv.NODE_KIND) in _SHOWN:
            seen.append(child)
        else:
            seen.extend(_seen_under(trace, child))
    return sorted(seen, key=lambda span: span.start_time or 0)


def _children(trace: Trace, parent: ReadableSpan | None) -> list[ReadableSpan]:
    own_id = parent.context.span_id if parent is not None else None
    return [span for span in trace.spans if (span.parent.span_id if span.parent else None) == own_id]


def steps(trace: Trace) -> list[ReadableSpan]:
    """All attempts at all steps, in order."""
    return trace.of(NodeKind.STEP)


def facts(span: ReadableSpan) -> dict[str, Any]:
    """What an attempt says of itself, under the keys' last words; ids left out."""
    keys = (
        semconv.STEP_NUMBER,
        semconv.STEP_ATTEMPT,
        semconv.AGENT_NAME,
        semconv.STEP_STATUS,
        semconv.REDO_REASON,
        semconv.ERROR_TYPE,
        semconv.REDO_OVER_LIMIT,
    )
    found = {key.rpartition(".")[2]: attribute(span, key) for key in keys}
    return {name: value for name, value in found.items() if value is not None}
