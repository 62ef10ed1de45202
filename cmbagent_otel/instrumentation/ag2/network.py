"""The network: an agent that is woken by an envelope goes on under the turn that sent it.

The hub delivers in tasks of its own, which know nothing of the sender. Within one process we remember where the
program stood when an agent last posted to a channel; across processes the run goes on in a trace of its own.

In a workflow channel each turn ends with a packet, which says who comes next. The next agent may answer an older
envelope that waited for it, but what lets it speak is the last packet.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from typing import Any, NamedTuple

from opentelemetry import context as context_api
from opentelemetry.context import Context

from cmbagent_otel.instrumentation.calls import Switch, Wrapper
from cmbagent_otel.instrumentation.health import fault
from cmbagent_otel.scope import detach, scope_of
from cmbagent_otel.semconv import HandoffKind

_REMEMBERED_POSTS = 4096
_PACKET = "ag2.packet"
_ANYBODY = ""
"""In the place of a sender: whoever posted the last packet."""


class Post(NamedTuple):
    """What an agent posted to a channel."""

    context: Context
    """Where the program stood."""
    handoff: str | None
    """The kind of the handoff that it makes, if it makes one."""


class Delivery:
    """An envelope being handled; its reply belongs to the turn that it led to."""

    __slots__ = ("handoff", "turn")

    def __init__(self, post: Post | None) -> None:
        self.turn: Context | None = None
        self.handoff = post.handoff if post is not None else None


_delivery: ContextVar[Delivery | None] = ContextVar("cmbagent-otel-delivery", default=None)


def turn_ended(context: Context) -> None:
    """What is posted from here on belongs to that turn."""
    delivery = _delivery.get()
    if delivery is not None:
        delivery.turn = context


def take_handoff() -> str | None:
    """The kind of the handoff that leads to the turn which begins here."""
    delivery = _delivery.get()
    if delivery is None:
        return None
    kind, delivery.handoff = delivery.handoff, None
    return kind


class Posts:
    """Where the program stood at the last post of each sender to each channel. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._posts: OrderedDict[tuple[str, str], Post] = OrderedDict()

    def look_at_post(self, client: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """``HubClient.post_envelope``."""
        envelope = args[0] if args else kwargs["envelope"]
        delivery = _delivery.get()
        context = delivery.turn if delivery is not None and delivery.turn is not None else context_api.get_current()
        if scope_of(context) is None:
            return
        is_packet = envelope.event_type == _PACKET
        post = Post(context, _handoff(envelope.event_data) if is_packet else None)
        with self._lock:
            for sender in (envelope.sender_id, _ANYBODY) if is_packet else (envelope.sender_id,):
                self._posts.pop((envelope.channel_id, sender), None)
                self._posts[envelope.channel_id, sender] = post
            while len(self._posts) > _REMEMBERED_POSTS:
                self._posts.popitem(last=False)

    def received_there(self, switch: Switch) -> Wrapper:
        """Wrapper of ``AgentClient.receive``."""

        async def receive(
            original: Callable[..., Awaitable[Any]], args: tuple[Any, ...], kwargs: dict[str, Any]
        ) -> Any:
            token = handled = None
            try:
                envelope = args[0] if args else kwargs["envelope"]
                post = self._posts.get((envelope.channel_id, _ANYBODY)) or self._posts.get(
                    (envelope.channel_id, envelope.sender_id)
                )
                if post is not None:
                    token = context_api.attach(post.context)
                handled = _delivery.set(Delivery(post))
            except Exception as problem:  # noqa: BLE001 - whatever it is, the program goes on
                fault("Posts.received_there", problem)
            try:
                return await original(*args, **kwargs)
            finally:
                if handled is not None:
                    _delivery.reset(handled)
                if token is not None:
                    detach(token)

        def wrapper(original: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
            return receive(original, args, kwargs) if switch.on else original(*args, **kwargs)

        return wrapper


def _handoff(packet: Any) -> str:
    """What a packet makes of the turn after it: a tool named the target, a rule named the tool, or a rule alone."""
    routing = packet.get("routing") or {}
    if routing.get("kind") != "handoff":
        return HandoffKind.TARGET
    return HandoffKind.REPLY_RESULT if routing.get("target") else HandoffKind.LLM_CONDITION
