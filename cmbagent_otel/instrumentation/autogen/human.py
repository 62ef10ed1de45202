"""Human input: the wait for a person."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cmbagent_otel import content, semconv
from cmbagent_otel import scope as scopes
from cmbagent_otel.instrumentation.autogen.kinds import name_of
from cmbagent_otel.instrumentation.autogen.neighbours import HUMAN, has_recorded
from cmbagent_otel.instrumentation.autogen.state import ChatCall, chat_of, is_own_super
from cmbagent_otel.semconv import NodeKind, NodeType, Operation


class HumanCall(ChatCall):
    """A person is asked."""

    __slots__ = ()

    def returned(self, result: Any) -> None:
        """What the person said."""
        if content.is_recorded():
            content.capture(self.node.span, semconv.HUMAN_RESPONSE, str(result))


def begin_human(
    original: Callable[..., Any], agent: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> HumanCall | None:
    """``get_human_input`` and its async twin."""
    context, scope = scopes.enclosing()
    if is_own_super(scope, NodeKind.APPROVAL, agent) or has_recorded(context, HUMAN):
        return None
    name = name_of(agent)
    node = scopes.start(
        f"{Operation.AWAIT_HUMAN_INPUT} {name}",
        NodeType.APPROVAL,
        NodeKind.APPROVAL,
        {semconv.OPERATION_NAME: Operation.AWAIT_HUMAN_INPUT, semconv.AGENT_NAME: name},
    )
    call = HumanCall(node, agent, chat_of(scope))
    if content.is_recorded():
        prompt = args[0] if args else kwargs.get("prompt", "")
        content.capture(node.span, semconv.HUMAN_PROMPT, str(prompt))
    node.attach()
    return call
