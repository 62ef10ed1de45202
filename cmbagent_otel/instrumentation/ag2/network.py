"""The network: an agent that is woken by an envelope goes on under the turn that sent it.

The hub delivers in tasks of its own, which know nothing of the sender. Within one process we remember where the
program stood when an agent last posted to a channel; across processes the run goes on in a trace of its own.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from typing import Any

from opentelemetry import context as context_api
from opentelemetry.context import Context

from cmbagent_otel.instrumentation.calls import Switch, Wrapper
from cmbagent_otel.instrumentation.health import fault
from cmbagent_otel.scope import detach, scope_of

_REMEMBERED_POSTS = 4096


class Delivery:
    """An envelope being handled; its reply belongs to the turn that it led to."""

    __slots__ = ("turn",)

    def __init__(self) -> None:
        self.turn: Context | None = None


_delivery: ContextVar[Delivery | None] = ContextVar("cmbagent-otel-delivery", default=None)


def turn_ended(context: Context) -> None:
    """What is posted from here on belongs to that turn."""
    delivery = _delivery.get()
    if delivery is not None:
        delivery.turn = context


class Posts:
    """Where the program stood at the last post of each sender to each channel. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._contexts: OrderedDict[tuple[str, str], Context] = OrderedDict()

    def look_at_post(self, client: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """``HubClient.post_envelope``."""
        envelope = args[0] if args else kwargs["envelope"]
        delivery = _delivery.get()
        context = delivery.turn if delivery is not None and delivery.turn is not None else context_api.get_current()
        if scope_of(context) is None:
            return
        key = (envelope.channel_id, envelope.sender_id)
        with self._lock:
            self._contexts.pop(key, None)
            self._contexts[key] = context
            if len(self._contexts) > _REMEMBERED_POSTS:
                self._contexts.popitem(last=False)

    def received_there(self, switch: Switch) -> Wrapper:
        """Wrapper of ``AgentClient.receive``."""

        async def receive(
            original: Callable[..., Awaitable[Any]], args: tuple[Any, ...], kwargs: dict[str, Any]
        ) -> Any:
            token = handled = None
            try:
                envelope = args[0] if args else kwargs["envelope"]
                context = self._contexts.get((envelope.channel_id, envelope.sender_id))
                if context is not None:
                    token = context_api.attach(context)
                handled = _delivery.set(Delivery())
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
