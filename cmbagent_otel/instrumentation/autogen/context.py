"""Where AG2 leaves the context of the program behind, and how it is carried over, by AG2's own functions only."""

from __future__ import annotations

import threading
import types
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


def carried_into_executor(switch: Switch) -> Wrapper:
    """Wrapper of ``a_generate_oai_reply``, which asks the model in a thread of the event loop's executor."""

    def wrapper(original: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        function = _unbound(original) if switch.on and instance is not None else None
        if function is None:
            return original(*args, **kwargs)
        return function(_Carrying(instance, context_api.get_current()), *args, **kwargs)

    return wrapper


def _unbound(method: Any) -> Callable[..., Any] | None:
    """The function behind a method, or behind what stands for one where it was called through its class."""
    if isinstance(method, types.MethodType):
        return method.__func__
    if isinstance(method, wrapt.PartialCallableObjectProxy):
        function: Callable[..., Any] = method.__wrapped__
        return function
    return None


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
