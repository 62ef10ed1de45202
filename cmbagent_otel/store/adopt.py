"""Adding our tables and columns to a database, be it empty or CMBAgent's, and taking just these back.

What was added stands in a table of its own, ``cmbagent_otel_added``.
"""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import Column, Connection, Dialect, MetaData, String, Table, inspect, select
from sqlalchemy.schema import CreateColumn, CreateIndex, CreateTable

from cmbagent_otel.store.schema import dag_nodes, metadata
from cmbagent_otel.store.views import VIEWS, create_view

_ADDED = Table(
    "cmbagent_otel_added",
    MetaData(),
    Column("kind", String(20), primary_key=True),
    Column("table_name", String(63), primary_key=True),
    Column("name", String(63), primary_key=True),
)


def adopt(connection: Connection) -> None:
    """Create what is missing: tables, columns, indexes, views. No row that is there changes."""
    inspector = inspect(connection)
    there = set(inspector.get_table_names())
    added: list[dict[str, str]] = []

    def note(kind: str, table: str, name: str) -> None:
        added.append({"kind": kind, "table_name": table, "name": name})

    for table in metadata.sorted_tables:
        if table.name not in there:
            table.create(connection)
            note("table", table.name, "")
            continue
        columns = {column["name"]: column for column in inspector.get_columns(table.name)}
        for column in table.columns:
            if column.name not in columns:
                _execute(connection, f"ALTER TABLE {table.name} ADD COLUMN {_column(column, connection.dialect)}")
                note("column", table.name, column.name)
        if table is dag_nodes and "depth" in columns and not columns["depth"]["nullable"]:
            _execute(connection, "ALTER TABLE dag_nodes ALTER COLUMN depth DROP NOT NULL")
            note("nullable", table.name, "depth")
        names = {index["name"] for index in inspector.get_indexes(table.name)}
        for index in sorted(table.indexes, key=lambda index: str(index.name)):
            if index.name not in names:
                index.create(connection)
                note("index", table.name, str(index.name))
    for statement in _view_statements(connection.dialect):
        _execute(connection, statement)
    _ADDED.create(connection, checkfirst=True)
    if added:
        connection.execute(_ADDED.insert(), added)


def release(connection: Connection) -> None:
    """Take back what :func:`adopt` has added, and nothing else."""
    for view in reversed(VIEWS):
        _execute(connection, f"DROP VIEW IF EXISTS {view}")
    added = connection.execute(select(_ADDED)).all()
    tables = {row.table_name for row in added if row.kind == "table"}
    for row in added:
        if row.kind == "index" and row.table_name not in tables:
            _execute(connection, f"DROP INDEX IF EXISTS {row.name}")
    for row in added:
        if row.kind == "column":
            _execute(connection, f"ALTER TABLE {row.table_name} DROP COLUMN {row.name}")
        elif row.kind == "nullable":
            _execute(connection, "UPDATE dag_nodes SET depth = 0 WHERE depth IS NULL")
            _execute(connection, "ALTER TABLE dag_nodes ALTER COLUMN depth SET NOT NULL")
    for table in reversed(metadata.sorted_tables):
        if table.name in tables:
            table.drop(connection)
    _ADDED.drop(connection)


def statements(dialect: Dialect) -> Iterator[str]:
    """The SQL that makes everything in an empty database."""
    for table in metadata.sorted_tables:
        yield str(CreateTable(table).compile(dialect=dialect)).strip()
        for index in sorted(table.indexes, key=lambda index: str(index.name)):
            yield str(CreateIndex(index).compile(dialect=dialect)).strip()
    yield from _view_statements(dialect)


def drop_statements(dialect: Dialect) -> Iterator[str]:
    """The SQL that removes everything again."""
    del dialect
    for view in reversed(VIEWS):
        yield f"DROP VIEW {view}"
    for table in reversed(metadata.sorted_tables):
        yield f"DROP TABLE {table.name}"


def _view_statements(dialect: Dialect) -> Iterator[str]:
    for name in VIEWS:
        yield create_view(name, dialect.name)


def _column(column: Column[object], dialect: Dialect) -> str:
    definition = str(CreateColumn(column).compile(dialect=dialect))
    references = "".join(
        f" REFERENCES {key.column.table.name} ({key.column.name}) ON DELETE {key.ondelete}"
        for key in column.foreign_keys
    )
    return definition + references


def _execute(connection: Connection, statement: str) -> None:
    connection.exec_driver_sql(statement)
