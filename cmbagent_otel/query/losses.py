"""What did not become rows: records put aside, and the latest reasons."""

from __future__ import annotations

from typing import NamedTuple

from sqlalchemy import Connection, func, select

from cmbagent_otel.store.schema import rejected_records

REJECTED = select(func.count()).select_from(rejected_records)
LAST_REASON = select(rejected_records.c.reason).order_by(rejected_records.c.id.desc()).limit(1)


class Losses(NamedTuple):
    """Records that the database holds only as put-aside input."""

    rejected: int
    last_reason: str | None


def fetch_losses(connection: Connection) -> Losses:
    """How many records were put aside, and why the last one was."""
    count = connection.execute(REJECTED).scalar_one()
    return Losses(int(count), connection.execute(LAST_REASON).scalar() if count else None)
