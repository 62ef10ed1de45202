"""A minimal re-enactment of the interface of CMBAgent's extended fork, written for these tests.

It has the names, parameters and order of calls of ``cmbagent.phases.execution_manager``,
``cmbagent.workflows.composer`` and ``CMBAgent.solve`` as the fork's documents describe them, and none of what
they do: no database, no callbacks, and in place of CMBAgent's agents two of AG2's.
"""

from __future__ import annotations

import sys
import types
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any, Self, TypeAlias

import cmbagent_otel as otel

Chat: TypeAlias = Callable[[dict[str, Any]], None]
"""What the agents do in a chat, and to the context variables that they share."""


class PhaseExecutionManager:
    """The life of one phase, as a phase's code tells it."""

    def __init__(self, context: Any, phase: Any, config: Any = None) -> None:
        self.context = context
        self.phase = phase
        self.config = config
        self.current_step: int | None = None

    def get_managed_cmbagent_kwargs(self) -> dict[str, Any]:
        shared = self.context.shared_state or {}
        return {"managed_mode": True, "parent_session_id": shared.get("_session_id"), "parent_db_session": None}

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc_val: BaseException | None, exc_tb: types.TracebackType | None
    ) -> None:
        if exc_type is not None:
            self.fail(str(exc_val), "")

    def start(self) -> None: ...

    def complete(self, output_data: dict[str, Any] | None = None, chat_history: Any = None) -> Any:
        return SimpleNamespace(status="completed", output_data=output_data)

    def fail(self, error: str, traceback_str: str | None = None) -> Any:
        return SimpleNamespace(status="failed", error=error)

    def start_step(self, step_number: int, description: str = "") -> None:
        self.current_step = step_number

    def complete_step(self, step_number: int, summary: str | None = None, result: Any = None) -> None: ...

    def fail_step(self, step_number: int, error: str) -> None: ...

    def add_plan_step_nodes(self, plan_steps: list[dict[str, Any]], source_node: str | None = None) -> None: ...

    def create_redo_branch(self, step_number: int, redo_number: int, hypothesis: str | None = None) -> str | None:
        return None

    def record_sub_agent_call(
        self, step_number: int, agent_name: str, action: str, metadata: dict[str, Any] | None = None
    ) -> str | None:
        return None


def interactive_step(
    manager: PhaseExecutionManager, chats: Iterator[Chat], reviews: Iterator[str | None], *, announced: bool
) -> None:
    """The loop of the interactive phase over its step 1: attempts, within what a person sends back.

    Args:
        manager: of the phase.
        chats: one for each attempt, in order.
        reviews: what the person wants done again, maybe without a word; None: nothing.
        announced: whether the manager is told of a redo, as in the fork's earlier state; its later one goes round the
            same loop in silence.
    """
    phase = manager.phase
    manager.start_step(1, "Compute")
    redos = 0
    while True:
        feedback = getattr(phase, "_accumulated_feedback", "")
        if redos and announced:
            manager.create_redo_branch(1, redos, hypothesis=feedback or f"Redo attempt {redos}")
        if not any(_attempt(manager, next(chats), number) for number in range(phase.config.max_n_attempts)):
            manager.fail_step(1, "Max attempts exceeded")
            return
        review = next(reviews)
        if review is None:
            break
        redos += 1
        phase._accumulated_feedback = "\n\n".join(filter(None, (feedback, review)))
    manager.complete_step(1, "Step completed")


def _attempt(manager: PhaseExecutionManager, chat: Chat, earlier: int) -> bool:
    cmbagent = CMBAgent(**manager.get_managed_cmbagent_kwargs())
    cmbagent.chat = chat
    limit = manager.phase.config.max_n_attempts
    shared = {"current_plan_step_number": 1, "n_attempts": earlier, "max_n_attempts": limit}
    try:
        cmbagent.solve("task", initial_agent="control", shared_context=shared, step=1)
    except ConnectionError:
        return False
    return bool(cmbagent.agents[0].agent.context_variables["n_attempts"] < limit)


class WorkflowExecutor:
    """Runs the phases of a workflow one after the other."""

    def __init__(
        self, workflow: Any, task: str, phases: list[Callable[[Any], Any]], shared_state: dict[str, Any]
    ) -> None:
        self.workflow = workflow
        self.task = task
        self.phases = phases
        self.context = new_context(shared_state=shared_state)

    async def run(self) -> Any:
        for phase in self.phases:
            await phase(self.context)
        return self.context


class WebSocketApprovalManager:
    """Waits until somebody has decided; here, somebody has."""

    def wait_for_approval(self, approval_id: str, timeout_seconds: int = 3600, poll_interval: float = 1.0) -> Any:
        if approval_id == "never":
            raise TimeoutError
        return DECIDED

    async def wait_for_approval_async(self, approval_id: str, timeout_seconds: int = 3600) -> Any:
        return DECIDED


DECIDED = SimpleNamespace(message="Redo step 1?", resolution="rejected", user_feedback="Deconvolve the beam")


class CMBAgent:
    """What ``solve`` needs of it: agents that share context variables, and a chat between them."""

    def __init__(
        self,
        mode: str = "planning_and_control",
        managed_mode: bool = False,  # noqa: FBT002 - as in the original
        parent_session_id: str | None = None,
        parent_db_session: Any = None,
    ) -> None:
        self.mode = mode
        self.session_id = parent_session_id
        self.agents = [SimpleNamespace(agent=SimpleNamespace(context_variables=None, chat_messages={}))]
        self.chat: Chat = lambda _: None

    def solve(  # noqa: PLR0917 - as in the original
        self,
        task: str,
        initial_agent: str = "task_improver",
        shared_context: dict[str, Any] | None = None,
        mode: str = "default",
        step: int | None = None,
        max_rounds: int = 10,
    ) -> None:
        variables = {"max_n_attempts": 3, "n_attempts": 0, **(shared_context or {})}
        self.agents[0].agent.context_variables = variables
        self.chat(variables)


def one_shot(task: str, agent: str = "engineer") -> str:
    """A workflow function."""
    return f"{agent}: {task}"


one_shot.__module__ = "cmbagent.workflows.one_shot"


def turn(agent: str) -> None:
    """An agent's turn."""
    with otel.agent(agent):
        pass


def new_workflow(name: str) -> Any:
    """A workflow's definition."""
    return SimpleNamespace(name=name)


def new_context(run_id: str | None = None, shared_state: dict[str, Any] | None = None) -> Any:
    """A phase's context."""
    return SimpleNamespace(
        run_id=run_id or str(uuid.uuid4()), workflow_id="deep_research", shared_state=shared_state or {}
    )


def new_phase(phase_type: str, **config: Any) -> Any:
    """A phase, as far as its manager looks at it."""
    return SimpleNamespace(phase_type=phase_type, config=SimpleNamespace(**config))


@contextmanager
def imported() -> Iterator[None]:
    """The re-enactment, importable under the names of the original."""
    modules: dict[str, dict[str, Any]] = {
        "cmbagent": {},
        "cmbagent.cmbagent": {"CMBAgent": CMBAgent},
        "cmbagent.phases": {},
        "cmbagent.phases.execution_manager": {"PhaseExecutionManager": PhaseExecutionManager},
        "cmbagent.database": {},
        "cmbagent.database.websocket_approval_manager": {"WebSocketApprovalManager": WebSocketApprovalManager},
        "cmbagent.workflows": {"one_shot": one_shot},
        "cmbagent.workflows.composer": {"WorkflowExecutor": WorkflowExecutor},
    }
    before = {name: sys.modules.pop(name, None) for name in modules}
    for name, content in modules.items():
        module = types.ModuleType(name)
        module.__dict__.update(content)
        sys.modules[name] = module
    try:
        yield
    finally:
        for name, module_before in before.items():
            del sys.modules[name]
            if module_before is not None:
                sys.modules[name] = module_before
