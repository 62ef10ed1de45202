"""``agent`` and ``tool``, for code that no hook sees."""

from __future__ import annotations

from cmbagent_otel import scope as scopes
from cmbagent_otel import semconv
from cmbagent_otel.scope import Node
from cmbagent_otel.semconv import NodeKind, NodeType, Operation
from cmbagent_otel.tracing.parts import Part


class Agent(Part):
    """An agent's turn, for code that no hook sees."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name

    def _begin(self) -> Node:
        context, enclosing = self._where()
        return scopes.start(
            f"{Operation.INVOKE_AGENT} {self.name}",
            NodeType.SUB_AGENT if enclosing.in_agent else NodeType.AGENT,
            NodeKind.AGENT,
            {semconv.OPERATION_NAME: Operation.INVOKE_AGENT, semconv.AGENT_NAME: self.name},
            context=context,
            scope=enclosing,
        )


class Tool(Part):
    """A tool call, for code that no hook sees."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name

    def _begin(self) -> Node:
        context, enclosing = self._where()
        return scopes.start(
            f"{Operation.EXECUTE_TOOL} {self.name}",
            NodeType.TOOL,
            NodeKind.TOOL,
            {
                semconv.OPERATION_NAME: Operation.EXECUTE_TOOL,
                semconv.TOOL_NAME: self.name,
                semconv.TOOL_TYPE: "function",
            },
            context=context,
            scope=enclosing,
        )
