"""CMBAgent's workflows: ``one_shot``, ``planning_and_control`` and the like, each call a run."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from typing import Any

from cmbagent_otel import content, resumption, semconv
from cmbagent_otel import scope as scopes
from cmbagent_otel.instrumentation.calls import Begin, Call
from cmbagent_otel.instrumentation.cmbagent.steps import Steps
from cmbagent_otel.instrumentation.health import fault
from cmbagent_otel.resumption import Attempted
from cmbagent_otel.scope import Node, Scope
from cmbagent_otel.tracing import Phase, Workflow, node_of
from cmbagent_otel.tracing.block import Defaults

NAMES = frozenset(
    {
        "one_shot",
        "planning_and_control",
        "planning_and_control_context_carryover",
        "deep_research",
        "control",
        "human_in_the_loop",
    }
)


class WorkflowCall(Call):
    """A workflow runs. A phase that goes on through several chats of it, one for each step, is kept here."""

    __slots__ = ("carried", "earlier", "workflow")

    def __init__(self, workflow: Workflow, node: Node, earlier: Iterable[Attempted]) -> None:
        super().__init__(node)
        self.workflow = workflow
        self.earlier = earlier
        """What another process has attempted of what goes on here."""
        self.carried: tuple[Phase, Steps] | None = None
        node.scope.extra = self

    def carry(self, phase_type: str) -> tuple[Node, Steps]:
        """The phase of that type that goes on, or a new one, and its steps."""
        if self.carried is not None and self.carried[0].type != phase_type:
            self.end_carried(None)
        if self.carried is None:
            phase = Phase(phase_type).begin(self.node)
            self.carried = (phase, Steps(node_of(phase), self.earlier))
        phase, steps = self.carried
        return node_of(phase), steps

    def end_carried(self, error: BaseException | None) -> None:
        """End that phase, if there is one."""
        carried, self.carried = self.carried, None
        if carried is not None:
            carried[0].finish(error)

    def close(self, error: BaseException | None) -> None:
        """End the run, or the part of one."""
        try:
            self.end_carried(error)
        except Exception as problem:  # noqa: BLE001 - the workflow must end all the same
            fault("WorkflowCall.end_carried", problem)
        self.node.scope.extra = None
        self.workflow.finish(error)


def workflow_around(scope: Scope | None) -> WorkflowCall | None:
    """The workflow of CMBAgent directly around here."""
    found = scope.extra if scope is not None else None
    return found if isinstance(found, WorkflowCall) and scope is found.node.scope else None


def begin_workflow(called: str) -> Begin:
    """A hook of the function that is called by that name."""

    def begin(
        original: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> WorkflowCall:
        bound = inspect.signature(original).bind(*args, **kwargs)
        bound.apply_defaults()
        given = bound.arguments
        work_dir = str(given["work_dir"]) if given.get("work_dir") else None
        left = resumption.find_in(work_dir) if _goes_on(given) and work_dir is not None else None
        if left is not None and Defaults.run_id not in (None, left.run_id):
            left = None  # the user names another run
        joins = scopes.enclosing(for_workflow=True)[1] is not None
        workflow = Workflow(
            called,
            agent=_text(given.get("agent")),
            model=_text(given.get("engineer_model") or given.get("default_llm_model")),
            run_id=left.run_id if left is not None and not joins else None,
        ).__enter__()
        node = node_of(workflow)
        content.capture(node.span, semconv.WORKFLOW_TASK, str(given.get("task", "")))
        if work_dir is not None and not joins:
            resumption.worked_in(work_dir, node.scope.run_id)
        return WorkflowCall(workflow, node, left.attempts if left is not None and not joins else ())

    return begin


def _goes_on(given: dict[str, Any]) -> bool:
    """Whether the call goes on with what an earlier one left in the folder."""
    step = given.get("restart_at_step")
    return isinstance(step, int) and step > 0


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None
