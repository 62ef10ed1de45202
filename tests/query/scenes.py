"""Runs written by hand, as rows."""

from __future__ import annotations

from typing import Any

from cmbagent_otel.query.rows import EdgeRow, NodeRow, RunGraph, RunRow

SECOND = 1_000_000_000
START = 1_780_000_000 * SECOND
RUN_ID = "7f3a91c2-0000-4000-8000-000000000001"
TRACE_ID = "7f3a91c20000400080000000000000ab"


class Scene:
    """A run in the making; times are seconds from its start."""

    def __init__(self, status: str = "completed", **run: Any) -> None:
        self.run = RunRow(
            RUN_ID,
            RUN_ID,
            run.pop("mode", "planning_and_control"),
            status,
            START,
            run.pop("completed", START + 100 * SECOND if status in ("completed", "failed") else None),
            **run,
        )
        self.nodes: list[NodeRow] = []
        self.edges: list[EdgeRow] = []
        self.metas: dict[str, dict[str, Any]] = {}

    def add(
        self,
        node_id: str,
        node_type: str,
        parent: str | None = None,
        *,
        at: float | None = 0,
        to: float | None = 1,
        status: str = "completed",
        meta: dict[str, Any] | None = None,
        **columns: Any,
    ) -> str:
        columns.setdefault("trace_id", TRACE_ID)
        columns.setdefault("name", node_id)
        self.nodes.append(
            NodeRow(
                node_id,
                parent,
                node_type,
                columns.pop("agent", None),
                status,
                span_id=node_id[:16],
                start_time_unix_nano=None if at is None else START + round(at * SECOND),
                end_time_unix_nano=None if to is None else START + round(to * SECOND),
                **columns,
            )
        )
        if meta is not None:
            self.metas[node_id] = meta
        return node_id

    def edge(self, source: str, target: str, dependency_type: str = "sequential", condition: str | None = None) -> None:
        self.edges.append(EdgeRow(source, target, dependency_type, condition))

    def graph(self) -> RunGraph:
        return RunGraph(self.run, tuple(self.nodes), tuple(self.edges), self.metas)


def research() -> Scene:
    """A planning phase; a control phase of two steps, the second failing once and redone."""
    scene = Scene(task="Measure the spectral index\nof the foreground")
    scene.add("root", "workflow", at=0, to=100, name="invoke_workflow planning_and_control")
    scene.add("planning", "planning", "root", at=1, to=10, name="phase planning", meta={"kind": "phase"})
    scene.add("planner", "agent", "planning", at=2, to=9, agent="planner", name="invoke_agent planner")
    llm(scene, "plan", "planner", at=3, to=8)
    scene.add("control", "control", "root", at=11, to=99, name="phase control", meta={"kind": "phase"})
    scene.edge("planning", "control")
    step(scene, "one", 1, "Simulate maps", at=12, to=30)
    scene.add("e1", "agent", "one", at=13, to=29, agent="engineer", name="invoke_agent engineer")
    llm(scene, "c1", "e1", at=14, to=20)
    scene.add("t1", "tool", "e1", at=20, to=21, name="execute_tool get_camb_help")
    step(scene, "two", 2, "Power spectrum", at=31, to=50, status="failed")
    scene.add("e2", "agent", "two", at=32, to=49, agent="engineer", name="invoke_agent engineer", status="failed")
    llm(scene, "c2", "e2", at=33, to=40)
    code(scene, "x2", "e2", at=41, to=48, exit_code=1)
    scene.edge("one", "two")
    scene.add(
        "redo",
        "branch_point",
        "control",
        at=51,
        to=90,
        agent="branch_redo_1",
        name="step 2 redo 1",
        attempt=2,
        meta={
            "kind": "step",
            "step_number": 2,
            "goal": "Power spectrum",
            "hypothesis": "Deconvolve the beam first",
            "reason": "failure",
            "source_node_id": "two",
            "previous_node_id": "two",
        },
    )
    scene.edge("two", "redo", "conditional", "branch_redo_1")
    scene.add("e3", "agent", "redo", at=52, to=80, agent="engineer", name="invoke_agent engineer")
    llm(scene, "c3", "e3", at=53, to=60)
    code(scene, "x3", "e3", at=61, to=70, exit_code=0)
    scene.add("judge", "agent", "redo", at=81, to=89, agent="plot_judge", name="invoke_agent plot_judge")
    scene.edge("e3", "judge", "handoff")
    scene.add("ask", "approval", "judge", at=82, to=88, name="await_human_input scientist")
    return scene


def step(scene: Scene, name: str, number: int, goal: str, *, parent: str = "control", **columns: Any) -> str:
    meta = {"kind": "step", "step_number": number, "goal": goal, "id": f"step_{number}"}
    return scene.add(name, "step", parent, name=f"step {number}", attempt=1, meta=meta, **columns)


def llm(scene: Scene, name: str, parent: str, *, cost: float | None = 0.25, **columns: Any) -> str:
    columns.setdefault("input_tokens", 1000)
    columns.setdefault("output_tokens", 200)
    return scene.add(name, "llm", parent, name="chat gpt-4.1", cost_usd=cost, **columns)


def code(scene: Scene, name: str, parent: str, *, exit_code: int, **columns: Any) -> str:
    status = "failed" if exit_code else "completed"
    meta = {"kind": "code_exec", "language": "python", "exit_code": exit_code}
    return scene.add(name, "code_exec", parent, name="execute_code engineer", status=status, meta=meta, **columns)
