"""The migrations as plain SQL, for whoever brings the tables up and down without this package.

PostgreSQL's statements look at what is there. SQLite has no such statements, so there is a script for each shape that
a database of CMBAgent's can have; what differs from all of them is for ``db upgrade``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from sqlalchemy import Connection, Table, create_engine
from sqlalchemy.schema import CreateIndex

from cmbagent_otel.store import adopt_postgresql, adopt_sqlite
from cmbagent_otel.store.adopt import compiled, definition, indexes
from cmbagent_otel.store.migrate import VERSION_TABLE, head
from cmbagent_otel.store.schema import OURS, metadata

EMPTY = "empty"
SHAPES = {
    EMPTY: "nothing",
    "flat": "CMBAgent's tables; no dag_nodes.parent_node_id, no workflow_runs.stage_number",
    "tree": "CMBAgent's tables; dag_nodes.parent_node_id, but no workflow_runs.stage_number",
    "flat-stages": "CMBAgent's tables; workflow_runs.stage_number, but no dag_nodes.parent_node_id",
    "tree-stages": "CMBAgent's tables; dag_nodes.parent_node_id and workflow_runs.stage_number",
}
"""What an SQLite file may hold, and how to know."""

_CAME_LATER: dict[str, dict[str, tuple[str, ...]]] = {
    "tree": {"dag_nodes": ("parent_node_id", "depth")},
    "stages": {
        "workflow_runs": ("parent_run_id", "stage_number", "stage_name"),
        "cost_records": ("agent_name", "parent_run_id"),
        "files": ("session_id",),
    },
}


class Script(NamedTuple):
    """One file."""

    name: str
    text: str


def scripts() -> Iterator[Script]:
    """Every file that is shipped."""
    for direction in ("upgrade", "downgrade"):
        yield Script(f"postgresql-{direction}.sql", script("postgresql", direction))
        for shape in SHAPES:
            yield Script(f"sqlite-{shape}-{direction}.sql", script("sqlite", direction, shape))


def script(dialect: str, direction: str, shape: str = EMPTY) -> str:
    """The migration as SQL.

    Args:
        dialect: ``sqlite`` or ``postgresql``.
        direction: ``upgrade`` or ``downgrade``.
        shape: what an SQLite file holds, or held before the upgrade: one of :data:`SHAPES`.
    """
    return _postgresql(direction) if dialect == "postgresql" else _sqlite(direction, shape)


def _postgresql(direction: str) -> str:
    if direction == "upgrade":
        does = "Adds what is missing, whatever the database holds; what is there keeps its rows."
        statements = [*adopt_postgresql.adopting(), *_version()]
    else:
        does = "Takes back what the upgrade has added, and nothing else."
        statements = [*adopt_postgresql.releasing(), f"DROP TABLE IF EXISTS {VERSION_TABLE}"]
    header = (
        does,
        f"Run by: psql -v ON_ERROR_STOP=1 -f postgresql-{direction}.sql",
        "Not within a transaction; others may write. If it ends early, because it did not get a lock, run it again.",
    )
    return _text(header, statements)


def _sqlite(direction: str, shape: str) -> str:
    engine = create_engine("sqlite://")
    with engine.connect() as connection:
        if shape != EMPTY:
            _make(connection, shape)
        up = list(adopt_sqlite.adopting(connection))
        adopt_sqlite.adopt(connection)
        down = list(adopt_sqlite.releasing(connection))
    engine.dispose()
    if direction == "upgrade":
        does = f"For a database that holds {SHAPES[shape]}."
        # Where the database has not that shape, the script ends here.
        there = [f"SELECT {column} FROM {table} WHERE 0" for table, column in _told_by(shape)]
        statements = [*there, "BEGIN IMMEDIATE", *up, *_version(), "COMMIT"]
    else:
        does = f"For a database that held {SHAPES[shape]}."
        statements = ["BEGIN IMMEDIATE", *down, f"DROP TABLE {VERSION_TABLE}", "COMMIT"]
    header = (does, f"Run by: sqlite3 -bail FILE < sqlite-{shape}-{direction}.sql", "Copy the file first.")
    return _text(header, statements)


def _text(header: Iterable[str], statements: Iterable[str]) -> str:
    return "".join(f"-- {line}\n" for line in header) + "".join(f"\n{statement};\n" for statement in statements)


def _version() -> Iterator[str]:
    yield (
        f"CREATE TABLE IF NOT EXISTS {VERSION_TABLE} (\n  version_num VARCHAR(32) NOT NULL,"
        f"\n  CONSTRAINT {VERSION_TABLE}_pkc PRIMARY KEY (version_num)\n)"
    )
    yield f"INSERT INTO {VERSION_TABLE} SELECT '{head()}' WHERE NOT EXISTS (SELECT 1 FROM {VERSION_TABLE})"
    yield f"UPDATE {VERSION_TABLE} SET version_num = '{head()}'"


def _make(connection: Connection, shape: str) -> None:
    """Make the tables of that shape, as far as matters here."""
    for table in metadata.sorted_tables:
        if table.info == OURS:
            continue
        there = [column for column in table.columns if column.info != OURS and _is_there(shape, table, column.name)]
        columns = ", ".join(
            "depth INTEGER NOT NULL" if column.name == "depth" else definition(column, connection.dialect)
            for column in there
        )
        connection.exec_driver_sql(f"CREATE TABLE {table.name} ({columns})")
        for index in indexes(table):
            if index.info != OURS and all(column in there for column in index.columns):
                connection.exec_driver_sql(compiled(CreateIndex(index), connection.dialect))


def _is_there(shape: str, table: Table, column: str) -> bool:
    return all(
        column not in tables.get(table.name, ()) or group in shape.split("-") for group, tables in _CAME_LATER.items()
    )


def _told_by(shape: str) -> Iterator[tuple[str, str]]:
    for group, tables in _CAME_LATER.items():
        if group in shape.split("-"):
            for table, columns in tables.items():
                yield table, ", ".join(columns)
