"""Hooks of ``PhaseExecutionManager`` and ``WorkflowExecutor``, which CMBAgent's extended fork has."""

from __future__ import annotations

import inspect
import weakref
from collections.abc import Callable
from functools import partial
from typing import Any, TypeAlias

from cmbagent_otel import content, semconv
from cmbagent_otel import scope as scopes
from cmbagent_otel.instrumentation.calls import Begin, Call
from cmbagent_otel.instrumentation.cmbagent.managed import ManagedPhase
from cmbagent_otel.instrumentation.cmbagent.progress import STEP_FAILED
from cmbagent_otel.tracing import Workflow, node_of

PHASE_FAILED = "phase_failed"

_Given: TypeAlias = dict[str, Any]
_Do: TypeAlias = Callable[[ManagedPhase, _Given], None]


class Managers:
    """Follows each manager from its ``start`` to its ``complete`` or ``fail``."""

    def __init__(self) -> None:
        self._phases: weakref.WeakKeyDictionary[Any, ManagedPhase] = weakref.WeakKeyDictionary()

    @property
    def hooks(self) -> dict[str, Begin]:
        """Method of the manager -> what follows it."""
        return {
            "start": self._start,
            "start_step": self._before(_start_step),
            "create_redo_branch": self._before(_redo),
            "record_sub_agent_call": self._before(_sub_agent),
            "add_plan_step_nodes": self._before(_plan),
            "complete_step": self._after(_complete_step),
            "fail_step": self._after(_fail_step),
            "complete": self._last(_complete),
            "fail": self._last(_fail),
        }

    def _start(self, original: Callable[..., Any], manager: Any, args: tuple[Any, ...], kwargs: _Given) -> None:
        if manager not in self._phases:
            self._phases[manager] = ManagedPhase(manager)

    def _before(self, do: _Do) -> Begin:
        def begin(original: Callable[..., Any], manager: Any, args: tuple[Any, ...], kwargs: _Given) -> None:
            phase = self._phases.get(manager)
            if phase is not None:
                do(phase, _named(original, args, kwargs))

        return begin

    def _after(self, do: _Do) -> Begin:
        def begin(original: Callable[..., Any], manager: Any, args: tuple[Any, ...], kwargs: _Given) -> Call | None:
            phase = self._phases.get(manager)
            return _Afterwards(partial(do, phase, _named(original, args, kwargs))) if phase is not None else None

        return begin

    def _last(self, do: _Do) -> Begin:
        def begin(original: Callable[..., Any], manager: Any, args: tuple[Any, ...], kwargs: _Given) -> Call | None:
            phase = self._phases.pop(manager, None)
            return _Afterwards(partial(do, phase, _named(original, args, kwargs))) if phase is not None else None

        return begin


class _Afterwards(Call):
    """A call of the manager after which something is to be done, however it ends."""

    __slots__ = ("_do",)

    def __init__(self, do: Callable[[], None]) -> None:
        self.function = None
        self._do = do

    def close(self, error: BaseException | None) -> None:
        """Do it."""
        self._do()


def _named(original: Callable[..., Any], args: tuple[Any, ...], kwargs: _Given) -> _Given:
    return dict(inspect.signature(original).bind(*args, **kwargs).arguments)


def _start_step(phase: ManagedPhase, given: _Given) -> None:
    phase.begin_step(int(given["step_number"]), given.get("description"))


def _redo(phase: ManagedPhase, given: _Given) -> None:
    phase.redo(int(given["step_number"]), given.get("hypothesis"))


def _sub_agent(phase: ManagedPhase, given: _Given) -> None:
    phase.sub_agent(str(given["agent_name"]), given.get("action"))


def _plan(phase: ManagedPhase, given: _Given) -> None:
    phase.plan(len(given.get("plan_steps") or ()))


def _complete_step(phase: ManagedPhase, given: _Given) -> None:
    phase.end_step(summary=given.get("summary"))


def _fail_step(phase: ManagedPhase, given: _Given) -> None:
    phase.end_step(failed=STEP_FAILED, words=str(given.get("error") or ""))


def _complete(phase: ManagedPhase, given: _Given) -> None:
    phase.end(None, None)


def _fail(phase: ManagedPhase, given: _Given) -> None:
    phase.end(PHASE_FAILED, str(given.get("error") or ""))


class ExecutorCall(Call):
    """A workflow of phases runs."""

    __slots__ = ("_workflow",)

    def __init__(self, workflow: Workflow) -> None:
        super().__init__(node_of(workflow))
        self._workflow = workflow

    def close(self, error: BaseException | None) -> None:
        """End the run."""
        self._workflow.finish(error)


def begin_executor(
    original: Callable[..., Any], executor: Any, args: tuple[Any, ...], kwargs: _Given
) -> ExecutorCall | None:
    """``WorkflowExecutor.run``: the run, unless one of the workflow functions has begun it."""
    if scopes.enclosing(for_workflow=True)[1] is not None:
        return None
    session = executor.context.shared_state.get("_session_id")
    workflow = Workflow(str(executor.workflow.name), run_id=executor.context.run_id, session_id=session).__enter__()
    content.capture(node_of(workflow).span, semconv.WORKFLOW_TASK, str(executor.task))
    return ExecutorCall(workflow)
