"""Agent turns: ``generate_reply`` and its async twin."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from cmbagent_otel import content, semconv
from cmbagent_otel import scope as scopes
from cmbagent_otel.instrumentation.autogen import message as messages_of
from cmbagent_otel.instrumentation.autogen.chat import open_chat
from cmbagent_otel.instrumentation.autogen.handoff import state_handoff
from cmbagent_otel.instrumentation.autogen.kinds import EXECUTOR, MANAGER, USER, kind_of, name_of
from cmbagent_otel.instrumentation.autogen.state import Chat, ChatCall, Turn, call_of, is_own_super
from cmbagent_otel.instrumentation.autogen.tool import ExecutorCall
from cmbagent_otel.instrumentation.calls import Call
from cmbagent_otel.scope import Node
from cmbagent_otel.semconv import NodeKind, NodeType, Operation


class TurnCall(ChatCall):
    """An agent answers."""

    __slots__ = ("chat_of_turn", "sender")

    def __init__(self, node: Node, agent: Any, chat: Chat, sender: Any) -> None:
        super().__init__(node, agent, chat)
        self.chat_of_turn = chat
        self.sender = sender

    def returned(self, result: Any) -> None:
        """The turn's message, the tools that it asks for, and who spoke last."""
        agent, chat, node = self.instance, self.chat_of_turn, self.node
        name = name_of(agent)
        turn = Turn(agent, name, node.id, node.context, node.scope)
        chat.last_turn = turn
        if result is None:
            return
        if isinstance(result, Mapping):
            asked = [call.get("id") for call in result.get("tool_calls") or ()]
            if asked:
                chat.asked([call_id for call_id in asked if call_id is not None], turn)
        chat.speaker = agent
        messages_of.record(node.span, agent, self.sender, result)
        if content.is_recorded():
            content.keep(node.span, semconv.OUTPUT_MESSAGES, messages_of.as_messages([_said(result, name)]))


def begin_turn(original: Callable[..., Any], agent: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Call | None:
    """A turn; of a manager the group chat that it runs, of a group's tool executor nothing but what it says."""
    scope = scopes.enclosing()[1]
    around = call_of(scope)
    kind = kind_of(agent)
    sender = args[1] if len(args) > 1 else kwargs.get("sender")
    if kind is MANAGER:
        if around is not None and around.chat is not None and around.chat.recipient is agent:
            return None
        return open_chat(sender, agent)
    if scope is not None and (scope.kind == NodeKind.SPEAKER_SELECTION or is_own_super(scope, NodeKind.AGENT, agent)):
        return None
    chat = (around.chat if around is not None else None) or Chat()
    if kind is EXECUTOR:
        return ExecutorCall(agent, chat, sender)
    name = name_of(agent)
    attributes: dict[str, Any] = {
        semconv.OPERATION_NAME: Operation.INVOKE_AGENT,
        semconv.AGENT_NAME: name,
        semconv.AGENT_ROLE: "user" if kind is USER else "assistant",
    }
    handoff = state_handoff(chat, agent, attributes)
    node = scopes.start(
        f"{Operation.INVOKE_AGENT} {name}",
        NodeType.SUB_AGENT if scope is not None and scope.in_agent else NodeType.AGENT,
        NodeKind.AGENT,
        attributes,
    )
    call = TurnCall(node, agent, chat, sender)
    if handoff is not None:
        node.span.add_event(semconv.HANDOFF_EVENT, handoff)
    if content.is_recorded():
        given = args[0] if args else kwargs.get("messages")
        content.keep(node.span, semconv.INPUT_MESSAGES, messages_of.as_messages(_asked(agent, given, sender)))
    node.attach()
    return call


def _asked(agent: Any, messages: Sequence[Any] | None, sender: Any) -> Sequence[Any]:
    """What the turn answers; groups pass no messages, then it is what the agent has got since it last spoke."""
    if messages is None:
        messages = agent.chat_messages.get(sender) or ()
    return messages_of.new_part(messages, own_name=name_of(agent), seen=None)


def _said(result: Any, name: str) -> Mapping[str, Any]:
    if isinstance(result, Mapping):
        return {"role": "assistant", "name": name, **result}
    return {"role": "assistant", "name": name, "content": result}
