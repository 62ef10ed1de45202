"""Agent turns: ``generate_reply`` and its async twin."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from cmbagent_otel import content, semconv
from cmbagent_otel import scope as scopes
from cmbagent_otel.instrumentation.autogen import message as messages_of
from cmbagent_otel.instrumentation.autogen.chat import open_chat
from cmbagent_otel.instrumentation.autogen.handoff import state_handoff
from cmbagent_otel.instrumentation.autogen.kinds import EXECUTOR, MANAGER, USER, known
from cmbagent_otel.instrumentation.autogen.neighbours import AGENT, has_recorded
from cmbagent_otel.instrumentation.autogen.state import Chat, ChatCall, Turn, chat_within, is_own_super
from cmbagent_otel.instrumentation.autogen.tool import ExecutorCall
from cmbagent_otel.instrumentation.calls import Call
from cmbagent_otel.scope import Node
from cmbagent_otel.semconv import NodeKind, NodeType, Operation


class TurnCall(ChatCall):
    """An agent answers."""

    __slots__ = ("came_to_nothing", "has_parent", "name", "role", "sender")

    chat: Chat

    def __init__(  # noqa: PLR0917 - called once a turn, and names of arguments are paid for
        self,
        node: Node,
        agent: Any,
        name: str,
        role: str,
        chat: Chat,
        sender: Any,
        has_parent: bool,  # noqa: FBT001
    ) -> None:
        ChatCall.__init__(self, node, agent, chat)
        self.name = name
        self.role = role
        self.came_to_nothing = False
        self.has_parent = has_parent
        self.sender = sender

    def returned(self, result: Any) -> None:
        """The turn's message, the tools that it asks for, and who spoke last."""
        agent, name, chat, node = self.instance, self.name, self.chat, self.node
        if result is None:
            self.came_to_nothing = self.has_parent
            return
        chat.last_turn = turn = Turn(agent, name, node)
        if isinstance(result, dict):
            asked = [call.get("id") for call in result.get("tool_calls") or ()]
            if asked:
                chat.asked([call_id for call_id in asked if call_id is not None], turn)
        chat.speaker = agent
        messages_of.record(node.span, name, self.role, self.sender, result)
        if content.is_recorded():
            messages_of.keep(node.span, semconv.OUTPUT_MESSAGES, [_said(result, name)])

    def close(self, error: BaseException | None) -> None:
        """End the span; a turn that only found the chat to be over leaves none."""
        if self.came_to_nothing and error is None and _is_all_ag2(self.instance) and self.node.abandon():
            del self.node
        else:
            ChatCall.close(self, error)


def _is_all_ag2(agent: Any) -> bool:
    """Whether only functions of AG2 itself take part in the agent's turns: others may have made spans of their own."""
    functions = [entry["reply_func"] for entry in agent._reply_func_list]  # noqa: SLF001 - there is no other list
    functions += [hook for hooks in agent.hook_lists.values() for hook in hooks]
    return all(str(getattr(function, "__module__", "")).startswith("autogen.") for function in functions)


def begin_turn(original: Callable[..., Any], agent: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Call | None:
    """A turn; of a manager the group chat that it runs, of a group's tool executor nothing but what it says."""
    context, scope = scopes.enclosing()
    if has_recorded(context, AGENT):
        return None
    chat = chat_within(scope)
    name, kind = known(agent)
    sender = args[1] if len(args) > 1 else kwargs.get("sender")
    if kind is MANAGER:
        return None if chat is not None and chat.recipient is agent else open_chat(sender, agent)
    if scope is not None and (scope.kind == NodeKind.SPEAKER_SELECTION or is_own_super(scope, NodeKind.AGENT, agent)):
        return None
    if chat is None:
        chat = Chat()
    if kind is EXECUTOR:
        return ExecutorCall(agent, chat, sender)
    role = "user" if kind is USER else "assistant"
    attributes: dict[str, Any] = {
        semconv.OPERATION_NAME: Operation.INVOKE_AGENT,
        semconv.AGENT_NAME: name,
        semconv.AGENT_ROLE: role,
    }
    handoff = state_handoff(chat, agent, attributes)
    node = scopes.start(
        f"{Operation.INVOKE_AGENT} {name}",
        NodeType.SUB_AGENT if scope is not None and scope.in_agent else NodeType.AGENT,
        NodeKind.AGENT,
        attributes,
        context=context,
        scope=scope,
    )
    call = TurnCall(node, agent, name, role, chat, sender, scope is not None)
    if handoff is not None:
        node.span.add_event(semconv.HANDOFF_EVENT, handoff)
    if content.is_recorded():
        given = args[0] if args else kwargs.get("messages")
        messages_of.keep(node.span, semconv.INPUT_MESSAGES, _asked(agent, name, given, sender))
    node.attach()
    return call


def _asked(agent: Any, name: str, messages: Sequence[Any] | None, sender: Any) -> Sequence[Any]:
    """What the turn answers; groups pass no messages, then it is what the agent has got since it last spoke."""
    if messages is None:
        messages = agent.chat_messages.get(sender) or ()
    return messages_of.new_part(messages, own_name=name, seen=None)


def _said(result: Any, name: str) -> Mapping[str, Any]:
    if isinstance(result, dict):
        return {"role": "assistant", "name": name, **result}
    return {"role": "assistant", "name": name, "content": result}
