"""Adding our tables and columns to an SQLite database, and taking just these back.

SQLite has no ``ADD COLUMN IF NOT EXISTS``: what is to be done depends on what is there.
"""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import Connection, Dialect, inspect, select
from sqlalchemy.schema import CreateIndex, CreateTable

from cmbagent_otel.store.adopt import ADDED, Missing, compiled, create, definition, missing
from cmbagent_otel.store.schema import metadata
from cmbagent_otel.store.views import VIEWS, create_view

# SQLite can't alter a column, but it can put another in its place without touching the rows of other tables.
_RELAX_DEPTH = (
    "ALTER TABLE dag_nodes ADD COLUMN depth_relaxed INTEGER DEFAULT 0",
    "UPDATE dag_nodes SET depth_relaxed = depth",
    "ALTER TABLE dag_nodes DROP COLUMN depth",
    "ALTER TABLE dag_nodes RENAME COLUMN depth_relaxed TO depth",
)
_RESTORE_DEPTH = (
    "ALTER TABLE dag_nodes ADD COLUMN depth_strict INTEGER NOT NULL DEFAULT 0",
    "UPDATE dag_nodes SET depth_strict = COALESCE(depth, 0)",
    "ALTER TABLE dag_nodes DROP COLUMN depth",
    "ALTER TABLE dag_nodes RENAME COLUMN depth_strict TO depth",
)


def adopt(connection: Connection) -> None:
    """Add what is missing, within the caller's transaction. No row that is there changes its values."""
    for statement in list(adopting(connection)):
        connection.exec_driver_sql(statement)


def release(connection: Connection) -> None:
    """Take back what was added, and nothing else; every row of CMBAgent's tables stays."""
    for statement in list(releasing(connection)):
        connection.exec_driver_sql(statement)


def adopting(connection: Connection) -> Iterator[str]:
    """The statements that add what is missing in this database, and note it."""
    noted: set[Missing] = set()
    if inspect(connection).has_table(ADDED.name):
        noted = {Missing(*row) for row in connection.execute(select(ADDED))}
    else:
        yield compiled(CreateTable(ADDED), connection.dialect)
    for one in missing(connection):
        yield from _adding(one, connection.dialect)
        if one not in noted:
            yield f"INSERT INTO {ADDED.name} VALUES ('{one.kind}', '{one.table}', '{one.name}')"


def releasing(connection: Connection) -> Iterator[str]:
    """The statements that take back what was noted."""
    if not inspect(connection).has_table(ADDED.name):
        return
    added = [Missing(*row) for row in connection.execute(select(ADDED).order_by(*ADDED.c))]
    yield from (f"DROP VIEW IF EXISTS {view}" for view in reversed(VIEWS) if Missing("view", "", view) in added)
    yield from (f"DROP INDEX IF EXISTS {one.name}" for one in added if one.kind == "index")
    yield from (f"ALTER TABLE {one.table} DROP COLUMN {one.name}" for one in added if one.kind == "column")
    if Missing("nullable", "dag_nodes", "depth") in added:
        yield from _RESTORE_DEPTH
    for table in reversed(metadata.sorted_tables):
        if Missing("table", table.name, "") in added:
            yield f"DROP TABLE {table.name}"
    yield f"DROP TABLE {ADDED.name}"


def _adding(one: Missing, dialect: Dialect) -> Iterator[str]:
    if one.kind == "view":
        yield create_view(one.name, dialect.name)
        return
    table = metadata.tables[one.table]
    if one.kind == "table":
        yield from create(table, dialect)
    elif one.kind == "column":
        yield f"ALTER TABLE {table.name} ADD COLUMN {definition(table.c[one.name], dialect)}"
    elif one.kind == "nullable":
        yield from _RELAX_DEPTH
    else:
        yield from (compiled(CreateIndex(index), dialect) for index in table.indexes if index.name == one.name)
