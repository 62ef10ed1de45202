"""Input that could not be written: put aside, bounded, for people to look at."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from sqlalchemy import Connection, delete, func, select

from cmbagent_otel.graph.sanitize import json_text, text
from cmbagent_otel.semconv import CONTENT_KEYS
from cmbagent_otel.spans.decoded import Reject
from cmbagent_otel.spans.record import SpanRecord
from cmbagent_otel.store import bulk
from cmbagent_otel.store.rows import Rows
from cmbagent_otel.store.schema import rejected_records

KEPT = 1000
"""The newest so many are kept."""
_RECORD_LIMIT = 16_384
_COLUMNS = ("digest", "rejected_at", "reason", "trace_id", "span_id", "name", "record")


class Refused(NamedTuple):
    """A span or log record that was not written."""

    reject: Reject
    shown: str | None
    """The record as JSON, without content; None where it could not be decoded."""


def refused(record: SpanRecord, error: Exception) -> Refused:
    """A record that the mapping or the database refused."""
    cause = getattr(error, "orig", None) or error
    # The first line only: drivers show the rejected row in those that follow.
    reason = f"{type(cause).__name__}: {cause}".partition("\n")[0]
    named = (str(record.trace_id), str(record.span_id), str(record.name))
    return Refused(Reject(reason, *named), json_text(_without_content(record)))


def put_aside(connection: Connection, found: Sequence[Refused]) -> None:
    """Keep what was refused, once each, with the reason; the newest :data:`KEPT`."""
    now = Rows(connection.dialect.name).now(datetime.now(UTC))
    rows = []
    for reject, shown in found[-KEPT:]:
        record = None if shown is None else shown[:_RECORD_LIMIT]
        reason, trace_id, span_id, name = (text(part)[:_RECORD_LIMIT] for part in reject)
        said = f"{trace_id} {span_id} {record if record is not None else f'{name} {reason}'}"
        digest = hashlib.sha256(said.encode("utf-8", "replace")).hexdigest()
        rows.append((digest, now, reason, trace_id, span_id, name, record))
    bulk.insert(connection, rejected_records, _COLUMNS, list({row[0]: row for row in rows}.values()))
    newest = connection.execute(select(func.max(rejected_records.c.id))).scalar() or 0
    connection.execute(delete(rejected_records).where(rejected_records.c.id <= newest - KEPT))


def _without_content(record: SpanRecord) -> dict[str, object]:
    said: object = record.attributes
    attributes = said if isinstance(said, Mapping) else {}
    return {
        "trace_id": record.trace_id,
        "span_id": record.span_id,
        "parent_span_id": record.parent_span_id,
        "name": record.name,
        "start_time_unix_nano": record.start_time_unix_nano,
        "end_time_unix_nano": record.end_time_unix_nano,
        "status": record.status,
        "attributes": {key: value for key, value in attributes.items() if key not in CONTENT_KEYS},
    }
