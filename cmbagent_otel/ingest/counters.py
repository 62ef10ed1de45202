"""What the sink counts, over all its worker processes, in the words of Prometheus.

Each worker writes a row of its own in memory that all of them share, so none waits for another, and any of
them can tell the sums.
"""

from __future__ import annotations

import mmap
import struct
import threading
from enum import IntEnum

_CELL = struct.Struct("<d")


class Count(IntEnum):
    """The columns of a worker's row."""

    ACCEPTED = 0
    WRITTEN = 1
    REJECTED = 2
    PUT_ASIDE = 3
    REFUSED = 4
    COMMITS = 5
    COMMIT_SECONDS = 6
    LAG_RECORDS = 7
    LAG_SECONDS = 8
    WAITING = 9
    READY = 10


_SHOWN = (
    ("records_accepted_total", "counter", "Records read from OTLP requests.", Count.ACCEPTED),
    ("records_written_total", "counter", "Records committed to the database.", Count.WRITTEN),
    ("records_rejected_total", "counter", "Records that OTLP does not allow, answered as rejected.", Count.REJECTED),
    ("records_put_aside_total", "counter", "Records kept in rejected_records.", Count.PUT_ASIDE),
    ("requests_refused_total", "counter", "Requests answered with a 4xx or 5xx status.", Count.REFUSED),
    ("commits_total", "counter", "Transactions.", Count.COMMITS),
    ("commit_seconds_total", "counter", "Seconds spent in transactions.", Count.COMMIT_SECONDS),
    ("lag_seconds_count", "counter", "Records that the lag was taken of.", Count.LAG_RECORDS),
    ("lag_seconds_sum", "counter", "Seconds from the time of a record to its commit.", Count.LAG_SECONDS),
    ("records_waiting", "gauge", "Records that wait for their commit.", Count.WAITING),
    ("workers_ready", "gauge", "Workers that reach the database.", Count.READY),
)


class Counters:
    """One worker's view of the shared rows; made before the workers are forked."""

    def __init__(self, workers: int = 1) -> None:
        self._workers = workers
        self._shared = mmap.mmap(-1, workers * len(Count) * _CELL.size)
        self._row = 0
        self._lock = threading.Lock()

    def use_row(self, worker: int) -> None:
        """Count as this worker from now on; one that took over from a dead worker goes on from its sums."""
        self._row = worker
        self._set(Count.WAITING, 0)
        self._set(Count.READY, 0)

    def add(self, count: Count, value: float = 1) -> None:
        """Add to a count."""
        with self._lock:
            self._set(count, self._get(self._row, count) + value)

    def put(self, count: Count, value: float) -> None:
        """Set a gauge."""
        with self._lock:
            self._set(count, value)

    def total(self, count: Count) -> float:
        """The sum over all workers."""
        return sum(self._get(worker, count) for worker in range(self._workers))

    def exposition(self) -> str:
        """All of them as Prometheus reads them."""
        lines = []
        for name, kind, meaning, count in _SHOWN:
            full = f"cmbagent_otel_sink_{name}"
            lines += [f"# HELP {full} {meaning}", f"# TYPE {full} {kind}", f"{full} {self.total(count):.17g}"]
        return "\n".join(lines) + "\n"

    def _offset(self, worker: int, count: Count) -> int:
        return (worker * len(Count) + count) * _CELL.size

    def _get(self, worker: int, count: Count) -> float:
        value: float = _CELL.unpack_from(self._shared, self._offset(worker, count))[0]
        return value

    def _set(self, count: Count, value: float) -> None:
        _CELL.pack_into(self._shared, self._offset(self._row, count), value)
