"""What ``doctor`` finds."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple


class State(StrEnum):
    """How a thing stands."""

    FINE = "fine"
    NOTE = "note"
    """Worth knowing; nothing is broken."""
    MEND = "mend"
    """Something does not work, or was lost."""


class Finding(NamedTuple):
    """One thing that was looked at."""

    name: str
    state: State
    text: str
    fix: str = ""
    """What to type or set; given where the state is ``mend``."""


def fine(name: str, text: str) -> Finding:
    """It is as it should be."""
    return Finding(name, State.FINE, text)


def note(name: str, text: str, fix: str = "") -> Finding:
    """It is worth knowing."""
    return Finding(name, State.NOTE, text, fix)


def mend(name: str, text: str, fix: str) -> Finding:
    """It needs mending, like this."""
    return Finding(name, State.MEND, text, fix)
