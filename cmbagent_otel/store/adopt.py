"""Adding our tables and columns to a database, be it empty or CMBAgent's, and taking just these back.

What was added stands in a table of its own, ``cmbagent_otel_added``.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from sqlalchemy import Column, Connection, Dialect, Engine, Index, MetaData, String, Table, inspect, select, text
from sqlalchemy.schema import CreateColumn, CreateIndex, CreateTable

from cmbagent_otel.store.locks import lock_schema
from cmbagent_otel.store.schema import metadata
from cmbagent_otel.store.views import VIEWS, create_view

_ADDED = Table(
    "cmbagent_otel_added",
    MetaData(),
    Column("kind", String(20), primary_key=True),
    Column("table_name", String(63), primary_key=True),
    Column("name", String(63), primary_key=True),
)

# SQLite can't alter a column, but it can put another in its place without touching the rows of other tables.
_RELAX_DEPTH = {
    "postgresql": ("ALTER TABLE dag_nodes ALTER COLUMN depth DROP NOT NULL",),
    "sqlite": (
        "ALTER TABLE dag_nodes ADD COLUMN depth_relaxed INTEGER DEFAULT 0",
        "UPDATE dag_nodes SET depth_relaxed = depth",
        "ALTER TABLE dag_nodes DROP COLUMN depth",
        "ALTER TABLE dag_nodes RENAME COLUMN depth_relaxed TO depth",
    ),
}
_RESTORE_DEPTH = {
    "postgresql": (
        "UPDATE dag_nodes SET depth = 0 WHERE depth IS NULL",
        "ALTER TABLE dag_nodes ALTER COLUMN depth SET NOT NULL",
    ),
    "sqlite": (
        "ALTER TABLE dag_nodes ADD COLUMN depth_strict INTEGER NOT NULL DEFAULT 0",
        "UPDATE dag_nodes SET depth_strict = COALESCE(depth, 0)",
        "ALTER TABLE dag_nodes DROP COLUMN depth",
        "ALTER TABLE dag_nodes RENAME COLUMN depth_strict TO depth",
    ),
}


class Missing(NamedTuple):
    """Something of ours that a database does not have."""

    kind: str
    """``table``, ``column``, ``nullable`` (``depth`` must be filled), ``index`` or ``view``."""
    table: str
    name: str
    statements: tuple[str, ...]
    """What adds it."""


def missing(connection: Connection) -> list[Missing]:
    """What of ours the database lacks, in the order in which it can be added."""
    dialect, inspector = connection.dialect, inspect(connection)
    there = set(inspector.get_table_names())
    broken = _broken_indexes(connection)
    found: list[Missing] = []
    indexes: list[Missing] = []
    for table in metadata.sorted_tables:
        if table.name not in there:
            found.append(Missing("table", table.name, "", tuple(_create(table, dialect))))
            continue
        columns = {column["name"]: column for column in inspector.get_columns(table.name)}
        for column in table.columns:
            if column.name not in columns:
                statement = f"ALTER TABLE {table.name} ADD COLUMN {_column(column, dialect)}"
                found.append(Missing("column", table.name, column.name, (statement,)))
        if table.name == "dag_nodes" and "depth" in columns and not columns["depth"]["nullable"]:
            found.append(Missing("nullable", table.name, "depth", _RELAX_DEPTH[dialect.name]))
        names = {index["name"] for index in inspector.get_indexes(table.name)} - broken
        indexes += [
            Missing("index", table.name, str(index.name), (_compiled(CreateIndex(index), dialect),))
            for index in _indexes(table)
            if index.name not in names
        ]
    views = set(inspector.get_view_names())
    return [
        *found,
        *indexes,
        *(Missing("view", "", name, (create_view(name, dialect.name),)) for name in VIEWS if name not in views),
    ]


def adopt(connection: Connection, *, indexes: bool = True) -> None:
    """Add what is missing, within the caller's transaction. No row that is there changes its values."""
    wanting = [one for one in missing(connection) if indexes or one.kind in ("table", "column", "nullable")]
    _limit_waiting(connection)
    _ADDED.create(connection, checkfirst=True)
    for one in wanting:
        for statement in one.statements:
            connection.exec_driver_sql(statement)
        _note(connection, one)


def adopt_in_steps(engine: Engine) -> None:
    """Add what is missing to a PostgreSQL database that is in use: no lock is held while rows are read.

    Columns come in one short transaction (only the catalog changes), then each index by itself, concurrently:
    writers go on. An index that an interrupted attempt left broken is made anew.
    """
    with engine.begin() as connection:
        if not set(inspect(connection).get_table_names()) & set(metadata.tables):
            return
        lock_schema(connection)
        adopt(connection, indexes=False)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        broken = _broken_indexes(connection)
        for one in missing(connection):
            if one.kind == "index":
                if one.name in broken:
                    connection.exec_driver_sql(f"DROP INDEX CONCURRENTLY {one.name}")
                _note(connection, one)  # first, so that it is known as ours whatever comes
                connection.exec_driver_sql(one.statements[0].replace(" INDEX ", " INDEX CONCURRENTLY ", 1))


def release(connection: Connection) -> None:
    """Take back what :func:`adopt` has added, and nothing else; every row of CMBAgent's tables stays."""
    if not inspect(connection).has_table(_ADDED.name):
        return
    _limit_waiting(connection)
    added = connection.execute(select(_ADDED)).all()
    tables = {row.table_name for row in added if row.kind == "table"}
    names = {(row.kind, row.name) for row in added}
    views = [view for view in reversed(VIEWS) if ("view", view) in names]
    indexes = [row.name for row in added if row.kind == "index"]
    columns = [row for row in added if row.kind == "column"]
    taken = [
        *(f"DROP VIEW IF EXISTS {view}" for view in views),
        *(f"DROP INDEX IF EXISTS {index}" for index in indexes),
        *(f"ALTER TABLE {column.table_name} DROP COLUMN {column.name}" for column in columns),
        *(_RESTORE_DEPTH[connection.dialect.name] if ("nullable", "depth") in names else ()),
    ]
    for statement in taken:
        connection.exec_driver_sql(statement)
    for table in reversed(metadata.sorted_tables):
        if table.name in tables:
            table.drop(connection)
    _ADDED.drop(connection)


def statements(dialect: Dialect) -> Iterator[str]:
    """The SQL that makes everything in an empty database."""
    yield _compiled(CreateTable(_ADDED), dialect)
    for table in metadata.sorted_tables:
        yield from _create(table, dialect)
        yield f"INSERT INTO {_ADDED.name} VALUES ('table', '{table.name}', '')"
    for name in VIEWS:
        yield create_view(name, dialect.name)
        yield f"INSERT INTO {_ADDED.name} VALUES ('view', '', '{name}')"


def drop_statements(dialect: Dialect) -> Iterator[str]:
    """The SQL that removes everything again."""
    del dialect
    for view in reversed(VIEWS):
        yield f"DROP VIEW {view}"
    for table in reversed(metadata.sorted_tables):
        yield f"DROP TABLE {table.name}"
    yield f"DROP TABLE {_ADDED.name}"


def _create(table: Table, dialect: Dialect) -> Iterator[str]:
    yield _compiled(CreateTable(table), dialect)
    for index in _indexes(table):
        yield _compiled(CreateIndex(index), dialect)


def _indexes(table: Table) -> list[Index]:
    return sorted(table.indexes, key=lambda index: str(index.name))


def _compiled(element: Any, dialect: Dialect) -> str:
    return str(element.compile(dialect=dialect)).strip()


def _column(column: Column[Any], dialect: Dialect) -> str:
    references = "".join(
        f" REFERENCES {key.column.table.name} ({key.column.name}) ON DELETE {key.ondelete}"
        for key in column.foreign_keys
    )
    return _compiled(CreateColumn(column), dialect) + references


def _note(connection: Connection, one: Missing) -> None:
    row = {"kind": one.kind, "table_name": one.table, "name": one.name}
    if connection.execute(select(_ADDED).filter_by(**row)).first() is None:
        connection.execute(_ADDED.insert(), row)


def _limit_waiting(connection: Connection) -> None:
    """Give up rather than queue behind a long transaction: whoever comes later would queue behind us."""
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql("SET LOCAL lock_timeout = '1s'")


def _broken_indexes(connection: Connection) -> set[str]:
    if connection.dialect.name != "postgresql":
        return set()
    statement = "SELECT c.relname FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid WHERE NOT i.indisvalid"
    return set(connection.scalars(text(statement)))
