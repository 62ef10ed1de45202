"""The life of a hooked call: begin, the original exactly once, end; our own faults never reach the program."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from cmbagent_otel.instrumentation.health import fault
from cmbagent_otel.scope import Node


class Switch:
    """Whether the wrappers of an instrumentor do anything; off, those that leaked pass through."""

    __slots__ = ("on",)

    def __init__(self) -> None:
        self.on = False


class Call:
    """A call that is being traced. What a hook adds to its end goes into :meth:`returned` and :meth:`raised`."""

    __slots__ = ("function", "node")

    def __init__(self, node: Node, function: Callable[..., Any] | None = None) -> None:
        self.node = node
        self.function = function
        """What to call in place of the original; None calls the original."""

    def returned(self, result: Any) -> None:
        """Record what the original returned."""

    def raised(self, error: BaseException) -> None:
        """Record what the original raised, beyond what :meth:`close` does."""

    def close(self, error: BaseException | None) -> None:
        """End the span."""
        self.node.end(error)


Begin: TypeAlias = Callable[[Callable[..., Any], Any, tuple[Any, ...], dict[str, Any]], Call | None]
"""``begin(original, instance, args, kwargs)``: the traced call, or None to let this one pass."""
Wrapper: TypeAlias = Callable[[Callable[..., Any], Any, tuple[Any, ...], dict[str, Any]], Any]


def passing_when_quiet(wrapper: Wrapper) -> Wrapper:
    """``wrapper``, which its hook leaves out where nothing is recorded: that costs less than to let it pass."""
    wrapper.passes_when_quiet = True  # type: ignore[attr-defined]
    return wrapper


def around(begin: Begin, switch: Switch) -> Wrapper:
    """A wrapper of a plain function."""

    @passing_when_quiet
    def wrapper(original: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if not switch.on:
            return original(*args, **kwargs)
        call = None
        try:
            call = begin(original, instance, args, kwargs)
        except Exception as problem:  # noqa: BLE001 - whatever it is, the program goes on
            fault(begin.__qualname__, problem)
        if call is None:
            return original(*args, **kwargs)
        try:
            result = (call.function or original)(*args, **kwargs)
        except BaseException as error:
            _end(call, None, error)
            raise
        _end(call, result, None)
        return result

    return wrapper


def around_async(begin: Begin, switch: Switch) -> Wrapper:
    """A wrapper of a coroutine function; the call begins when it is awaited."""

    @passing_when_quiet
    async def wrapper(
        original: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        call = None
        if switch.on:
            try:
                call = begin(original, instance, args, kwargs)
            except Exception as problem:  # noqa: BLE001 - whatever it is, the program goes on
                fault(begin.__qualname__, problem)
        if call is None:
            return await original(*args, **kwargs)
        try:
            result = await (call.function or original)(*args, **kwargs)
        except BaseException as error:
            _end(call, None, error)
            raise
        _end(call, result, None)
        return result

    return wrapper


Look: TypeAlias = Callable[[Any, tuple[Any, ...], dict[str, Any]], Callable[[Any], None] | None]
"""``look(instance, args, kwargs)``: looks at a call that gets no span; may return what is to look at its result."""


def watching(look: Look, switch: Switch) -> Wrapper:
    """A wrapper that only looks; whether anything is to be recorded here is for ``look`` to ask."""

    def wrapper(original: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        then = None
        if switch.on:
            try:
                then = look(instance, args, kwargs)
            except Exception as problem:  # noqa: BLE001 - whatever it is, the program goes on
                fault(look.__qualname__, problem)
        if then is None:
            return original(*args, **kwargs)
        result = original(*args, **kwargs)
        try:
            then(result)
        except Exception as problem:  # noqa: BLE001 - whatever it is, the program goes on
            fault(f"{look.__qualname__} result", problem)
        return result

    return wrapper


def _end(call: Call, result: Any, error: BaseException | None) -> None:
    try:
        if error is None:
            call.returned(result)
        else:
            call.raised(error)
    except Exception as problem:  # noqa: BLE001 - whatever it is, the program goes on
        fault(f"{type(call).__qualname__} end", problem)
    try:
        call.close(error)
    except Exception as problem:  # noqa: BLE001 - whatever it is, the program goes on
        fault(f"{type(call).__qualname__} close", problem)
