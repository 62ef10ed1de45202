"""A kit for the test suites of programs that use agents: a scripted model server, and ids and times that repeat.

    from cmbagent_otel.testing import ScriptedModelServer, call_tool, say

    with ScriptedModelServer([call_tool("add", {"a": 1, "b": 2}), say("The sum is 3.")]) as server:
        agent = ConversableAgent("adder", llm_config=server.llm_config())
        ...
        assert server.billed.input_tokens == ...

Nothing here needs AG2, or a network beyond 127.0.0.1. ``pytest_plugins = ["cmbagent_otel.testing.fixtures"]``
gives the same as fixtures; ``python -m cmbagent_otel.testing script.json`` serves a script to any program.
"""

from __future__ import annotations

from cmbagent_otel.testing.determinism import IncrementalIdGenerator, TickingClock
from cmbagent_otel.testing.model_server import Exchange, ScriptedModelServer
from cmbagent_otel.testing.script import (
    ModelRequest,
    Reply,
    ToolCall,
    Usage,
    by_agent,
    call_tool,
    call_tools,
    count_tokens,
    fail,
    in_order,
    say,
)

__all__ = [
    "Exchange",
    "IncrementalIdGenerator",
    "ModelRequest",
    "Reply",
    "ScriptedModelServer",
    "TickingClock",
    "ToolCall",
    "Usage",
    "by_agent",
    "call_tool",
    "call_tools",
    "count_tokens",
    "fail",
    "in_order",
    "say",
]
