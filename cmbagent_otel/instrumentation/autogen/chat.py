"""Chats: two agents, groups, nested chats, and chats in a row."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cmbagent_otel import scope as scopes
from cmbagent_otel import semconv
from cmbagent_otel.instrumentation.autogen.kinds import MANAGER, known
from cmbagent_otel.instrumentation.autogen.neighbours import CONVERSATION, has_recorded
from cmbagent_otel.instrumentation.autogen.state import Chat, Conversation, call_of, is_own_super
from cmbagent_otel.scope import Scope
from cmbagent_otel.semconv import NodeKind, NodeType, Operation

_CHATS = "initiate_chats"


def begin_chat(
    original: Callable[..., Any], sender: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Conversation | None:
    """``ConversableAgent.initiate_chat`` and its async twin."""
    recipient = args[0] if args else kwargs.get("recipient")
    context, scope = scopes.enclosing()
    if scope is not None and scope.kind == NodeKind.SPEAKER_SELECTION:
        return None  # AG2's own chat about who speaks next
    if has_recorded(context, CONVERSATION):
        return None
    around = call_of(scope)
    if is_own_super(scope, NodeKind.CHAT, sender) and around is not None and _is_with(around.chat, recipient):
        return None
    return open_chat(sender, recipient)


def open_chat(sender: Any, recipient: Any) -> Conversation:
    """A chat that ``sender`` opens with ``recipient``, named after the recipient."""
    name, kind = known(recipient)
    attributes = {
        semconv.OPERATION_NAME: Operation.INVOKE_WORKFLOW,
        semconv.WORKFLOW_NAME: name,
        semconv.CHAT_NAME: name,
    }
    if kind is MANAGER:
        attributes[semconv.CHAT_MANAGER] = name
    node = scopes.start(f"{Operation.INVOKE_WORKFLOW} {name}", NodeType.CHAT, NodeKind.CHAT, attributes)
    call = Conversation(node, sender, Chat(recipient))
    node.attach()
    return call


def _is_with(chat: Chat | None, recipient: Any) -> bool:
    return chat is not None and chat.recipient is recipient


def begin_chats(
    original: Callable[..., Any], sender: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Conversation | None:
    """``initiate_chats`` and its async twin, as methods and as functions: a span around the chats of the queue.

    Inside a turn the turn already holds nested chats together.
    """
    scope = scopes.enclosing()[1]
    if scope is not None and (scope.kind == NodeKind.AGENT or _is_queue(scope)):
        return None
    attributes = {
        semconv.OPERATION_NAME: Operation.INVOKE_WORKFLOW,
        semconv.WORKFLOW_NAME: _CHATS,
        semconv.CHAT_NAME: _CHATS,
    }
    node = scopes.start(f"{Operation.INVOKE_WORKFLOW} {_CHATS}", NodeType.CHAT, NodeKind.CHAT, attributes)
    call = Conversation(node, sender, None)
    node.attach()
    return call


def _is_queue(scope: Scope) -> bool:
    around = call_of(scope)
    return isinstance(around, Conversation) and around.chat is None
