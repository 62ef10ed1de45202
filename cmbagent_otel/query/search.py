"""Which nodes of a run have some text in what was said: messages, code, output, errors."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, Select, String, bindparam, cast, or_, select

from cmbagent_otel.store.schema import execution_events

_events = execution_events.c

TEXTS: Select[Any] = select(_events.node_id).where(_events.run_id == bindparam("run_id"), _events.node_id.is_not(None))

STATEMENTS: Mapping[str, tuple[Select[Any], str]] = {"texts of a run": (TEXTS, "execution_events by run")}
"""The statement that every search is made of, with the index meant for it."""


def search_texts(connection: Connection, run_id: str, text: str, limit: int) -> list[str]:
    """Node ids of the run's events that hold ``text``, in any case; at most ``limit``.

    Args:
        connection: to the database.
        run_id: the run.
        text: looked for as it is; signs that JSON escapes are found too.
        limit: at most so many.
    """
    columns = (cast(_events.inputs, String), cast(_events.outputs, String), _events.error_message)
    # What is stored as JSON text may hold it escaped: quotes and line ends always, other letters on SQLite.
    forms = dict.fromkeys((text, json.dumps(text)[1:-1], json.dumps(text, ensure_ascii=False)[1:-1]))
    found = or_(*(column.icontains(form, autoescape=True) for column in columns for form in forms))
    statement = TEXTS.where(found).distinct().limit(limit)
    return list(connection.execute(statement, {"run_id": run_id}).scalars())
