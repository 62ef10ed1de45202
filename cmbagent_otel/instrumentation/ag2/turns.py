"""How our middleware gets around a turn without being put into the agent."""

from __future__ import annotations

import types
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import wrapt

from cmbagent_otel import scope as scopes
from cmbagent_otel.destination import is_our_destination
from cmbagent_otel.instrumentation.ag2.attempts import Innermost
from cmbagent_otel.instrumentation.ag2.middleware import Outermost
from cmbagent_otel.instrumentation.calls import Switch, Wrapper
from cmbagent_otel.instrumentation.health import fault

_OWN_TRACING = "TelemetryMiddleware"


def with_our_middleware(switch: Switch) -> Wrapper:
    """Wrapper of ``Agent._drive_scope``, through which every turn goes."""

    def wrapper(original: Callable[..., Any], agent: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if not switch.on or scopes.is_quiet() or not isinstance(original, types.MethodType):
            return original(*args, **kwargs)
        try:
            if _is_traced_already(agent):
                return original(*args, **kwargs)
            seen = _Seen(agent, Outermost.of(agent))
            added = {"additional_middleware": (*kwargs.get("additional_middleware", ()), Innermost)}
        except Exception as problem:  # noqa: BLE001 - whatever it is, the program goes on
            fault("with_our_middleware", problem)
            return original(*args, **kwargs)
        return _driven(original.__func__(seen, *args, **(kwargs | added)), seen)

    return wrapper


class _Seen(wrapt.ObjectProxy):  # type: ignore[type-arg] # wrapt 1 has no type parameters
    """The agent as AG2 sees it for one turn."""

    def __init__(self, agent: Any, outermost: Any) -> None:
        super().__init__(agent)
        self._self_outermost = outermost

    @property
    def _middleware(self) -> list[Any]:
        return [self._self_outermost, *self.__wrapped__._middleware]  # noqa: SLF001 - as AG2 reads it


@asynccontextmanager
async def _driven(
    turn: AbstractAsyncContextManager[Callable[[], Awaitable[Any]]], seen: _Seen
) -> AsyncIterator[Callable[[], Awaitable[Any]]]:
    """The turn's own context manager; its reply holds the agent, not what stood for it."""
    async with turn as drive:

        async def drive_and_give_back() -> Any:
            reply = await drive()
            for name, value in vars(reply).items():
                if value is seen:
                    setattr(reply, name, seen.__wrapped__)
            return reply

        yield drive_and_give_back


def _is_traced_already(agent: Any) -> bool:
    """Whether the program gave the agent AG2's own tracing, to where our spans go: then that is what it wants."""
    return any(
        type(middleware).__name__ == _OWN_TRACING and is_our_destination(getattr(middleware, "_tracer", None))
        for middleware in agent._middleware  # noqa: SLF001 - the public view is a description
    )
