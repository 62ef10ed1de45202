"""Reading by many ids at once, in the SQL that both databases speak."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import orjson
from sqlalchemy import Connection, CursorResult, Row, TextClause, text

from cmbagent_otel.store.arrays import ARRAYS

_IDS = {
    "postgresql": "WITH RECURSIVE ids(id) AS (SELECT unnest(CAST(:ids AS text[])))",
    "sqlite": "WITH RECURSIVE ids(id) AS (SELECT value FROM json_each(:ids))",
}
_PAIRS = {
    "postgresql": "(SELECT key AS id, CAST(value ->> 0 AS integer) AS a, CAST(value ->> 1 AS integer) AS b"
    " FROM jsonb_each(CAST(:pairs AS jsonb)))",
    "sqlite": "(SELECT key AS id, json_extract(value, '$[0]') AS a, json_extract(value, '$[1]') AS b"
    " FROM json_each(:pairs))",
}
_JSON_TEXT = {"postgresql": "CAST({column} AS text)", "sqlite": "{column}"}
_JSON_MEMBER = {"postgresql": "({column} ->> '{key}')", "sqlite": "json_extract({column}, '$.{key}')"}


def select(connection: Connection, ids: Iterable[str], statement: str, **parameters: Any) -> Sequence[Row[Any]]:
    """The rows of ``statement``, which goes on after a common table expression ``ids(id)``.

    ``{meta}`` in it is the text of the JSON column ``n.meta``, and ``{meta.key}`` a member of it as text;
    ``{pairs}`` is a table (id, a, b) of the parameter ``pairs``.
    """
    wanted = list(dict.fromkeys(ids))
    return _execute(connection, wanted, statement, parameters).all() if wanted else ()


def change(connection: Connection, ids: Iterable[str], statement: str, **parameters: Any) -> int:
    """The same for a statement that changes rows; returns how many."""
    wanted = list(dict.fromkeys(ids))
    return _execute(connection, wanted, statement, parameters).rowcount if wanted else 0


def _execute(
    connection: Connection, wanted: list[str], statement: str, parameters: dict[str, Any]
) -> CursorResult[Any]:
    dialect = connection.dialect.name
    bound = ARRAYS["text"](wanted) if dialect == "postgresql" else orjson.dumps(wanted).decode()
    return connection.execute(_statement(dialect, statement), {"ids": bound, **parameters})


@functools.cache
def _statement(dialect: str, statement: str) -> TextClause:
    for key in ("kind", "remote_parent", "run_is_inherited"):
        member = _JSON_MEMBER[dialect].format(column="n.meta", key=key)
        statement = statement.replace(f"{{meta.{key}}}", member)
    statement = statement.replace("{meta}", _JSON_TEXT[dialect].format(column="n.meta"))
    return text(_IDS[dialect] + statement.replace("{pairs}", _PAIRS[dialect]))


def pairs(of: Mapping[str, tuple[int, int]]) -> str:
    """The value of the parameter ``pairs``."""
    return orjson.dumps(of).decode()


def json_object(stored: str | None) -> dict[str, Any]:
    """A JSON column that was read as text; {} where it holds no object."""
    found = orjson.loads(stored) if stored else None
    return found if isinstance(found, dict) else {}
