"""Writing many rows with one statement: the one way rows of the graph get in.

On PostgreSQL a statement takes one array a column (binary, by ``unnest``), on SQLite it is run once a row.
"""

from __future__ import annotations

import functools
from collections.abc import Container, Sequence
from typing import Any

from sqlalchemy import JSON, TIMESTAMP, BigInteger, Boolean, Connection, Float, Integer, Numeric, Table
from sqlalchemy.types import TypeEngine

from cmbagent_otel.store.arrays import ARRAYS
from cmbagent_otel.store.rank import sql_rank

Row = tuple[Any, ...]

_ARRAYS: tuple[tuple[type[TypeEngine[Any]], str], ...] = (
    (BigInteger, "bigint"),
    (Integer, "integer"),
    (Boolean, "boolean"),
    (TIMESTAMP, "timestamp"),
    (Float, "float8"),
    (Numeric, "float8"),
)


def insert(connection: Connection, table: Table, columns: tuple[str, ...], rows: Sequence[Row]) -> int:
    """Insert ``rows`` but those that are there already, whatever key says so; returns how many went in."""
    return _run(connection, _insert(connection.dialect.name, table, columns, None), _kinds(table, columns), rows)


def upsert(
    connection: Connection,
    table: Table,
    columns: tuple[str, ...],
    keep: frozenset[str],
    rows: Sequence[Row],
    *,
    new: Container[str],
) -> None:
    """Insert ``rows``, and replace those of the same id that are of lower rank, except their columns ``keep``.

    ``rows`` begin with their id, and must not hold one twice. Ids in ``new`` are known not to be there.
    """
    kinds = _kinds(table, columns)
    if connection.dialect.name == "sqlite":
        # For a statement that may replace a row SQLite keeps all pages that it touches until it has ended.
        added, rows = [row for row in rows if row[0] in new], [row for row in rows if row[0] not in new]
        _run(connection, _add(table, columns), kinds, added)
    _run(connection, _insert(connection.dialect.name, table, columns, keep), kinds, rows)


def update(
    connection: Connection, table: Table, key: str, columns: tuple[str, ...], rows: Sequence[Row], *, only: str = ""
) -> int:
    """Set ``columns`` where ``key`` has the first value of a row, and where that changes anything.

    ``only`` is a further condition on the table, which is called ``t``.
    """
    statement = _update(connection.dialect.name, table, key, columns, only)
    return _run(connection, statement, _kinds(table, (key, *columns)), rows)


def _run(connection: Connection, statement: str, kinds: Sequence[str], rows: Sequence[Row]) -> int:
    if not rows:
        return 0
    if connection.dialect.name == "postgresql":
        columns = zip(*rows, strict=True)
        return connection.exec_driver_sql(
            statement, tuple(ARRAYS[kind](column) for kind, column in zip(kinds, columns, strict=True))
        ).rowcount
    return connection.exec_driver_sql(statement, list(rows)).rowcount


@functools.cache
def _kinds(table: Table, columns: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(_array(table.c[name].type) for name in columns)


_ENDS = {"dag_nodes": "end_time_unix_nano", "execution_events": "completed_at"}
"""What is not NULL in a row that has ended."""


@functools.cache
def _add(table: Table, columns: tuple[str, ...]) -> str:
    return f"INSERT INTO {table.name} ({', '.join(columns)}) VALUES ({', '.join('?' * len(columns))})"


@functools.cache
def _insert(dialect: str, table: Table, columns: tuple[str, ...], keep: frozenset[str] | None) -> str:
    head = f"INSERT INTO {table.name} AS t ({', '.join(columns)})"
    if dialect == "postgresql":
        body = f"SELECT {_select(table, columns)} FROM {_unnest(table, columns)}"
    else:
        body = f"VALUES ({', '.join('?' * len(columns))})"
    if keep is None:
        return f"{head} {body} ON CONFLICT DO NOTHING"
    changed = ", ".join(f"{name} = excluded.{name}" for name in columns if name not in keep)
    end = _ENDS[table.name]
    guard = f"{sql_rank('excluded.status', f'excluded.{end}')} > {sql_rank('t.status', f't.{end}')}"
    return f"{head} {body} ON CONFLICT (id) DO UPDATE SET {changed} WHERE {guard}"


@functools.cache
def _update(dialect: str, table: Table, key: str, columns: tuple[str, ...], only: str) -> str:
    all_columns = (key, *columns)
    if dialect == "postgresql":
        values = {name: f"u.{name}{_cast(table, name)}" for name in columns}
        source = f" FROM {_unnest(table, all_columns)} WHERE t.{key} = u.{key}"
        # CMBAgent's JSON columns are of type json, which knows no equality.
        differs = " OR ".join(f"t.{name}{_cast(table, name)} IS DISTINCT FROM {values[name]}" for name in columns)
    else:
        numbered = {name: f"?{number}" for number, name in enumerate(all_columns, start=1)}
        values = {name: numbered[name] for name in columns}
        source = f" WHERE t.{key} = {numbered[key]}"
        differs = " OR ".join(f"t.{name} IS NOT {values[name]}" for name in columns)
    changed = ", ".join(f"{name} = {value}" for name, value in values.items())
    condition = f" AND {only}" if only else ""
    return f"UPDATE {table.name} AS t SET {changed}{source}{condition} AND ({differs})"


def _unnest(table: Table, columns: tuple[str, ...]) -> str:
    arrays = ", ".join(f"%b::{_array(table.c[name].type)}[]" for name in columns)
    return f"unnest({arrays}) AS u({', '.join(columns)})"


def _select(table: Table, columns: tuple[str, ...]) -> str:
    return ", ".join(f"u.{name}{_cast(table, name)}" for name in columns)


def _cast(table: Table, column: str) -> str:
    return "::jsonb" if isinstance(table.c[column].type, JSON) else ""


def _array(kind: TypeEngine[Any]) -> str:
    return next((name for types, name in _ARRAYS if isinstance(kind, types)), "text")
