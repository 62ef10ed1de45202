"""Agents as they are made: classes that override hooked methods, executors of the program's own, agents from before."""

from __future__ import annotations

import gc
import inspect
import sys
import weakref
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from cmbagent_otel.instrumentation.calls import Wrapper
from cmbagent_otel.instrumentation.health import fault
from cmbagent_otel.instrumentation.points import Installation

_AGENTS = "autogen.agentchat.conversable_agent"
_BASE = "ConversableAgent"
_CAPTURED = "a_generate_oai_reply"
"""The one hooked method that an agent looks up when it is made, and never again."""


class Newcomers:
    """Hooks each class when its first instance is made.

    Args:
        installation: where the hooks go.
        overridable: method of an agent -> the wrapper that its overrides get, too.
        code: the wrapper of ``execute_code_blocks`` of executors.
    """

    def __init__(self, installation: Installation, overridable: Mapping[str, Wrapper], code: Wrapper) -> None:
        self._installation = installation
        self._overridable = overridable
        self._code = code
        self._known: weakref.WeakSet[type] = weakref.WeakSet()

    def look(self, agent: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Callable[[Any], None]:
        """``ConversableAgent.__init__``."""
        self._agent_class(type(agent))
        return lambda _: self._executor(agent)

    def forget(self) -> None:
        """Look at every class anew."""
        self._known.clear()

    def catch_up(self) -> None:
        """Do for the agents that are there already what is done for those to come."""
        base = vars(sys.modules[_AGENTS])[_BASE]
        hooked = getattr(base, _CAPTURED, None)
        for agent in _living(base):
            try:
                self._agent_class(type(agent))
                self._executor(agent)
                _swap_captured(agent, hooked)
            except Exception as problem:  # noqa: BLE001 - an agent half made; the program goes on
                fault("Newcomers.catch_up", problem)

    def _agent_class(self, cls: type) -> None:
        if cls in self._known:
            return
        self._known.add(cls)
        for base in cls.__mro__:
            if base.__name__ == _BASE:
                break
            for name, wrapper in self._overridable.items():
                if _is_of_its_kind(name, vars(base).get(name)):
                    self._installation.wrap(base, name, wrapper)

    def _executor(self, agent: Any) -> None:
        executor = getattr(agent, "_code_executor", None)
        cls = type(executor)
        if executor is None or cls in self._known:
            return
        self._known.add(cls)
        for base in cls.__mro__:
            if "execute_code_blocks" in vars(base):
                self._installation.wrap(base, "execute_code_blocks", self._code)
                break


def _is_of_its_kind(name: str, override: Any) -> bool:
    """Whether an override is a function of the kind that AG2's is.

    Others (objects that can be called, static methods, functions that give something else to await) are left alone:
    the wrapper would know no agent, or make of them what they are not.
    """
    return inspect.isfunction(override) and inspect.iscoroutinefunction(override) == name.startswith("a_")


def give_back_captured() -> None:
    """Let the living agents call the original of what they looked up when they were made."""
    module = sys.modules.get(_AGENTS)
    if module is not None:
        base = vars(module)[_BASE]
        for agent in _living(base):
            _swap_captured(agent, getattr(base, _CAPTURED, None))


def _swap_captured(agent: Any, replacement: Any) -> None:
    if replacement is None:
        return
    for entry in getattr(agent, "_reply_func_list", ()):  # an agent whose making failed has none
        function = entry["reply_func"]
        if getattr(function, "__qualname__", "") == f"{_BASE}.{_CAPTURED}" and _innermost(function) is _innermost(
            replacement
        ):
            entry["reply_func"] = replacement


def _innermost(function: Any) -> Any:
    while hasattr(function, "__wrapped__"):
        function = function.__wrapped__
    return function


def _living(base: type) -> Iterator[Any]:
    for found in gc.get_objects():
        # No isinstance: it asks the object, and objects of all kinds are here.
        if base in type(found).__mro__:
            yield found


def is_being_imported() -> bool:
    """Whether AG2 is only now being imported, so that no agent can be there yet."""
    spec = getattr(sys.modules.get("autogen"), "__spec__", None)
    return bool(getattr(spec, "_initializing", False))
