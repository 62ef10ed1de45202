"""Nanoseconds since the epoch, as the tables' UTC times without a zone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC).replace(tzinfo=None)
_LATEST = 253_402_300_799_000_000


def timestamp(nanoseconds: int | None) -> datetime | None:
    """The time to the microsecond, as PostgreSQL keeps it."""
    if nanoseconds is None:
        return None
    return _EPOCH + timedelta(microseconds=min(nanoseconds // 1000, _LATEST))


def now() -> datetime:
    """This moment, as the tables would write it."""
    return datetime.now(UTC).replace(tzinfo=None)
