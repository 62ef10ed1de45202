"""How the hooks fare: what is installed, what this version of a framework lacks, and our own faults.

Kept as numbers, not as log lines, so that a program that silences logging can still be asked.
"""

from __future__ import annotations

import logging
import threading
from collections import Counter
from typing import NamedTuple

_logger = logging.getLogger(__name__)


class Health(NamedTuple):
    """A look at the hooks of this process."""

    installed: dict[str, int]
    """Instrumentor to its number of hook points."""
    missing: dict[str, tuple[str, ...]]
    """Instrumentor to the hook points that the framework's version does not have."""
    faults: dict[str, int]
    """Place in our code to how often it failed; the program went on each time."""


_lock = threading.Lock()
_installed: dict[str, int] = {}
_missing: dict[str, list[str]] = {}
_faults: Counter[str] = Counter()


def health() -> Health:
    """The state of the hooks in this process."""
    with _lock:
        return Health(dict(_installed), {name: tuple(found) for name, found in _missing.items()}, dict(_faults))


def installed(instrumentor: str, points: int) -> None:
    """``points`` more hook points of ``instrumentor`` are in place (fewer, if negative)."""
    with _lock:
        _installed[instrumentor] = _installed.get(instrumentor, 0) + points


def missing(instrumentor: str, point: str) -> None:
    """The framework's version has no such place to hook."""
    with _lock:
        if point in _missing.setdefault(instrumentor, []):
            return
        _missing[instrumentor].append(point)
    _logger.debug("%s: no hook point %s in this version, left out", instrumentor, point)


def fault(where: str, error: Exception) -> None:
    """Count a failure of our own code. Logged the first time."""
    with _lock:
        _faults[where] += 1
        first = _faults[where] == 1
    if first:
        _logger.debug("tracing failed in %s; the program goes on without it", where, exc_info=error)


def reset() -> None:
    """Forget the faults and what was missing, as in a new process; for tests."""
    with _lock:
        _faults.clear()
        _missing.clear()
