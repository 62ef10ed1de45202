"""What the two OTLP decoders have in common: what they return, and what they ask of every span."""

from __future__ import annotations

from typing import NamedTuple

from cmbagent_otel.spans.record import Record

PARENT_IS_REMOTE = 0x300
"""The bits of a span's ``flags`` that say, both set, that its parent is known to be remote."""

# By number, as they travel.
_KINDS = ("INTERNAL", "INTERNAL", "SERVER", "CLIENT", "PRODUCER", "CONSUMER")
_STATUSES = ("UNSET", "OK", "ERROR")

_NO_TRACE_ID = bytes(16)
_NO_SPAN_ID = bytes(8)
_LATEST = 2**63 - 1  # what a database's BIGINT holds


class Reject(NamedTuple):
    """A span or log record that can't be stored, and why; the ones beside it can."""

    reason: str
    trace_id: str
    """Hex, as it came; may be empty."""
    span_id: str
    """Hex, as it came; may be empty."""
    name: str


class Decoded(NamedTuple):
    """The records of one request, and what was wrong with the others."""

    records: list[Record]
    rejects: list[Reject]


def trace_id_of(raw: bytes) -> str:
    """The trace id in hex; ValueError unless it is 16 bytes, not all zero."""
    if len(raw) != 16 or raw == _NO_TRACE_ID:
        raise ValueError("a trace id must be 16 bytes, not all zero")
    return raw.hex()


def span_id_of(raw: bytes) -> str:
    """The span id in hex; ValueError unless it is 8 bytes, not all zero."""
    if len(raw) != 8 or raw == _NO_SPAN_ID:
        raise ValueError("a span id must be 8 bytes, not all zero")
    return raw.hex()


def parent_id_of(raw: bytes, own: bytes) -> str | None:
    """The parent's span id in hex, or None where it is empty or all zero, as it is in a root.

    Raises:
        ValueError: it is no span id, or that of the span itself.
    """
    if not raw or raw == _NO_SPAN_ID:
        return None
    if raw == own:
        raise ValueError("a span can't be its own parent")
    return span_id_of(raw)


def checked_time(time_unix_nano: int) -> int:
    """``time_unix_nano`` itself; ValueError where no database can hold it."""
    if not 0 <= time_unix_nano <= _LATEST:
        raise ValueError("a time must be nanoseconds from 1970 to 2262")
    return time_unix_nano


def kind_of(number: int) -> str:
    """The kind of span with this number; INTERNAL where it is unspecified or newer than this version."""
    return _KINDS[number] if 0 <= number < len(_KINDS) else "INTERNAL"


def status_of(number: int) -> str:
    """The status with this number; UNSET where it is newer than this version."""
    return _STATUSES[number] if 0 <= number < len(_STATUSES) else "UNSET"
