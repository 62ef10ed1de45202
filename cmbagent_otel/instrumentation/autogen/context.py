"""Where AG2 leaves the context of the program behind, and how it is carried over, by AG2's own functions only."""

from __future__ import annotations

import functools
import threading
from collections.abc import Awaitable, Callable
from typing import Any

import wrapt
from opentelemetry import context as context_api
from opentelemetry.context import Context

from cmbagent_otel.instrumentation.calls import Switch, Wrapper
from cmbagent_otel.scope import detach


def carried_into_thread(switch: Switch) -> Wrapper:
    """Wrapper of ``_run_async_in_thread``, which runs an async tool of a sync chat in a thread of its own."""

    def wrapper(original: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if not switch.on or kwargs or len(args) != 1:
            return original(*args, **kwargs)
        return original(_within(context_api.get_current(), args[0]))

    return wrapper


async def _within(context: Context, awaitable: Awaitable[Any]) -> Any:
    token = context_api.attach(context)
    try:
        return await awaitable
    finally:
        detach(token)


def carried_into_executor(original: Callable[..., Awaitable[Any]], switch: Switch) -> Callable[..., Awaitable[Any]]:
    """What stands for ``a_generate_oai_reply``, which asks the model in a thread of the event loop's executor.

    A plain function: each agent keeps it in a list, copies it, and asks of it at every turn whether it is one.
    """

    @functools.wraps(original)
    async def a_generate_oai_reply(agent: Any, *args: Any, **kwargs: Any) -> Any:
        stands_for_it = _Carrying(agent, context_api.get_current()) if switch.on else agent
        return await original(stands_for_it, *args, **kwargs)

    return a_generate_oai_reply


class _Carrying(wrapt.ObjectProxy):  # type: ignore[type-arg] # wrapt 1 has no type parameters
    """An agent whose sync reply function runs in a given context, in whatever thread."""

    def __init__(self, agent: Any, context: Context) -> None:
        super().__init__(agent)
        self._self_context = context

    def generate_oai_reply(self, *args: Any, **kwargs: Any) -> Any:
        token = context_api.attach(self._self_context)
        try:
            return self.__wrapped__.generate_oai_reply(*args, **kwargs)
        finally:
            detach(token)


class CarryingThread(threading.Thread):
    """A thread that goes on in the context it was made in."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._opentelemetry_context = context_api.get_current()

    def run(self) -> None:
        """Run what the thread is for."""
        token = context_api.attach(self._opentelemetry_context)
        try:
            super().run()
        finally:
            detach(token)


class CarryingThreading(wrapt.ObjectProxy):  # type: ignore[type-arg] # as above
    """The module ``threading`` as AG2's modules see it: their threads go on in the context they were made in."""

    Thread = CarryingThread
