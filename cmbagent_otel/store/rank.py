"""The one guard: which of two records of the same thing says more, whenever they come."""

from __future__ import annotations

from cmbagent_otel.semconv import Status

_RANKS = {
    Status.PENDING: 0,
    Status.RUNNING: 1,
    Status.WAITING_APPROVAL: 1,
    Status.INTERRUPTED: 2,
    Status.COMPLETED: 3,
    Status.FAILED: 3,
}
_FOREIGN = 4

OPEN = (Status.RUNNING, Status.WAITING_APPROVAL)
"""What is not over yet."""
FINAL = (Status.INTERRUPTED, Status.COMPLETED, Status.FAILED)


def rank(status: str) -> int:
    """The rank of a row by its status: a higher one replaces it, an equal or lower one changes nothing.

    A placeholder is pending; a status that is not one of ours is never replaced.
    """
    return _RANKS.get(status, _FOREIGN)


def sql_rank(column: str) -> str:
    """The same in SQL."""
    cases = " ".join(f"WHEN '{status}' THEN {value}" for status, value in _RANKS.items())
    return f"CASE {column} {cases} ELSE {_FOREIGN} END"
