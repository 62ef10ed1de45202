"""The one guard: which of two records of the same thing says more, whenever they come."""

from __future__ import annotations

from cmbagent_otel.graph.record import EventRecord, NodeRecord
from cmbagent_otel.semconv import Status

_ENDED = 3
_RANKS = {
    Status.PENDING: 0,
    Status.RUNNING: 1,
    Status.WAITING_APPROVAL: 1,
    Status.INTERRUPTED: 2,
    Status.COMPLETED: _ENDED,
    Status.FAILED: _ENDED,
}
_FOREIGN = 4

OPEN = (Status.RUNNING, Status.WAITING_APPROVAL)
"""What is not over yet."""
FINAL = (Status.INTERRUPTED, Status.COMPLETED, Status.FAILED)


def rank(status: str, *, ended: bool) -> int:
    """The rank of a row: a higher one replaces it, an equal or lower one changes nothing.

    A placeholder is pending; a status that is not one of ours is never replaced. What ended as interrupted has said all
    that it will say; what was only found to be has not.

    Args:
        status: of the row, or of the record that may become one.
        ended: whether it has an end.
    """
    if status == Status.INTERRUPTED and ended:
        return _ENDED
    return _RANKS.get(status, _FOREIGN)


def rank_of(record: NodeRecord | EventRecord) -> int:
    """The rank of what has come."""
    return rank(record.status, ended=record.end_time_unix_nano is not None)


def sql_rank(status: str, end: str) -> str:
    """The same in SQL, by the columns of the status and of the end."""
    cases = " ".join(f"WHEN '{known}' THEN {value}" for known, value in _RANKS.items())
    ended = f"WHEN {status} = '{Status.INTERRUPTED}' AND {end} IS NOT NULL THEN {_ENDED}"
    return f"CASE {ended} ELSE CASE {status} {cases} ELSE {_FOREIGN} END END"
