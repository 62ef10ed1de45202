"""The public blocks: ``workflow``, ``phase``, ``step`` with its ``redo``, ``agent`` and ``tool``.

Each works as a context manager, sync and async, and as a decorator of functions and coroutine functions.
Needs the OpenTelemetry API only. With tracing off the blocks record nothing and count redos all the same:
a redo is bookkeeping, not control flow.
"""

from __future__ import annotations

from cmbagent_otel.tracing.attempts import Attempt, Redo, Step, restarted
from cmbagent_otel.tracing.block import DEFAULT_MAX_REDOS, Block, node_of, set_defaults
from cmbagent_otel.tracing.parts import Phase, Workflow
from cmbagent_otel.tracing.work import Agent, Tool

__all__ = [
    "DEFAULT_MAX_REDOS",
    "Agent",
    "Attempt",
    "Block",
    "Phase",
    "Redo",
    "Step",
    "Tool",
    "Workflow",
    "agent",
    "node_of",
    "phase",
    "restarted",
    "set_defaults",
    "step",
    "tool",
    "workflow",
]

workflow = Workflow
phase = Phase
step = Step
agent = Agent
tool = Tool
