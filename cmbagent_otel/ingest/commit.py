"""Group commit: requests that wait together are written in one transaction, and each is answered after it.

While a transaction is made, requests gather; then all that have gathered are taken, up to a bound. So a busy sink
makes few large transactions, and an idle one makes each at once. For PostgreSQL there are two writers: one prepares
its rows while the server takes those of the other.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future
from typing import NamedTuple

from cmbagent_otel.errors import CmbagentOtelError, StoreUnavailableError
from cmbagent_otel.ingest.counters import Count, Counters
from cmbagent_otel.ingest.replies import unavailable
from cmbagent_otel.settings import Settings
from cmbagent_otel.spans.decoded import Decoded
from cmbagent_otel.spans.record import Heartbeat, Record
from cmbagent_otel.store.engine import open_engine
from cmbagent_otel.store.migrate import ensure_schema
from cmbagent_otel.store.sweep import sweep
from cmbagent_otel.store.writer import Writer

_logger = logging.getLogger(__name__)

_GROUP = 1024
"""Records of one transaction, but for a larger request: more would make the first of them wait for the last."""
_LARGEST = 4096
"""Records of one transaction at most."""
_FIRST_PAUSE = 1.0
_LONGEST_PAUSE = 10.0
_SWEEP_EVERY = 30.0
_STOP_SECONDS = 30.0


class _Waiting(NamedTuple):
    decoded: Decoded
    done: Future[None]


class Committer:
    """The threads that write. ``submit`` may be called from any thread between ``start`` and ``stop``."""

    def __init__(self, settings: Settings, counters: Counters, waiting_limit: int) -> None:
        self._settings = settings
        self._counters = counters
        self._limit = waiting_limit
        self._waiting: deque[_Waiting] = deque()
        self._count = 0
        self._changed = threading.Condition()
        self._stopping = False
        self._writer: Writer | None = None
        self._trouble = "the sink has not reached its database yet"
        self._pause = 0.0
        self._closed_until = 0.0
        self._look_at = 0.0
        self._opening = threading.Lock()
        writers = 1 if settings.resolved_database_url.startswith("sqlite") else 2  # SQLite takes one at a time
        self._threads = [
            threading.Thread(target=self._run, args=(number == 0,), name="cmbagent-otel-sink-writer", daemon=True)
            for number in range(writers)
        ]

    def start(self) -> None:
        """Begin to write, and to look for the database."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Write what waits, then let go of the database; one that does not answer is not waited for forever."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        deadline = time.monotonic() + _STOP_SECONDS
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        self._close()

    @property
    def trouble(self) -> str:
        """Why nothing can be written now; empty when all is well."""
        return self._trouble

    def submit(self, decoded: Decoded) -> Future[None]:
        """Have the records written and the rejects put aside; done once both are committed.

        The future raises :class:`StoreUnavailableError` where they were not; sent again, they may be.

        Raises:
            Refusal: 503, when the database is away or too much waits for it.
        """
        with self._changed:
            if (left := self._closed_until - time.monotonic()) > 0:
                raise unavailable(self._trouble, max(1, round(left)))
            size = len(decoded.records)
            if self._count + size > self._limit and self._count:
                raise unavailable("too many records wait for the database", 1)
            waiting = _Waiting(decoded, Future())
            self._waiting.append(waiting)
            self._count += size
            self._counters.put(Count.WAITING, self._count)
            self._changed.notify()
        return waiting.done

    def _run(self, looks_after: bool) -> None:  # noqa: FBT001 - the arguments of a thread
        while (group := self._gather(looks_after)) is not None:
            self._serve(group)

    def _serve(self, group: list[_Waiting]) -> None:
        """Write ``group`` and answer it, whatever happens."""
        try:
            self._write(group)
        except CmbagentOtelError as error:
            self._away(group, error)
        except Exception as error:
            if len(group) > 1:  # what one request provokes is not to cost the others
                for waiting in group:
                    self._serve([waiting])
                return
            self._look_at = max(self._look_at, time.monotonic() + _FIRST_PAUSE)
            _logger.exception("cmbagent-otel: the sink could not write a request")
            _refuse(group, f"the sink could not write it, see its log: {type(error).__name__}")

    def _gather(self, looks_after: bool) -> list[_Waiting] | None:  # noqa: FBT001
        """What is to be written now: nothing when it is time to look after the database, None at the end."""
        with self._changed:
            while not self._waiting and not self._stopping:
                left = self._look_at - time.monotonic() if looks_after else None
                if left is not None and left <= 0:
                    return []
                self._changed.wait(left)
            if not self._waiting:
                return None
            group = [self._waiting.popleft()]
            size = _size(group[0])
            while self._waiting and size + _size(self._waiting[0]) <= _GROUP:
                group.append(self._waiting.popleft())
                size += _size(group[-1])
            self._count -= size
            self._counters.put(Count.WAITING, self._count)
            return group

    def _write(self, group: list[_Waiting]) -> None:
        writer = self._open()
        records = [record for waiting in group for record in waiting.decoded.records]
        for first in range(0, len(records), _LARGEST):  # one part, but for a very large request
            self._commit(writer, records[first : first + _LARGEST])
        writer.put_aside([reject for waiting in group for reject in waiting.decoded.rejects])
        for waiting in group:
            waiting.done.set_result(None)
        with self._changed:
            is_due = time.monotonic() >= self._look_at
            if is_due:
                self._look_at = time.monotonic() + _SWEEP_EVERY
        if is_due:
            sweep(writer.engine)

    def _commit(self, writer: Writer, records: list[Record]) -> None:
        began = time.monotonic()
        result = writer.write(records)
        self._counters.add(Count.COMMIT_SECONDS, time.monotonic() - began)
        self._counters.add(Count.COMMITS)
        self._counters.add(Count.WRITTEN, result.written)
        self._counters.add(Count.PUT_ASIDE, result.rejected)
        self._count_lag(records)

    def _open(self) -> Writer:
        with self._opening:
            if self._writer is not None:
                return self._writer
            engine = open_engine(self._settings.resolved_database_url)
            try:
                ensure_schema(engine)
            except BaseException:
                engine.dispose()
                raise
            self._writer = writer = Writer(engine, content=self._settings.content_recorded)
            self._trouble = ""
            self._pause = 0.0
            self._counters.put(Count.READY, 1)
            return writer

    def _away(self, group: list[_Waiting], error: CmbagentOtelError) -> None:
        """Refuse this group and all that waits, and everything for a while: each will be sent again."""
        self._close()
        if str(error) != self._trouble:
            _logger.error("cmbagent-otel: %s", error)
        with self._changed:
            self._trouble = str(error)
            if time.monotonic() >= self._closed_until:  # else the other writer has just said so
                self._pause = min(max(self._pause * 2, _FIRST_PAUSE), _LONGEST_PAUSE)
            self._closed_until = self._look_at = time.monotonic() + self._pause
            refused = [*group, *self._waiting]
            self._waiting.clear()
            self._count = 0
            self._counters.put(Count.WAITING, 0)
        _refuse(refused, str(error))

    def _close(self) -> None:
        with self._opening:
            writer, self._writer = self._writer, None
            self._counters.put(Count.READY, 0)
        if writer is not None:
            writer.engine.dispose()

    def _count_lag(self, records: Sequence[Record]) -> None:
        now = time.time_ns()
        self._counters.add(Count.LAG_RECORDS, len(records))
        self._counters.add(Count.LAG_SECONDS, sum(max(0, now - _time_of(record)) for record in records) / 1e9)


def _refuse(refused: Sequence[_Waiting], reason: str) -> None:
    for waiting in refused:
        if not waiting.done.done():  # answered before the sweep after its commit failed
            waiting.done.set_exception(StoreUnavailableError(reason))


def _size(waiting: _Waiting) -> int:
    return len(waiting.decoded.records)


def _time_of(record: Record) -> int:
    if isinstance(record, Heartbeat):
        return record.time_unix_nano
    return record.start_time_unix_nano if record.end_time_unix_nano is None else record.end_time_unix_nano
