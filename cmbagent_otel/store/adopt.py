"""What of ours a database lacks, be it empty or CMBAgent's, and how each thing is written in SQL.

What was added stands in a table of its own, ``cmbagent_otel_added``, so that just that can be taken back. How it is
added is a matter of the database: :mod:`~cmbagent_otel.store.adopt_sqlite`,
:mod:`~cmbagent_otel.store.adopt_postgresql`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from sqlalchemy import Column, Connection, Dialect, ForeignKey, Index, MetaData, String, Table, inspect, text
from sqlalchemy.schema import CreateColumn, CreateIndex, CreateTable

from cmbagent_otel.store.schema import metadata
from cmbagent_otel.store.views import VIEWS

ADDED = Table(
    "cmbagent_otel_added",
    MetaData(),
    Column("kind", String(20), primary_key=True),
    Column("table_name", String(63), primary_key=True),
    Column("name", String(63), primary_key=True),
)


class Missing(NamedTuple):
    """Something of ours that a database does not have."""

    kind: str
    """``table``, ``column``, ``nullable`` (``depth`` must be filled), ``index`` or ``view``."""
    table: str
    name: str


def missing(connection: Connection) -> list[Missing]:
    """What of ours the database lacks, in the order in which it can be added."""
    inspector = inspect(connection)
    there = set(inspector.get_table_names())
    broken = _broken_indexes(connection)
    found: list[Missing] = []
    indexes_missing: list[Missing] = []
    for table in metadata.sorted_tables:
        if table.name not in there:
            found.append(Missing("table", table.name, ""))
            continue
        columns = {column["name"]: column for column in inspector.get_columns(table.name)}
        found += [Missing("column", table.name, name) for name in table.columns.keys() if name not in columns]  # noqa: SIM118
        if table.name == "dag_nodes" and "depth" in columns and not columns["depth"]["nullable"]:
            found.append(Missing("nullable", table.name, "depth"))
        names = {index["name"] for index in inspector.get_indexes(table.name)} - broken
        indexes_missing += [
            Missing("index", table.name, str(index.name)) for index in indexes(table) if index.name not in names
        ]
    views = set(inspector.get_view_names())
    return [*found, *indexes_missing, *(Missing("view", "", name) for name in VIEWS if name not in views)]


def missing_keys(connection: Connection) -> list[ForeignKey]:
    """The foreign keys that tables and columns, though there, do not have, or not with what they do on deletion."""
    lacking: list[ForeignKey] = []
    for table in metadata.sorted_tables:
        there = _keys(connection, table.name)
        lacking += [
            key
            for key in sorted(table.foreign_keys, key=lambda key: key.parent.name)
            if (key.parent.name, key.column.table.name, key.ondelete) not in there
        ]
    return lacking


def _keys(connection: Connection, table: str) -> set[tuple[str, str, str]]:
    if connection.dialect.name == "sqlite":  # of keys that stand beside their column SQLAlchemy knows no ON DELETE
        listed = connection.exec_driver_sql(f"PRAGMA foreign_key_list({table})").mappings()
        return {(key["from"], key["table"], key["on_delete"]) for key in listed}
    return {
        (*key["constrained_columns"], key["referred_table"], key["options"].get("ondelete", "NO ACTION"))
        for key in inspect(connection).get_foreign_keys(table)
    }


def create(table: Table, dialect: Dialect) -> Iterator[str]:
    """The statements that make a table with its indexes."""
    yield compiled(CreateTable(table), dialect)
    for index in indexes(table):
        yield compiled(CreateIndex(index), dialect)


def indexes(table: Table) -> list[Index]:
    """The indexes of a table by their names."""
    return sorted(table.indexes, key=lambda index: str(index.name))


def definition(column: Column[Any], dialect: Dialect) -> str:
    """A column as ``ALTER TABLE ... ADD COLUMN`` wants it."""
    return " ".join((compiled(CreateColumn(column), dialect), *map(reference, column.foreign_keys)))


def reference(key: ForeignKey) -> str:
    """What a foreign key refers to, in SQL."""
    return f"REFERENCES {key.column.table.name} ({key.column.name}) ON DELETE {key.ondelete}"


def compiled(element: Any, dialect: Dialect) -> str:
    """A statement's text."""
    lines = str(element.compile(dialect=dialect)).strip().splitlines()
    return "\n".join(line.rstrip().replace("\t", "  ") for line in lines)


def _broken_indexes(connection: Connection) -> set[str]:
    if connection.dialect.name != "postgresql":
        return set()
    statement = "SELECT c.relname FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid WHERE NOT i.indisvalid"
    return set(connection.scalars(text(statement)))
