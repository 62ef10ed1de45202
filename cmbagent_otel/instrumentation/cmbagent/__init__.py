"""Hooks into CMBAgent: its workflows, their phases, and the steps that its agents move through.

Stock CMBAgent in both of its layouts, and the fork with a ``PhaseExecutionManager``. The turns, models, tools
and code within are the business of the hooks for AG2 classic, which CMBAgent is made of.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Collection, Iterator
from functools import partial
from types import FunctionType, ModuleType
from typing import Any

from opentelemetry.instrumentation.instrumentor import BaseInstrumentor  # type: ignore[attr-defined] # it has no types

from cmbagent_otel import scope as scopes
from cmbagent_otel import settings
from cmbagent_otel.errors import SettingsError
from cmbagent_otel.instrumentation.calls import around, around_async
from cmbagent_otel.instrumentation.cmbagent.manager import Managers, begin_executor
from cmbagent_otel.instrumentation.cmbagent.solve import begin_solve
from cmbagent_otel.instrumentation.cmbagent.workflow import NAMES, begin_workflow
from cmbagent_otel.instrumentation.points import Installation, Point, when_imported

_logger = logging.getLogger(__name__)

_PACKAGE = "cmbagent"
_MANAGER = "cmbagent.phases.execution_manager"
_EXECUTOR = "cmbagent.workflows.composer"


class CMBAgentInstrumentor(BaseInstrumentor):  # type: ignore[misc] # as above
    """Traces CMBAgent. ``instrument()`` hooks it now, or when the program imports it."""

    def __init__(self) -> None:
        if not hasattr(self, "_installation"):  # the base class makes one instance of us, and calls this each time
            self._installation = Installation(_PACKAGE)
            self._managers = Managers()

    def instrumentation_dependencies(self) -> Collection[str]:
        """None: what is hooked is found by module and name."""
        return ()

    def instrument(self, **kwargs: Any) -> None:
        """Hook CMBAgent. A second call wraps nothing twice.

        Args:
            kwargs: ``tracer_provider`` takes the place of the global one.
        """
        if self.is_instrumented_by_opentelemetry and self._installation.switch.on:
            _logger.info("CMBAgent hooks already installed")
            return
        super().instrument(**kwargs)

    def _instrument(self, **kwargs: Any) -> None:
        if _is_disabled():
            _logger.debug("OTEL_SDK_DISABLED is set: no hooks for CMBAgent")
            return
        provider = kwargs.get("tracer_provider")
        if provider is not None:
            scopes.use_provider(provider)
        self._installation.switch.on = True
        when_imported(_PACKAGE, self._install)
        for module in (_MANAGER, _EXECUTOR):
            when_imported(module, partial(self._install_fork, module))

    def _uninstrument(self, **kwargs: Any) -> None:
        self._installation.remove()

    def _install(self) -> None:
        switch = self._installation.switch
        if not switch.on:
            return
        for module, name, called in _workflow_functions():
            self._installation.wrap(module, name, around(begin_workflow(called), switch))
        self._installation.put([Point("cmbagent.cmbagent", "CMBAgent.solve", around(begin_solve, switch))])
        _logger.info("CMBAgent hooks installed successfully (%d points)", len(self._installation))

    def _install_fork(self, module: str) -> None:
        switch = self._installation.switch
        if not switch.on:
            return
        if module == _EXECUTOR:
            self._installation.put([Point(module, "WorkflowExecutor.run", around_async(begin_executor, switch))])
            return
        self._installation.put(
            [
                Point(module, f"PhaseExecutionManager.{name}", around(begin, switch))
                for name, begin in self._managers.hooks.items()
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


def _is_disabled() -> bool:
    try:
        return settings.load().sdk_disabled
    except SettingsError:
        return False
