"""Hook points: where they are, and how they are put in and taken out.

A point is a function of a module or a method in a class's own ``__dict__``, found by name: which
distribution brought the module does not matter, and a version that lacks a point loses only that one.
"""

from __future__ import annotations

import copy
import sys
import threading
from collections.abc import Callable, Iterable
from types import ModuleType
from typing import Any, NamedTuple

import wrapt

from cmbagent_otel.instrumentation import health
from cmbagent_otel.instrumentation.calls import Switch, Wrapper


class _BoundHookWrapper(wrapt.BoundFunctionWrapper):  # type: ignore[type-arg] # wrapt 1 has no type parameters
    """A method of ours, bound or looked up in its class; copied and pickled as the method that it stands for."""

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        instance = getattr(self, "__self__", None)
        return self if instance is None else getattr(copy.deepcopy(instance, memo), self.__name__)

    def __copy__(self) -> Any:
        return self

    def __reduce_ex__(self, protocol: Any) -> Any:
        owner = getattr(self, "__self__", None)
        if owner is None:
            owner = sys.modules[self.__module__]
            for name in self.__qualname__.split(".")[:-1]:
                owner = getattr(owner, name)
        return getattr, (owner, self.__name__)


class HookWrapper(wrapt.FunctionWrapper):  # type: ignore[type-arg] # as above
    """A wrapper of ours, so that we know it again. To ``copy`` and ``pickle`` it is the function that it wraps."""

    __bound_function_wrapper__ = _BoundHookWrapper

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        return self

    def __copy__(self) -> Any:
        return self

    def __reduce_ex__(self, protocol: Any) -> Any:
        return self.__qualname__


_MARK = "__cmbagent_otel_hook__"


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
            if original is None:
                return False
            if not _is_hooked(original):
                self.replace(owner, attribute, HookWrapper(original, wrapper))
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
        if isinstance(function, HookWrapper) or getattr(function, _MARK, False):
            return True
        function = getattr(function, "__wrapped__", None)
    return False


def when_imported(module: str, do: Callable[[], None]) -> None:
    """Call ``do`` once ``module`` is loaded: now, or at the end of its import."""
    wrapt.register_post_import_hook(lambda _: do(), module)
