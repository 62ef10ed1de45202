"""What the OTLP decoders return, and what they ask of every id and time."""

from __future__ import annotations

import re
from typing import NamedTuple

from cmbagent_otel.spans.record import Record

TRACES = "traces"
LOGS = "logs"

_TRACE_ID = re.compile(r"(?!0{32})[0-9a-f]{32}")
_SPAN_ID = re.compile(r"(?!0{16})[0-9a-f]{16}")
_LATEST = 2**63 - 1  # what a database's BIGINT holds


class Reject(NamedTuple):
    """A span or log record that can't be stored, and why; the ones beside it can."""

    reason: str
    trace_id: str
    """Hex as it came, or empty; so are the others."""
    span_id: str
    name: str


class Decoded(NamedTuple):
    """The records of one request, and what was wrong with the others."""

    records: list[Record]
    rejects: list[Reject]


def checked_trace_id(trace_id: str) -> str:
    """``trace_id`` itself; ValueError unless it is 32 lower-case hex digits, not all zero."""
    if _TRACE_ID.fullmatch(trace_id) is None:
        raise ValueError("the trace id must be 16 bytes, not all zero")
    return trace_id


def checked_span_id(span_id: str) -> str:
    """``span_id`` itself; ValueError unless it is 16 lower-case hex digits, not all zero."""
    if _SPAN_ID.fullmatch(span_id) is None:
        raise ValueError("a span id must be 8 bytes, not all zero")
    return span_id


def checked_parent_id(parent_id: str, span_id: str) -> str | None:
    """``parent_id``, or None where it is empty or all zero, as a root has it.

    Raises:
        ValueError: it is no span id, or that of the span itself.
    """
    if not parent_id.strip("0") and len(parent_id) in (0, 16):
        return None
    if parent_id == span_id:
        raise ValueError("a span can't be its own parent")
    return checked_span_id(parent_id)


def checked_time(time_unix_nano: int) -> int:
    """``time_unix_nano`` itself; ValueError where it is past the year 2262."""
    if not 0 <= time_unix_nano <= _LATEST:
        raise ValueError("a time must be nanoseconds since 1970, before 2262")
    return time_unix_nano
