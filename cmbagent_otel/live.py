"""What is under way in this process: spans that have begun and not ended, and the runs that they belong to.

A start record is held back for half a second: a span that ends meanwhile sends none.
"""

from __future__ import annotations

import time
from collections import deque

from opentelemetry.context import Context
from opentelemetry.sdk.trace import Span

from cmbagent_otel import semconv
from cmbagent_otel.scope import mark_inner
from cmbagent_otel.spans.from_sdk import from_sdk
from cmbagent_otel.spans.lean import LeanSpan
from cmbagent_otel.spans.record import Heartbeat, Record, default_run_id

HELD_BACK_NANO = 500_000_000
_WATCHED = 2_048
"""So many spans may wait to be looked at; past them the program's threads let go of those that have ended."""


class Live:
    """Spans begun are appended by the program's threads and taken by one thread of ours.

    Args:
        heartbeat_interval: seconds between two heartbeats of a run.
    """

    def __init__(self, heartbeat_interval: float) -> None:
        self._interval = heartbeat_interval
        self._started: deque[Span] = deque()
        self._running: deque[Span] = deque()
        self._roots: dict[int, Span] = {}
        self._next_heartbeat = 0.0

    def begun(self, span: Span, parent_context: Context | None = None) -> None:
        """Note that ``span`` has begun; appends, and hardly more."""
        if type(span) is not LeanSpan:  # those are ours, and none is a root
            mark_inner(span, parent_context)
            parent = span.parent
            if parent is None or parent.is_remote:
                self._roots[id(span)] = span
        self._started.append(span)
        if len(self._started) > _WATCHED:
            self._let_go()

    def _let_go(self) -> None:
        """Look at the two oldest: the one that came makes room for itself, and for one of those before it."""
        for _ in range(2):
            try:
                span = self._started.popleft()
            except IndexError:
                return
            if span.end_time is None:
                self._running.append(span)
            else:
                self._roots.pop(id(span), None)

    def due(self, count: int, *, everything: bool = False) -> list[Record]:
        """At most ``count`` start records that were held back long enough, and a heartbeat when it is time."""
        now = time.time_ns()
        before = now if everything else now - HELD_BACK_NANO
        records: list[Record] = []
        while len(records) < count:
            queue = self._running or self._started
            try:
                span = queue.popleft()
            except IndexError:
                break
            # A start far ahead of the clock was given by the program; waiting for it would hold up the others.
            if before < (span.start_time or 0) <= now + HELD_BACK_NANO:
                queue.appendleft(span)
                break
            if span.end_time is not None:
                self._roots.pop(id(span), None)
            elif semconv.ABANDONED not in (span.attributes or {}):
                record = from_sdk(span)
                if record is not None:
                    records.append(record)
        heartbeat = self._heartbeat(before)
        if heartbeat is not None:
            records.append(heartbeat)
        return records

    def _heartbeat(self, started_before: int) -> Heartbeat | None:
        now = time.monotonic()
        if now < self._next_heartbeat or not self._roots:
            return None
        runs: dict[str, None] = {}
        owner = ""
        for key, span in list(self._roots.items()):
            if span.end_time is not None or span.context is None:
                self._roots.pop(key, None)
            elif (span.start_time or 0) <= started_before:  # before that the run has no row
                stated = (span.attributes or {}).get(semconv.RUN_ID)
                runs[str(stated or default_run_id(f"{span.context.trace_id:032x}"))] = None
                owner = str(span.resource.attributes.get(semconv.SERVICE_INSTANCE_ID, ""))
        if not runs:
            return None
        self._next_heartbeat = now + self._interval
        return Heartbeat(tuple(runs), owner, time.time_ns())
