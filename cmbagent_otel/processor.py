"""The lossless, live door of the program's own process.

On the program's threads a span is noted when it begins, and queued when it ends; nothing else happens. A thread of ours
turns spans into records and delivers them.
"""

from __future__ import annotations

import logging
import multiprocessing.util
import os
import threading
import time
import weakref
from collections import deque

from opentelemetry.context import Context
from opentelemetry.instrumentation.utils import suppress_instrumentation
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor

from cmbagent_otel import content, semconv, settings
from cmbagent_otel.delivery import BATCH, Delivery
from cmbagent_otel.graph import cost
from cmbagent_otel.live import Live
from cmbagent_otel.semconv import NodeKind
from cmbagent_otel.settings import Settings
from cmbagent_otel.spans.from_sdk import from_sdk
from cmbagent_otel.spans.record import Record

_logger = logging.getLogger(__name__)

_TICK = 0.25
_HANDED_OVER_AT_ONCE = frozenset({NodeKind.WORKFLOW, NodeKind.PHASE})


class DagSpanProcessor(SpanProcessor):
    """Persists every span of a provider, running and ended.

    Args:
        config: where to, and the bounds; unset: read from the environment.
    """

    def __init__(self, config: Settings | None = None) -> None:
        self._settings = config if config is not None else settings.load()
        self._closed = False
        cost.load()  # here, on the program's thread, and never first on ours
        self._begin()
        begin_again = weakref.WeakMethod(self._after_fork)

        def after_fork() -> None:
            living = begin_again()
            if living is not None:
                living()

        os.register_at_fork(after_in_child=after_fork)

    def _begin(self) -> None:
        self._live = Live(self._settings.heartbeat_interval)
        self._ended: deque[ReadableSpan] = deque()
        self._delivery = Delivery(self._settings)
        self._wake = threading.Event()
        self._idle = threading.Condition()
        self._in_flight: list[Record] = []
        self._passes = 0
        self._thread: threading.Thread | None = None
        self._overflow_lock = threading.Lock()

    # -- on the program's threads --------------------------------------------------------------------

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """Queue a span that has begun. Never raises, never waits."""
        if self._closed:
            return
        self._live.begun(span, parent_context)
        if self._thread is None:
            self._start_thread()

    def on_end(self, span: ReadableSpan) -> None:
        """Queue a span that has ended. Never raises; past the bound it appends to the spool."""
        if self._closed:
            self._deliver_late(span)
            return
        was_announced = self._live.ended(span)
        self._ended.append(span)
        if len(self._ended) >= BATCH:
            self._hurry()
        elif was_announced and (span.attributes or {}).get(semconv.NODE_KIND) in _HANDED_OVER_AT_ONCE:
            self._wake.set()
        if self._thread is None:
            self._start_thread()

    def _hurry(self) -> None:
        if len(self._ended) > self._settings.queue_limit:
            self._overflow()
        if not self._wake.is_set():
            self._wake.set()

    def _start_thread(self) -> None:
        with self._overflow_lock:
            if self._thread is not None or self._closed:
                return
            thread = threading.Thread(target=self._run, name="cmbagent-otel-writer", daemon=True)
            try:
                thread.start()
            except RuntimeError:
                return  # the interpreter is shutting down; shutdown() spools what is queued
            self._thread = thread

    def _overflow(self) -> None:
        if not self._overflow_lock.acquire(blocking=False):
            return
        try:
            self._delivery.keep(self._take_ended(BATCH))
        finally:
            self._overflow_lock.release()

    def _deliver_late(self, span: ReadableSpan) -> None:
        record = from_sdk(span)
        if record is not None:
            self._delivery.keep([content.complete(record)])
            self._delivery.spool.close()

    # -- on the writer's thread ----------------------------------------------------------------------

    def _run(self) -> None:
        with suppress_instrumentation():
            while not self._closed:
                self._wake.wait(_TICK)
                self._wake.clear()
                self._pass()
            self._pass(last=True)
            self._delivery.close()

    def _pass(self, *, last: bool = False) -> None:
        """Deliver what is due, and tell whoever waits in :meth:`force_flush`."""
        try:
            while True:
                batch = self._live.due(BATCH, everything=last)
                batch.extend(self._take_ended(BATCH - len(batch)))
                if not batch:
                    break
                self._in_flight = batch
                self._delivery.deliver(batch)
                self._in_flight = []
                if len(batch) < BATCH:
                    break
            self._delivery.catch_up()
        except Exception:
            _logger.exception("cmbagent-otel: a pass of the writer failed; it goes on with the next")
        with self._idle:
            self._passes += 1
            self._idle.notify_all()

    def _take_ended(self, count: int) -> list[Record]:
        records: list[Record] = []
        while len(records) < count:
            try:
                span = self._ended.popleft()
            except IndexError:
                break
            record = from_sdk(span)
            if record is not None:
                records.append(content.complete(record))
        return records

    # -- the end ---------------------------------------------------------------------------------------

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Wait until what was queued before this call is stored, or spooled while the database is away.

        False after the timeout.
        """
        thread = self._thread
        if thread is None or not thread.is_alive():
            return not self._ended
        deadline = time.monotonic() + timeout_millis / 1000
        with self._idle:
            target = self._passes + 2  # the pass under way may have looked before this call
            while self._passes < target:
                self._wake.set()
                remaining = deadline - time.monotonic()
                if remaining <= 0 or not thread.is_alive():
                    return False
                self._idle.wait(min(remaining, _TICK))
        return True

    def shutdown(self) -> None:
        """Write what is queued, for at most ``exit_timeout`` seconds; the rest goes to the spool."""
        if self._closed:
            return
        self._closed = True
        self._wake.set()
        thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join(self._settings.exit_timeout)
            if not thread.is_alive():
                return
        # Delivery is at least once: what is in flight may be written as well as spooled.
        left = [*self._in_flight, *self._live.due(self._settings.queue_limit, everything=True)]
        while batch := self._take_ended(BATCH):
            left.extend(batch)
        if left:
            self._delivery.keep(left)
        self._delivery.spool.close()

    def _after_fork(self) -> None:
        # The parent delivers what was queued before the fork, and its database connection is not ours.
        self._delivery.spool.forget()
        if self._closed:
            return
        self._begin()
        # Children of multiprocessing leave by os._exit, which runs no atexit functions.
        multiprocessing.util.Finalize(self, DagSpanProcessor.shutdown, args=(self,), exitpriority=10)
