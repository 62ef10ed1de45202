"""Hooks into CMBAgent: its workflows, their phases, and the steps that its agents move through.

Stock CMBAgent in both of its layouts, and the fork with a ``PhaseExecutionManager``. The turns, models, tools
and code within are the business of the hooks for AG2 classic, which CMBAgent is made of.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from types import FunctionType, ModuleType

from cmbagent_otel.instrumentation.calls import around, around_async
from cmbagent_otel.instrumentation.cmbagent.approval import begin_approval
from cmbagent_otel.instrumentation.cmbagent.manager import Managers, begin_executor
from cmbagent_otel.instrumentation.cmbagent.solve import begin_solve
from cmbagent_otel.instrumentation.cmbagent.workflow import NAMES, begin_workflow
from cmbagent_otel.instrumentation.instrumentor import HookInstrumentor
from cmbagent_otel.instrumentation.points import Point

_PACKAGE = "cmbagent"
_MANAGER = "cmbagent.phases.execution_manager"
_EXECUTOR = "cmbagent.workflows.composer"
_WAITS = "cmbagent.database.approval_manager", "ApprovalManager.wait_for_approval"
_WAITS_FOR_A_PAGE = "cmbagent.database.websocket_approval_manager", "WebSocketApprovalManager.wait_for_approval"


class CMBAgentInstrumentor(HookInstrumentor):
    """Traces CMBAgent. ``instrument()`` hooks it now, or when the program imports it."""

    framework = "CMBAgent"
    module = _PACKAGE

    def _prepare(self) -> None:
        self._managers = Managers()

    def _install(self) -> None:
        switch = self._installation.switch
        for module, name, called in _workflow_functions():
            self._installation.wrap(module, name, around(begin_workflow(called), switch))
        self._installation.put([Point("cmbagent.cmbagent", "CMBAgent.solve", around(begin_solve, switch))])
        self._put_when_imported(
            [
                Point(_EXECUTOR, "WorkflowExecutor.run", around_async(begin_executor, switch)),
                Point(*_WAITS, around(begin_approval, switch)),
                Point(*_WAITS_FOR_A_PAGE, around(begin_approval, switch)),
                Point(_WAITS_FOR_A_PAGE[0], f"{_WAITS_FOR_A_PAGE[1]}_async", around_async(begin_approval, switch)),
                *(
                    Point(_MANAGER, f"PhaseExecutionManager.{name}", around(begin, switch))
                    for name, begin in self._managers.hooks.items()
                ),
            ]
        )


def _workflow_functions() -> Iterator[tuple[ModuleType, str, str]]:
    """Where the workflow functions are: in CMBAgent's modules, and in those that imported them from there before us.

    With each, what it is called there, if that is one of the names that workflows have.
    """
    for module in list(sys.modules.values()):
        for name, found in list(getattr(module, "__dict__", {}).items()):
            if isinstance(found, FunctionType) and found.__name__ in NAMES and _is_of_cmbagent(found):
                yield module, name, name if name in NAMES else found.__name__


def _is_of_cmbagent(function: FunctionType) -> bool:
    return str(function.__module__).split(".", 1)[0] == _PACKAGE
