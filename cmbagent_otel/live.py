"""What is under way in this process: spans that have begun and not ended, and the runs that they belong to.

A start record is held back for half a second: a span that ends meanwhile sends none.
"""

from __future__ import annotations

import time

from opentelemetry.context import Context
from opentelemetry.sdk.trace import ReadableSpan, Span

from cmbagent_otel import semconv
from cmbagent_otel.scope import mark_inner
from cmbagent_otel.spans.from_sdk import from_sdk
from cmbagent_otel.spans.lean import LeanSpan
from cmbagent_otel.spans.record import Heartbeat, Record, default_run_id

HELD_BACK_NANO = 500_000_000


class Live:
    """Told of spans by the program's threads, asked by one thread of ours.

    Args:
        heartbeat_interval: seconds between two heartbeats of a run.
    """

    def __init__(self, heartbeat_interval: float) -> None:
        self._interval = heartbeat_interval
        self._begun: dict[int, Span] = {}
        """Under way, and not announced, in the order in which they began; by the identity of their span context, which
        the copy has, too, that the SDK makes of a span of its own when it ends."""
        self._roots: dict[int, Span] = {}
        self._next_heartbeat = 0.0

    def begun(self, span: Span, parent_context: Context | None = None) -> None:
        """Note that ``span`` has begun."""
        # The properties of the same names would be calls, for each span.
        key, parent = id(span._context), span._parent  # noqa: SLF001
        self._begun[key] = span
        if type(span) is not LeanSpan:  # those are ours, and inner to none
            mark_inner(span, parent_context)
        if parent is None or parent.is_remote:
            self._roots[key] = span

    def ended(self, span: ReadableSpan) -> bool:
        """Let go of a span that has ended; says whether it was announced before."""
        key = id(span._context)  # noqa: SLF001 - as above
        self._roots.pop(key, None)
        return self._begun.pop(key, None) is None

    def due(self, count: int, *, everything: bool = False) -> list[Record]:
        """At most ``count`` start records that were held back long enough, and a heartbeat when it is time."""
        now = time.time_ns()
        before = now if everything else now - HELD_BACK_NANO
        records: list[Record] = []
        for key, span in self._begun.copy().items():  # a copy is made at once, whatever other threads do
            # A start far ahead of the clock was given by the program; waiting for it would take too long.
            if before < (span.start_time or 0) <= now + HELD_BACK_NANO:
                continue
            if len(records) == count:
                break
            if self._begun.pop(key, None) is None or span.end_time is not None:
                continue  # ended meanwhile
            if semconv.ABANDONED not in (span.attributes or {}):
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
        for key, span in self._roots.copy().items():
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
