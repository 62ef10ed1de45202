"""OpenTelemetry for CMBAgent and AG2: every run as one trace, and as a graph to query while it runs.

    import cmbagent_otel as otel

    otel.configure()
    with otel.workflow("planning_and_control", task=task):
        with otel.phase("control", max_redos=2):
            with otel.step(1, goal="Simulate maps") as step:
                ...
            if not accepted and step.redos_left:
                with step.redo(hypothesis="Deconvolve the beam first", reason="feedback"):
                    ...

The names below are loaded when they are first used, so that importing this package costs nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from cmbagent_otel.version import __version__

if TYPE_CHECKING:
    from cmbagent_otel.composition import child_env, configure, flush, shutdown
    from cmbagent_otel.errors import (
        CmbagentOtelError,
        DecodeError,
        InstrumentationError,
        RedoLimitExceeded,
        SchemaOutOfDateError,
        SettingsError,
        StoreError,
        StoreUnavailableError,
        UnknownRunError,
    )
    from cmbagent_otel.exporter import DagSpanExporter
    from cmbagent_otel.processor import DagSpanProcessor
    from cmbagent_otel.tracing import agent, phase, step, tool, workflow

_HOMES = {
    "agent": "tracing",
    "phase": "tracing",
    "step": "tracing",
    "tool": "tracing",
    "workflow": "tracing",
    "child_env": "composition",
    "configure": "composition",
    "flush": "composition",
    "shutdown": "composition",
    "DagSpanExporter": "exporter",
    "DagSpanProcessor": "processor",
    "CmbagentOtelError": "errors",
    "DecodeError": "errors",
    "InstrumentationError": "errors",
    "RedoLimitExceeded": "errors",
    "SchemaOutOfDateError": "errors",
    "SettingsError": "errors",
    "StoreError": "errors",
    "StoreUnavailableError": "errors",
    "UnknownRunError": "errors",
}

__all__ = [
    "CmbagentOtelError",
    "DagSpanExporter",
    "DagSpanProcessor",
    "DecodeError",
    "InstrumentationError",
    "RedoLimitExceeded",
    "SchemaOutOfDateError",
    "SettingsError",
    "StoreError",
    "StoreUnavailableError",
    "UnknownRunError",
    "__version__",
    "agent",
    "child_env",
    "configure",
    "flush",
    "phase",
    "shutdown",
    "step",
    "tool",
    "workflow",
]


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{home}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
