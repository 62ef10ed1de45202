"""Runs in a real database: spans of ours, through the mapping and the writer."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Engine

from cmbagent_otel import semconv
from cmbagent_otel.semconv import NodeKind, NodeType, Operation
from cmbagent_otel.spans.record import SpanLink, SpanRecord, default_run_id, node_id
from cmbagent_otel.store.writer import Writer

SECOND = 1_000_000_000
START = 1_780_000_000 * SECOND


class Recorder:
    """Makes the spans of one trace and stores them; times are seconds from the start."""

    def __init__(self, engine: Engine, number: int = 1, *, at: float = 0) -> None:
        self.engine = engine
        self.trace_id = f"{number:016x}{number:016x}"
        self.run_id = default_run_id(self.trace_id)
        self.at = at
        self.spans: list[SpanRecord] = []

    def span(
        self,
        name: str,
        node_type: str,
        kind: str,
        parent: SpanRecord | None = None,
        *,
        at: float = 0,
        to: float | None = 1,
        error: str | None = None,
        links: tuple[SpanLink, ...] = (),
        **attributes: Any,
    ) -> SpanRecord:
        stated = {semconv.NODE_TYPE: node_type, semconv.NODE_KIND: kind, semconv.RUN_ID: self.run_id}
        if error is not None:
            stated[semconv.ERROR_TYPE] = error
        record = SpanRecord(
            self.trace_id,
            f"{len(self.spans) + 1:016x}",
            None if parent is None else parent.span_id,
            name,
            "INTERNAL",
            START + round((self.at + at) * SECOND),
            None if to is None else START + round((self.at + to) * SECOND),
            "ERROR" if error is not None else "UNSET",
            "",
            {**stated, **attributes.pop("attributes", {}), **attributes},
            links=links,
        )
        self.spans.append(record)
        return record

    def workflow(self, name: str = "planning_and_control", task: str | None = None, **times: Any) -> SpanRecord:
        attributes = {semconv.OPERATION_NAME: Operation.INVOKE_WORKFLOW, semconv.WORKFLOW_NAME: name}
        if task is not None:
            attributes[semconv.WORKFLOW_TASK] = task
        return self.span(
            f"invoke_workflow {name}", NodeType.WORKFLOW, NodeKind.WORKFLOW, attributes=attributes, **times
        )

    def phase(self, parent: SpanRecord, phase_type: str = "control", **times: Any) -> SpanRecord:
        return self.span(
            f"phase {phase_type}",
            phase_type,
            NodeKind.PHASE,
            parent,
            attributes={semconv.PHASE_TYPE: phase_type},
            **times,
        )

    def step(self, parent: SpanRecord, number: int, goal: str, **times: Any) -> SpanRecord:
        attributes = {semconv.STEP_NUMBER: number, semconv.STEP_GOAL: goal, semconv.STEP_ATTEMPT: 1}
        return self.span(f"step {number}", NodeType.STEP, NodeKind.STEP, parent, attributes=attributes, **times)

    def redo(self, parent: SpanRecord, of: SpanRecord, hypothesis: str, number: int = 1, **times: Any) -> SpanRecord:
        attributes = {
            semconv.STEP_NUMBER: of.attributes[semconv.STEP_NUMBER],
            semconv.STEP_GOAL: of.attributes[semconv.STEP_GOAL],
            semconv.STEP_ATTEMPT: number + 1,
            semconv.REDO_NUMBER: number,
            semconv.REDO_BRANCH_NAME: f"redo_{number}",
            semconv.REDO_HYPOTHESIS: hypothesis,
            semconv.REDO_REASON: "failure",
            semconv.REDO_SOURCE: node_id(of.trace_id, of.span_id),
        }
        link = SpanLink(of.trace_id, of.span_id, {semconv.LINK_KIND: semconv.LINK_REDO_OF})
        return self.span(
            f"step redo {number}",
            NodeType.BRANCH_POINT,
            NodeKind.STEP,
            parent,
            attributes=attributes,
            links=(link,),
            **times,
        )

    def agent(self, parent: SpanRecord, name: str, **times: Any) -> SpanRecord:
        attributes = {semconv.OPERATION_NAME: Operation.INVOKE_AGENT, semconv.AGENT_NAME: name}
        return self.span(f"invoke_agent {name}", NodeType.AGENT, NodeKind.AGENT, parent, attributes=attributes, **times)

    def llm(
        self, parent: SpanRecord, model: str = "gpt-4.1", tokens: tuple[int, int] = (1000, 200), **times: Any
    ) -> SpanRecord:
        attributes = {
            semconv.OPERATION_NAME: Operation.CHAT,
            semconv.PROVIDER_NAME: "openai",
            semconv.REQUEST_MODEL: model,
            semconv.USAGE_INPUT_TOKENS: tokens[0],
            semconv.USAGE_OUTPUT_TOKENS: tokens[1],
        }
        return self.span(f"chat {model}", NodeType.LLM, NodeKind.LLM, parent, attributes=attributes, **times)

    def tool(self, parent: SpanRecord, name: str, **times: Any) -> SpanRecord:
        attributes = {semconv.OPERATION_NAME: Operation.EXECUTE_TOOL, semconv.TOOL_NAME: name}
        return self.span(f"execute_tool {name}", NodeType.TOOL, NodeKind.TOOL, parent, attributes=attributes, **times)

    def code(self, parent: SpanRecord, exit_code: int, **times: Any) -> SpanRecord:
        attributes = {
            semconv.OPERATION_NAME: Operation.EXECUTE_CODE,
            semconv.CODE_LANGUAGE: "python",
            semconv.PROCESS_EXIT_CODE: exit_code,
        }
        return self.span(
            "execute_code engineer",
            NodeType.CODE_EXEC,
            NodeKind.CODE,
            parent,
            attributes=attributes,
            error=str(exit_code) if exit_code else None,
            **times,
        )

    def store(self) -> str:
        """Write all spans; returns the run's id."""
        Writer(self.engine).write(self.spans)
        return self.run_id


def node_of(span: SpanRecord) -> str:
    """The node id of a span."""
    return node_id(span.trace_id, span.span_id)


def research(
    engine: Engine, number: int = 1, *, at: float = 0, task: str = "Measure the spectral index", store: bool = True
) -> Recorder:
    """A run of two steps, of which the second fails and is redone."""
    made = Recorder(engine, number, at=at)
    root = made.workflow(task=task, at=0, to=100)
    control = made.phase(root, at=1, to=99)
    one = made.step(control, 1, "Simulate maps", at=2, to=30)
    engineer = made.agent(one, "engineer", at=3, to=29)
    made.llm(engineer, at=4, to=10)
    made.tool(engineer, "get_camb_help", at=11, to=12)
    two = made.step(control, 2, "Power spectrum", at=31, to=50, error="RuntimeError")
    engineer = made.agent(two, "engineer", at=32, to=49, error="RuntimeError")
    made.llm(engineer, at=33, to=40)
    made.code(engineer, 1, at=41, to=48)
    again = made.redo(control, two, "Deconvolve the beam first", at=51, to=98)
    engineer = made.agent(again, "engineer", at=52, to=97)
    made.llm(engineer, "a-model-without-a-price", at=53, to=60)
    made.code(engineer, 0, at=61, to=70)
    if store:
        made.store()
    return made
