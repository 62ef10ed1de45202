"""One normal form of a span, whichever door it came through.

Three records travel to the writer: a :class:`SpanRecord` (ended, or just started), and a
:class:`Heartbeat`. They are plain values: ids are lower-case hex, times are integer nanoseconds since
the epoch, attribute values are what OTLP can carry (str, bool, int, float, bytes, None, and sequences
and mappings of these).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple


class SpanEvent(NamedTuple):
    """A timed event of a span."""

    name: str
    time_unix_nano: int
    attributes: Mapping[str, Any]


class SpanLink(NamedTuple):
    """A link to another span; ids as in :class:`SpanRecord`."""

    trace_id: str
    span_id: str
    attributes: Mapping[str, Any]


class SpanRecord(NamedTuple):
    """A span as it ended, or, with ``end_time_unix_nano`` None, as it started."""

    trace_id: str
    """32 lower-case hex digits."""
    span_id: str
    """16 lower-case hex digits."""
    parent_span_id: str | None
    """None for the root of a trace."""
    name: str
    kind: str
    """``INTERNAL``, ``SERVER``, ``CLIENT``, ``PRODUCER`` or ``CONSUMER``."""
    start_time_unix_nano: int
    end_time_unix_nano: int | None
    """None in a start record."""
    status: str
    """``UNSET``, ``OK`` or ``ERROR``."""
    status_message: str
    attributes: Mapping[str, Any]
    events: tuple[SpanEvent, ...] = ()
    links: tuple[SpanLink, ...] = ()
    resource: Mapping[str, Any] = {}
    scope_name: str = ""
    parent_is_remote: bool = False
    """True where the parent is known to live in another process."""


class Heartbeat(NamedTuple):
    """The owner of some runs says that it is alive."""

    run_ids: tuple[str, ...]
    owner: str
    """``service.instance.id`` of the process."""
    time_unix_nano: int


Record = SpanRecord | Heartbeat


def node_id(trace_id: str, span_id: str) -> str:
    """The id of a span's node: a UUID of the low 8 bytes of the trace id and the 8 of the span id.

    The span id can be read back from it, and so can half of the trace id.
    """
    return f"{trace_id[16:24]}-{trace_id[24:28]}-{trace_id[28:32]}-{span_id[0:4]}-{span_id[4:16]}"


def default_run_id(trace_id: str) -> str:
    """The id of the run of a trace that names none: the trace id written as a UUID."""
    return f"{trace_id[0:8]}-{trace_id[8:12]}-{trace_id[12:16]}-{trace_id[16:20]}-{trace_id[20:32]}"
