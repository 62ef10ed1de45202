"""Hook points: where they are, and how they are put in and taken out.

A point is a function of a module or a method in a class's own ``__dict__``, found by name: which
distribution brought the module does not matter, and a version that lacks a point loses only that one.
"""

from __future__ import annotations

import functools
import inspect
import sys
import threading
from collections.abc import Callable, Iterable
from types import ModuleType
from typing import Any, NamedTuple

import wrapt

from cmbagent_otel.instrumentation import health
from cmbagent_otel.instrumentation.calls import Switch, Wrapper
from cmbagent_otel.scope import is_quiet

_MARK = "__cmbagent_otel_hook__"


def _hook(original: Any, wrapper: Wrapper, *, is_method: bool) -> Callable[..., Any]:
    """What stands for ``original``: a plain function as it is, so that it is copied and pickled by its name as well.

    AG2 asks eight times a turn whether an agent is one, and looks up a dozen of its methods each time. An object that
    binds itself, such as wrapt's, would there cost more than all else that a hook does.
    """
    passes = getattr(wrapper, "passes_when_quiet", False)
    if is_method:
        bound = original.__get__  # what stands there may be somebody else's wrapper, and no function
        is_function = inspect.isfunction(original)

        def hook(instance: Any, /, *args: Any, **kwargs: Any) -> Any:
            if passes and is_quiet():
                if is_function:
                    return original(instance, *args, **kwargs)
                return bound(instance, type(instance))(*args, **kwargs)
            return wrapper(bound(instance, type(instance)), instance, args, kwargs)

    else:

        def hook(*args: Any, **kwargs: Any) -> Any:  # type: ignore[misc] # of a function, not of a method
            if passes and is_quiet():
                return original(*args, **kwargs)
            return wrapper(original, None, args, kwargs)

    stands_for = _coroutine_function(hook) if inspect.iscoroutinefunction(original) else hook
    functools.update_wrapper(stands_for, original)
    setattr(stands_for, _MARK, True)
    return stands_for


def _coroutine_function(function: Callable[..., Any]) -> Callable[..., Any]:
    async def awaited(*args: Any, **kwargs: Any) -> Any:
        return await function(*args, **kwargs)

    return awaited


def is_hook(function: Any) -> bool:
    """Whether the function is one of ours."""
    return getattr(function, _MARK, False) is True


class Point(NamedTuple):
    """A place to hook."""

    module: str
    name: str
    """``function`` or ``Class.method``."""
    wrapper: Wrapper


class _Placed(NamedTuple):
    owner: Any
    attribute: str
    ours: Any
    original: Any


class Installation:
    """The hooks of one instrumentor. Thread-safe; putting in twice wraps nothing twice."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.switch = Switch()
        self._lock = threading.RLock()
        self._placed: list[_Placed] = []

    def __len__(self) -> int:
        return len(self._placed)

    def put(self, points: Iterable[Point]) -> None:
        """Hook the ``points`` whose modules are loaded."""
        with self._lock:
            for point in points:
                module = sys.modules.get(point.module)
                if module is not None:
                    self._put(module, point)

    def wrap(self, owner: Any, attribute: str, wrapper: Wrapper) -> bool:
        """Hook one attribute that ``owner``, a class or module, itself has; says whether it does."""
        with self._lock:
            original = vars(owner).get(attribute)
            if original is None or isinstance(original, staticmethod):
                return False
            if not _is_hooked(original):
                function = original.__func__ if isinstance(original, classmethod) else original
                hook = _hook(function, wrapper, is_method=isinstance(owner, type))
                self.replace(owner, attribute, classmethod(hook) if function is not original else hook)
            return True

    def replace(self, owner: Any, attribute: str, ours: Any) -> None:
        """Put ``ours`` in the place of an attribute that ``owner`` itself has."""
        with self._lock:
            self._placed.append(_Placed(owner, attribute, ours, vars(owner)[attribute]))
            setattr(owner, attribute, ours)
            health.installed(self.name, 1)

    def substitute(self, module: ModuleType, name: str, make: Callable[[Any, Switch], Any]) -> None:
        """Put a plain function, ``make(original, switch)``, in the place of one that programs keep."""
        with self._lock:
            owner, attribute = _owner(module, name)
            original = vars(owner).get(attribute) if owner is not None else None
            if original is None:
                health.missing(self.name, f"{module.__name__}:{name}")
            elif not _is_hooked(original):
                ours = make(original, self.switch)
                setattr(ours, _MARK, True)
                self.replace(owner, attribute, ours)

    def _put(self, module: ModuleType, point: Point) -> None:
        owner, attribute = _owner(module, point.name)
        if owner is None or not self.wrap(owner, attribute, point.wrapper):
            health.missing(self.name, f"{point.module}:{point.name}")

    def remove(self) -> None:
        """Give the originals back, where nobody has wrapped ours since; ours pass through anyway."""
        with self._lock:
            self.switch.on = False
            health.installed(self.name, -len(self._placed))
            for owner, attribute, ours, original in reversed(self._placed):
                if vars(owner).get(attribute) is ours:
                    setattr(owner, attribute, original)
            self._placed.clear()


def _owner(module: ModuleType, name: str) -> tuple[Any, str]:
    path, _, attribute = name.rpartition(".")
    return (getattr(module, path, None) if path else module), attribute


def _is_hooked(function: Any) -> bool:
    """Whether a hook of ours is on the function, be it under somebody else's wrapper."""
    while function is not None:
        if is_hook(function):
            return True
        function = getattr(function, "__wrapped__", None)
    return False


def when_imported(module: str, do: Callable[[], None]) -> None:
    """Call ``do`` once ``module`` is loaded: now, or at the end of its import."""
    wrapt.register_post_import_hook(lambda _: do(), module)
