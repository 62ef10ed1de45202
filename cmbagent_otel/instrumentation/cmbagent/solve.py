"""``CMBAgent.solve``: one group chat of all agents, and so a phase of a run, or a part of the phase around it."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable, Sequence
from typing import Any

from opentelemetry import trace

from cmbagent_otel import scope as scopes
from cmbagent_otel.instrumentation.calls import Call
from cmbagent_otel.instrumentation.cmbagent.managed import ManagedPhase
from cmbagent_otel.instrumentation.cmbagent.progress import CONTROLLERS, PLANNERS, Progress
from cmbagent_otel.instrumentation.cmbagent.steps import Steps
from cmbagent_otel.instrumentation.cmbagent.workflow import workflow_around
from cmbagent_otel.instrumentation.health import fault
from cmbagent_otel.scope import Node, Scope
from cmbagent_otel.semconv import NodeKind
from cmbagent_otel.tracing import Block, Phase, Workflow, node_of

_logger = logging.getLogger(__name__)

_PHASES = {"one_shot": "one_shot", "chat": "hitl_control", "human_in_the_loop": "hitl_control"}
"""Mode of ``solve`` -> type of the phase; of the other modes the first agent says it."""


class SolveCall(Call):
    """A chat of CMBAgent.

    Args:
        phase: the phase that it is of.
        progress: where the chat stands.
        around: the scope that the chat begins in.
        own: what ends with the chat, outermost first.
        stand: whether the phase has yet to be made the current one for the chat.
    """

    __slots__ = ("holders", "own", "progress", "standing")

    def __init__(
        self, phase: Node, progress: Progress, around: Scope, own: Sequence[Block] = (), *, stand: bool = False
    ) -> None:
        super().__init__(phase)
        self.progress = progress
        self.own = own
        self.standing = Node(phase.span, phase.context, phase.scope).attach() if stand else None
        self.holders = [(scope, scope.place) for scope in {id(one): one for one in (phase.scope, around)}.values()]
        for scope, _ in self.holders:
            scope.place = progress

    def close(self, error: BaseException | None) -> None:
        """End the chat, and what is of this chat alone."""
        try:
            self.progress.end(error)
        except Exception as problem:  # noqa: BLE001 - the phase must end all the same
            fault("Progress.end", problem)
        for scope, place in self.holders:
            scope.place = place
        if self.standing is not None:
            self.standing.leave()
        for block in reversed(self.own):
            block.finish(error)


def begin_solve(
    original: Callable[..., Any], cmbagent: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> SolveCall | None:
    """``solve``: by what stands around it, a phase of its own, a part of one, or nothing but its agents' turns."""
    bound = inspect.signature(original).bind(*args, **kwargs)
    bound.apply_defaults()
    given = bound.arguments
    context, scope = scopes.enclosing()
    if scope is not None and scope.kind in (NodeKind.PHASE, NodeKind.STEP):
        _logger.info("joined run %s", scope.run_id)
        if isinstance(scope.extra, ManagedPhase):
            managed = scope.extra
            progress = managed.chat(cmbagent, given.get("shared_context"))
            # The chat may have begun the step anew, and then stands within that attempt.
            return SolveCall(managed.node, progress, scopes.enclosing()[1] or scope)
        if scope.kind == NodeKind.STEP:
            return None
        phase = Node(trace.get_current_span(context), context, scope)
        return SolveCall(phase, Progress(cmbagent, phase, Steps(phase)), scope)
    phase_type = _phase_type(given)
    workflow = workflow_around(scope)
    if workflow is not None and given.get("step") is not None:
        carried, steps = workflow.carry(phase_type)
        return SolveCall(carried, Progress(cmbagent, carried, steps), carried.scope, stand=True)
    own: list[Block] = []
    if workflow is not None:
        workflow.end_carried(None)
    elif scope is None:
        own.append(Workflow(str(cmbagent.mode)).__enter__())
    block = Phase(phase_type).__enter__()
    own.append(block)
    phase = node_of(block)
    return SolveCall(phase, Progress(cmbagent, phase, Steps(phase)), phase.scope, own)


def _phase_type(given: dict[str, Any]) -> str:
    by_mode = _PHASES.get(str(given.get("mode")))
    first = str(given.get("initial_agent"))
    if by_mode is not None:
        return by_mode
    if first in PLANNERS:
        return "planning"
    return "control" if first in CONTROLLERS else first
