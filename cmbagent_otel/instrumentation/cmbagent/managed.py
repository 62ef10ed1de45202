"""The phases of CMBAgent's extended fork: its ``PhaseExecutionManager`` says where phases and steps begin and end."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cmbagent_otel import content, semconv
from cmbagent_otel import scope as scopes
from cmbagent_otel.failure import state_failure
from cmbagent_otel.instrumentation.cmbagent.progress import Progress
from cmbagent_otel.instrumentation.cmbagent.steps import Steps, Task
from cmbagent_otel.scope import Node
from cmbagent_otel.semconv import NodeKind, NodeType, Operation, RedoReason
from cmbagent_otel.tracing import Block, Phase, Workflow, node_of


class ManagedPhase:
    """What one manager does, followed."""

    def __init__(self, manager: Any) -> None:
        self._manager = manager
        self._blocks: list[Block] = []
        self._standing: Node | None = None
        self._task: Task | None = None
        self._chats = 0
        """Chats in the attempt under way."""
        self._heard: str | None = None
        """What people had said in the phase when it began."""
        context, shared = manager.context, manager.context.shared_state or {}
        if scopes.enclosing()[1] is None:
            session = shared.get("_session_id")
            name = str(getattr(context, "workflow_id", "workflow"))
            self._blocks.append(Workflow(name, run_id=context.run_id, session_id=session).__enter__())
        phase = Phase(str(manager.phase.phase_type)).__enter__()
        self._blocks.append(phase)
        self.node = node_of(phase)
        self.node.scope.extra = self
        self._steps = Steps(self.node)

    # -- the manager's words -----------------------------------------------------------------------------

    def begin_step(self, number: int, description: str | None) -> None:
        """A step begins, or is done again."""
        failed = self._steps.has_failed(number)
        self._begin(Task(number, description or None), RedoReason.FAILURE if failed else None)

    def redo(self, number: int, hypothesis: str | None) -> None:
        """A step is done again, because a person wants it or because it failed."""
        task = self._task if self._task is not None and self._task.number == number else Task(number)
        self._begin(task, RedoReason.FEEDBACK if self._is_with_people else RedoReason.FAILURE, hypothesis)

    def end_step(self, *, summary: str | None = None, failed: str | None = None, words: str | None = None) -> None:
        """The step is over."""
        node = self._steps.node
        if node is not None:
            if summary:
                content.capture(node.span, semconv.STEP_SUMMARY, summary)
            if words:
                content.capture(node.span, semconv.ERROR_MESSAGE, words)
        self._steps.end(failed=failed)
        self._leave()
        self._task = None

    def sub_agent(self, name: str, action: str | None) -> None:
        """An agent was called within the step; the manager says no more of it."""
        attributes = {semconv.OPERATION_NAME: Operation.INVOKE_AGENT, semconv.AGENT_NAME: name}
        if action:
            attributes[semconv.AGENT_ACTION] = action
        within = self._steps.node or self.node
        scopes.start(
            f"{Operation.INVOKE_AGENT} {name}",
            NodeType.SUB_AGENT,
            NodeKind.AGENT,
            attributes,
            context=within.context,
            scope=within.scope,
        ).end()

    def plan(self, steps: int) -> None:
        """There is a plan."""
        self.node.span.set_attribute(semconv.PLAN_STEPS, steps)

    def end(self, failed: str | None, words: str | None) -> None:
        """The phase is over; a step that nobody has ended was cut off with it."""
        self._steps.end(failed=failed or semconv.INTERRUPTED)
        self._leave()
        if failed is not None:
            state_failure(self.node.span, failed)
            if words:
                content.capture(self.node.span, semconv.ERROR_MESSAGE, words)
        self.node.scope.extra = None
        for block in reversed(self._blocks):
            block.finish()

    # -- chats within --------------------------------------------------------------------------------------

    def chat(self, cmbagent: Any, shared_context: Mapping[str, Any] | None) -> Progress:
        """A chat begins. One after a failure, or after another in the same attempt, does the step again."""
        task = self._task
        if task is None:
            return Progress(cmbagent, self.node, self._steps)
        agent = (shared_context or {}).get("agent_for_sub_task")
        if task.agent is None and isinstance(agent, str):
            task = self._task = task._replace(agent=agent)
            if self._steps.node is not None:
                self._steps.node.span.set_attribute(semconv.AGENT_NAME, agent)
        failed, heard = self._steps.current is None, self._feedback()
        if failed and heard == self._heard:
            self._begin(task, RedoReason.FAILURE)
        elif failed or self._chats:
            self._begin(task, RedoReason.FEEDBACK if self._is_with_people else None, heard)
        self._chats += 1
        return Progress(cmbagent, self.node, self._steps, task)

    # -- bookkeeping -----------------------------------------------------------------------------------------

    @property
    def _is_with_people(self) -> bool:
        return str(self._manager.phase.phase_type).startswith("hitl")

    def _feedback(self) -> str | None:
        """What people have said in the phase so far."""
        return getattr(self._manager.phase, "_accumulated_feedback", None) or None

    def _begin(self, task: Task, reason: str | None, hypothesis: str | None = None) -> None:
        self._leave()
        self._task = task
        self._chats = 0
        self._heard = self._feedback()
        config = self._manager.phase.config
        limits = [getattr(config, name, None) for name in ("max_redos", "max_n_attempts")]
        known = [limit for limit in limits if isinstance(limit, int)]
        self._steps.begin(task, limit=sum(known) if known else None, reason=reason, hypothesis=hypothesis)
        node = self._steps.node
        if node is not None:
            self._standing = Node(node.span, node.context, node.scope).attach()

    def _leave(self) -> None:
        standing, self._standing = self._standing, None
        if standing is not None:
            standing.leave()
