"""What the hooks of one chat remember between calls, and how a call finds it.

Each call that makes a span puts itself into ``Scope.extra``, so the calls below it find their chat, and
an override that calls its ``super()`` finds that it is already being traced.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Any, NamedTuple

from cmbagent_otel.instrumentation.calls import Call
from cmbagent_otel.scope import Node, Scope

_REMEMBERED_TOOL_CALLS = 1024
"""Tool calls of a chat that may wait for their execution."""


class Turn(NamedTuple):
    """An agent's turn that has ended."""

    agent: Any
    name: str
    node: Node
    """What the turn causes later begins in its context."""


class Chat:
    """The state of one chat, shared by all calls in it."""

    __slots__ = ("_askers", "executor", "last_turn", "recipient", "seen", "speaker", "target_kind", "transition")

    def __init__(self, recipient: Any = None) -> None:
        self.recipient = recipient
        """The agent (or group chat manager) that the chat was opened with."""
        self.last_turn: Turn | None = None
        self.transition: str | None = None
        """The kind of the handoff that leads to the next turn."""
        self.target_kind: str | None = None
        """What said who comes next, since AG2 last decided."""
        self.speaker: Any = None
        """The agent whose turn made a message that it has not sent yet."""
        self.executor: Any = None
        """The call of AG2's group tool executor under way."""
        self.seen: dict[str, Any] = {}
        """Agent name to the last message that its model was shown; for the content gate."""
        self._askers: OrderedDict[str, Turn] = OrderedDict()

    def asked(self, call_ids: list[str], turn: Turn) -> None:
        """Remember that ``turn`` asked for these tool calls."""
        for call_id in call_ids:
            self._askers.pop(call_id, None)
            self._askers[call_id] = turn
            if len(self._askers) > _REMEMBERED_TOOL_CALLS:
                self._askers.popitem(last=False)

    def asker(self, call_id: str | None) -> Turn | None:
        """The turn that asked for this tool call."""
        return self._askers.get(call_id) if call_id is not None else None


class ChatCall(Call):
    """A traced call of AG2."""

    __slots__ = ("chat", "inner", "instance")

    def __init__(
        self, node: Node, instance: Any, chat: Chat | None, function: Callable[..., Any] | None = None
    ) -> None:
        self.node = node  # what Call.__init__ does, which each span would pay for
        self.function = function
        self.instance = instance
        """The agent, executor or model client whose method it is."""
        self.chat = chat
        """The chat that the call is part of."""
        self.inner: Chat | None = None
        """What agents say within the call, without a chat of their own around it."""
        node.scope.extra = self

    def close(self, error: BaseException | None) -> None:
        """End the span, and let go of it: what refers to itself waits for the garbage collector."""
        node = self.node
        del self.node
        node.end(error)


class Conversation(ChatCall):
    """A chat under way, or a queue of chats: then it has no chat of its own."""

    __slots__ = ()


def call_of(scope: Scope | None) -> ChatCall | None:
    """The innermost call of ours around here."""
    found = scope.extra if scope is not None else None
    return found if isinstance(found, ChatCall) else None


def chat_of(scope: Scope | None) -> Chat | None:
    """The chat that what goes on here is part of."""
    found = call_of(scope)
    return found.chat if found is not None else None


def chat_within(scope: Scope | None) -> Chat | None:
    """The chat that turns and messages which begin here are part of; None where nothing of ours is around."""
    found = call_of(scope)
    if found is None:
        return None
    if isinstance(found, Conversation) and found.chat is not None:
        return found.chat
    if found.inner is None:
        found.inner = Chat()
    return found.inner


def is_own_super(scope: Scope | None, kind: str, instance: Any) -> bool:
    """Whether the call comes from an override of the same method, already traced, by its ``super()``."""
    if scope is None or scope.kind != kind:
        return False
    found = call_of(scope)
    return found is not None and found.instance is instance
