"""What an agent is, by the names of its classes: AG2's own modules move between versions, its names do not."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

AGENT = "agent"
USER = "user"
MANAGER = "manager"
EXECUTOR = "executor"

_BY_CLASS = {"GroupChatManager": MANAGER, "GroupToolExecutor": EXECUTOR, "UserProxyAgent": USER}
_EXECUTOR_NAMES = frozenset({"_Group_Tool_Executor", "_Swarm_Tool_Executor", "Tool_Execution"})
_SELECTORS = frozenset({"checking_agent", "speaker_selection_agent"})


@lru_cache(maxsize=1024)
def _of_class(cls: type[Any]) -> str:
    for base in cls.__mro__:
        if base.__name__ in _BY_CLASS and base.__module__.startswith("autogen."):
            return _BY_CLASS[base.__name__]
    return AGENT


def kind_of(agent: Any) -> str:
    """``agent``, ``user``, ``manager`` of a group chat, or ``executor`` of a group's tools."""
    return known(agent)[1]


def known(agent: Any) -> tuple[str, str]:
    """Its name and its kind, of one look."""
    name = str(getattr(agent, "name", agent))
    kind = _of_class(type(agent))  # type: ignore[arg-type] # typeshed: a class is hashable all right
    return name, EXECUTOR if kind is AGENT and name in _EXECUTOR_NAMES else kind


def name_of(agent: Any) -> str:
    """The agent's name, as text whatever it is."""
    return str(getattr(agent, "name", agent))
