"""Ids and times that are the same in every run of a test."""

from __future__ import annotations

from itertools import count
from types import TracebackType
from typing import Self
from unittest import mock

from opentelemetry.sdk.trace.id_generator import IdGenerator


class IncrementalIdGenerator(IdGenerator):
    """Trace and span ids that count from 1: ``TracerProvider(id_generator=IncrementalIdGenerator())``."""

    def __init__(self) -> None:
        self._trace_ids = count(1)
        self._span_ids = count(1)

    def generate_trace_id(self) -> int:
        """The next trace id."""
        return next(self._trace_ids)

    def generate_span_id(self) -> int:
        """The next span id."""
        return next(self._span_ids)


class TickingClock:
    """A clock that goes on by one step each time it is asked; within its ``with`` block spans take their times from it.

    Args:
        start: The first time, in nanoseconds since the epoch.
        step: Nanoseconds from one to the next.
    """

    def __init__(self, start: int = 1_700_000_000_000_000_000, step: int = 1_000_000) -> None:
        self._times = count(start, step)
        self._patch = mock.patch("opentelemetry.sdk.trace.time_ns", self)

    def __call__(self) -> int:
        """The next time."""
        return next(self._times)

    def __enter__(self) -> Self:
        """Let the OpenTelemetry SDK ask this clock."""
        self._patch.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Give the SDK its own clock back."""
        self._patch.stop()
