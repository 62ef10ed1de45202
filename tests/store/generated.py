"""Runs as they might be, and as they should not be: the spans of a few traces, and ways of delivering them."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from hypothesis import strategies as st

from cmbagent_otel import semconv
from cmbagent_otel.semconv import NodeKind, NodeType, Operation
from cmbagent_otel.spans.record import Record, SpanEvent, SpanLink, SpanRecord, node_id

RUNS = ("run-a", "run-b")
_KINDS = (
    NodeKind.WORKFLOW,
    NodeKind.PHASE,
    NodeKind.STEP,
    "redo",
    NodeKind.AGENT,
    NodeKind.LLM,
    NodeKind.CODE,
    NodeKind.APPROVAL,
    "foreign",
    "foreign llm",
)


class Generated(NamedTuple):
    """Spans as they ended, and the start records of some; of a few only the start is known."""

    ended: tuple[SpanRecord, ...]
    started: tuple[SpanRecord, ...]

    @property
    def records(self) -> list[Record]:
        return [*self.started, *self.ended]


@st.composite
def runs(draw: st.DrawFn, *, largest: int = 12, hostile: bool = True) -> Generated:
    """The spans of one to three traces that may share a run."""
    spans: list[SpanRecord] = []
    for number in range(1, draw(st.integers(1, 3)) + 1):
        trace_id = f"{number:016x}{number:016x}"
        names_run = draw(st.sampled_from(["all", "none", "some"]))
        scene = Scene(trace_id, [], spans, names_run, draw(st.sampled_from(RUNS)), hostile)
        for _ in range(draw(st.integers(1, largest))):
            scene.mine.append(_span(draw, scene))
        spans = spans + scene.mine
    if hostile:
        for _ in range(draw(st.integers(0, 2))):
            spans = _tangled(draw, spans)
        for _ in range(draw(st.integers(0, 2))):
            if len(spans) > 1:
                spans.pop(draw(st.integers(0, len(spans) - 1)))
    ended, started = [], []
    for span in spans:
        fate = draw(st.sampled_from(["end", "both", *(["start"] if hostile else [])]))
        if fate != "end":
            started.append(_at_start(span, names_run=draw(st.booleans())))
        if fate != "start":
            ended.append(span)
    return Generated(tuple(ended), tuple(started))


class Scene(NamedTuple):
    """What a span can speak of: those before it in its trace, and all others."""

    trace_id: str
    mine: list[SpanRecord]
    others: list[SpanRecord]
    names_run: str
    run_id: str
    hostile: bool


def _span(draw: st.DrawFn, scene: Scene) -> SpanRecord:
    mine, index = scene.mine, len(scene.mine)
    parent = mine[draw(st.integers(max(0, index - 3), index - 1))] if mine else None
    kind = NodeKind.WORKFLOW if parent is None else draw(st.sampled_from(_KINDS))
    start = draw(st.integers(0, 9)) * 1_000_000 + (0 if draw(st.booleans()) else index * 1000)
    attributes = (
        _run(draw, scene) | _kind(kind) | _ATTRIBUTES.get(kind, _nothing)(draw, scene) | _after(draw, scene, kind)
    )
    failed = draw(st.integers(0, 4)) == 0
    return SpanRecord(
        scene.trace_id,
        f"{index + 1:016x}",
        parent.span_id if parent is not None else None,
        f"{kind} {index}",
        "INTERNAL",
        start,
        start + draw(st.integers(0, 5)) * 1_000_000,
        "ERROR" if failed else "UNSET",
        "it broke" if failed else "",
        attributes,
        (SpanEvent(semconv.MESSAGE_EVENT, start + 5, {semconv.MESSAGE_SENDER: "me"}),)
        if kind == NodeKind.AGENT
        else (),
        _links(draw, attributes),
        {semconv.SERVICE_INSTANCE_ID: "me"} if parent is None else {},
        parent_is_remote=parent is not None and kind == NodeKind.WORKFLOW and draw(st.booleans()),
    )


def _run(draw: st.DrawFn, scene: Scene) -> dict[str, Any]:
    if scene.names_run == "all" or (scene.names_run == "some" and draw(st.integers(0, 3)) == 0):
        another = scene.hostile and draw(st.integers(0, 5)) == 0
        return {semconv.RUN_ID: draw(st.sampled_from(RUNS)) if another else scene.run_id}
    return {}


def _kind(kind: str) -> dict[str, Any]:
    if kind in ("foreign", "foreign llm"):
        return {}
    if kind == "redo":
        return {semconv.NODE_KIND: NodeKind.STEP, semconv.NODE_TYPE: NodeType.BRANCH_POINT}
    return {semconv.NODE_KIND: kind, semconv.NODE_TYPE: kind}


def _nothing(draw: st.DrawFn, scene: Scene) -> dict[str, Any]:
    del draw, scene
    return {}


def _workflow(draw: st.DrawFn, scene: Scene) -> dict[str, Any]:
    attributes = {semconv.WORKFLOW_NAME: f"flow {len(scene.mine)}", semconv.WORKFLOW_TASK: "find it"}
    if draw(st.integers(0, 3)) == 0:
        attributes[semconv.SESSION_ID] = draw(st.sampled_from(["session-a", "session-b"]))
    return attributes


def _phase(draw: st.DrawFn, scene: Scene) -> dict[str, Any]:
    del scene
    phase = draw(st.sampled_from(["planning", "control"]))
    return {semconv.NODE_TYPE: phase, semconv.PHASE_TYPE: phase}


def _step(draw: st.DrawFn, scene: Scene) -> dict[str, Any]:
    del scene
    return {semconv.STEP_NUMBER: draw(st.integers(1, 2)), semconv.STEP_GOAL: "do", semconv.STEP_ATTEMPT: 1}


def _redo(draw: st.DrawFn, scene: Scene) -> dict[str, Any]:
    attempt = draw(st.integers(2, 3))
    attributes: dict[str, Any] = {
        semconv.STEP_NUMBER: draw(st.integers(1, 2)),
        semconv.STEP_ATTEMPT: attempt,
        semconv.REDO_NUMBER: attempt - 1,
        semconv.REDO_BRANCH_NAME: f"redo_{attempt - 1}",
        semconv.REDO_HYPOTHESIS: "otherwise",
    }
    known = (*scene.others, *scene.mine)
    steps = [span for span in known if span.attributes.get(semconv.NODE_TYPE) == NodeType.STEP]
    names_source: bool = draw(st.booleans())
    if steps and names_source:
        source = draw(st.sampled_from(steps))
        attributes[semconv.REDO_SOURCE] = node_id(source.trace_id, source.span_id)
    return attributes


def _agent(draw: st.DrawFn, scene: Scene) -> dict[str, Any]:
    attributes = {semconv.AGENT_NAME: draw(st.sampled_from(["engineer", "researcher"]))}
    if draw(st.booleans()):
        giver = draw(st.sampled_from(scene.mine))
        attributes[semconv.HANDOFF_FROM] = node_id(giver.trace_id, giver.span_id)
    return attributes


def _llm(draw: st.DrawFn, scene: Scene) -> dict[str, Any]:
    del scene
    return {
        semconv.OPERATION_NAME: Operation.CHAT,
        semconv.REQUEST_MODEL: "gpt-4o",
        semconv.USAGE_INPUT_TOKENS: draw(st.integers(0, 99)),
        semconv.USAGE_OUTPUT_TOKENS: 1,
    }


def _code(draw: st.DrawFn, scene: Scene) -> dict[str, Any]:
    file = json.dumps({"path": f"plot-{len(scene.mine)}.png", "type": "plot", "size": 7, "sha256": "ab"})
    return {
        semconv.CODE_LANGUAGE: "python",
        semconv.PROCESS_EXIT_CODE: draw(st.integers(0, 1)),
        semconv.CODE_FILES: (file,),
    }


_ATTRIBUTES = {
    NodeKind.WORKFLOW: _workflow,
    NodeKind.PHASE: _phase,
    NodeKind.STEP: _step,
    "redo": _redo,
    NodeKind.AGENT: _agent,
    NodeKind.LLM: _llm,
    "foreign llm": _llm,
    NodeKind.CODE: _code,
}


def _after(draw: st.DrawFn, scene: Scene, kind: str) -> dict[str, Any]:
    if scene.hostile and draw(st.integers(0, 9)) == 0:
        return {semconv.DAG_DEPENDS_ON: (node_id("f" * 32, f"{draw(st.integers(1, 3)):016x}"),)}
    if scene.mine and kind in (NodeKind.PHASE, NodeKind.STEP, NodeKind.WORKFLOW) and draw(st.booleans()):
        before = draw(st.sampled_from((*scene.others, *scene.mine)))
        return {semconv.DAG_DEPENDS_ON: (node_id(before.trace_id, before.span_id),)}
    return {}


def _links(draw: st.DrawFn, attributes: dict[str, Any]) -> tuple[SpanLink, ...]:
    source = attributes.get(semconv.REDO_SOURCE)
    if source is None or not draw(st.booleans()):
        return ()
    digits = source.replace("-", "")
    return (SpanLink(digits[:16] * 2, digits[16:], {semconv.LINK_KIND: semconv.LINK_REDO_OF}),)


def _tangled(draw: st.DrawFn, spans: list[SpanRecord]) -> list[SpanRecord]:
    """One span gets another parent of its trace, itself perhaps, or one that does not exist."""
    index = draw(st.integers(0, len(spans) - 1))
    span = spans[index]
    candidates = [other.span_id for other in spans if other.trace_id == span.trace_id] + ["f" * 16]
    parent = draw(st.sampled_from(candidates))
    return [*spans[:index], span._replace(parent_span_id=parent), *spans[index + 1 :]]


_ONLY_AT_END = frozenset(
    {
        semconv.USAGE_INPUT_TOKENS,
        semconv.USAGE_OUTPUT_TOKENS,
        semconv.CODE_FILES,
        semconv.PROCESS_EXIT_CODE,
        semconv.OPERATION_NAME,
    }
)


def _at_start(span: SpanRecord, *, names_run: bool) -> SpanRecord:
    hidden = _ONLY_AT_END if names_run else _ONLY_AT_END | {semconv.RUN_ID}
    attributes = {key: value for key, value in span.attributes.items() if key not in hidden}
    return span._replace(end_time_unix_nano=None, status="UNSET", status_message="", attributes=attributes, events=())


@st.composite
def deliveries(draw: st.DrawFn, records: list[Record]) -> list[list[Record]]:
    """The records in some order, some of them again, cut into batches."""
    again = draw(st.lists(st.sampled_from(records), max_size=4)) if records else []
    order = draw(st.permutations([*records, *again]))
    batches: list[list[Record]] = []
    while order:
        size = draw(st.integers(1, len(order)))
        batches.append(list(order[:size]))
        order = order[size:]
    return batches
