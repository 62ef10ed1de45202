"""How the tables stand: their size, how they grow, and what in them is not settled."""

from __future__ import annotations

from typing import NamedTuple

from sqlalchemy import Connection, TextClause, func, select, text
from sqlalchemy.exc import OperationalError

from cmbagent_otel.semconv import NodeType
from cmbagent_otel.store.schema import dag_nodes, metadata, rejected_records, sessions, workflow_runs

_SIZE_POSTGRESQL = text("SELECT pg_total_relation_size(to_regclass(:name))")
_SIZE_SQLITE = text(
    "SELECT SUM(pgsize) FROM dbstat"
    " WHERE aggregate = TRUE AND name IN (SELECT name FROM sqlite_master WHERE tbl_name = :name)"
)
_FILE_SIZE_SQLITE = text("SELECT page_count * page_size FROM pragma_page_count, pragma_page_size")


class TableSize(NamedTuple):
    """A table with its indexes."""

    name: str
    rows: int
    bytes: int | None
    """None where this build of SQLite does not tell."""


class Health(NamedTuple):
    """Facts, each found anew: rows are counted, which takes seconds for millions."""

    tables: tuple[TableSize, ...]
    bytes: int
    """Of all these tables, or of the file where SQLite does not tell of each."""
    runs: int
    rows_a_run: float | None
    """The mean over all runs; None without runs, as below."""
    bytes_a_run: float | None
    placeholders: int
    """Parents that have not come, or never will."""
    null_depths: int
    """Nodes below such a parent, and these themselves."""
    sessions_without_runs: int
    rejected_records: int


def examine(connection: Connection) -> Health:
    """Look at the tables of this version; nothing is written."""
    tables = tuple(_size(connection, name) for name in sorted(metadata.tables))
    rows = {table.name: table.rows for table in tables}
    runs = rows[workflow_runs.name]
    known = [table.bytes for table in tables if table.bytes is not None]
    total = sum(known)
    if len(known) < len(tables):
        total = connection.execute(_FILE_SIZE_SQLITE).scalar_one()
    count = select(func.count())
    without_runs = ~select(workflow_runs.c.id).where(workflow_runs.c.session_id == sessions.c.id).exists()
    return Health(
        tables,
        total,
        runs,
        sum(rows.values()) / runs if runs else None,
        total / runs if runs else None,
        connection.execute(count.where(dag_nodes.c.node_type == NodeType.PLACEHOLDER)).scalar_one(),
        connection.execute(count.select_from(dag_nodes).where(dag_nodes.c.depth.is_(None))).scalar_one(),
        connection.execute(count.select_from(sessions).where(without_runs)).scalar_one(),
        rows[rejected_records.name],
    )


def _size(connection: Connection, name: str) -> TableSize:
    rows = connection.execute(select(func.count()).select_from(metadata.tables[name])).scalar_one()
    statement = _SIZE_POSTGRESQL if connection.dialect.name == "postgresql" else _SIZE_SQLITE
    return TableSize(name, rows, _bytes(connection, statement, name))


def _bytes(connection: Connection, statement: TextClause, name: str) -> int | None:
    try:
        found = connection.execute(statement, {"name": name}).scalar()
    except OperationalError as error:
        if "dbstat" not in str(error.orig):
            raise
        return None
    return None if found is None else int(found)
