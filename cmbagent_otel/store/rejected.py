"""Input that could not be written: put aside, bounded, for people to look at."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from sqlalchemy import Connection, delete, func, select

from cmbagent_otel.graph.sanitize import json_text, text
from cmbagent_otel.semconv import CONTENT_KEYS
from cmbagent_otel.spans.record import Record, SpanRecord
from cmbagent_otel.store import bulk
from cmbagent_otel.store.rows import Rows
from cmbagent_otel.store.schema import rejected_records

KEPT = 1000
"""The newest so many are kept."""
_RECORD_LIMIT = 16_384
_COLUMNS = ("digest", "rejected_at", "reason", "trace_id", "span_id", "name", "record")


def put_aside(connection: Connection, refused: Sequence[tuple[Record, Exception]]) -> None:
    """Keep what was refused, once each and without content, with the reason."""
    now = Rows(connection.dialect.name).now(datetime.now(UTC))
    rows = []
    for record, error in refused:
        if not isinstance(record, SpanRecord):
            continue
        shown = json_text(_without_content(record))[:_RECORD_LIMIT]
        digest = hashlib.sha256(f"{record.trace_id} {record.span_id} {shown}".encode("utf-8", "replace")).hexdigest()
        cause = getattr(error, "orig", None) or error
        # The first line only: drivers show the rejected row in those that follow.
        reason = text(f"{type(cause).__name__}: {cause}").partition("\n")[0][:_RECORD_LIMIT]
        named = (text(str(record.trace_id)), text(str(record.span_id)), text(str(record.name)))
        rows.append((digest, now, reason, *named, shown))
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
