"""A database so full that reading a whole table would be felt."""

from __future__ import annotations

from sqlalchemy import Column, Connection, Engine, String, Table, text

from cmbagent_otel.store.engine import open_engine
from cmbagent_otel.store.migrate import upgrade
from cmbagent_otel.store.schema import metadata
from cmbagent_otel.store.writer import Writer
from tests.query.stored import Recorder, research

LARGE = frozenset(metadata.tables) - {"rejected_records"}
"""Tables that grow with the runs."""
_FIRST, _WRITTEN, _COPIES = 1_000, 50, 40
# What these runs lack.
_FILES = """
INSERT INTO files (id, run_id, session_id, node_id, file_path, file_type, created_at, is_final_output)
SELECT id, run_id, session_id, id, 'spectrum.png', 'plot', CURRENT_TIMESTAMP, false
  FROM dag_nodes WHERE node_type IN ('code_exec', 'tool')"""
_MESSAGES = """
INSERT INTO messages (run_id, node_id, sender, recipient, content, timestamp)
SELECT run_id, id, 'planner', 'engineer', 'Simulate maps', CURRENT_TIMESTAMP FROM dag_nodes WHERE node_type = 'agent'"""

_EDGES = """
INSERT INTO dag_edges (from_node_id, to_node_id, dependency_type, run_id)
SELECT parent_node_id, id, 'sequential', run_id FROM dag_nodes WHERE parent_node_id IS NOT NULL"""


def fill(url: str, *, analyze: bool = True) -> tuple[Engine, list[Recorder]]:
    """Two thousand runs; returns those that were written, of which all others are copies.

    Without ``analyze`` the planner knows nothing of the rows: SQLite's are never counted unless somebody asks for it.
    """
    engine = open_engine(url)
    upgrade(engine)
    made = [research(engine, number, at=number, store=False) for number in range(_FIRST, _FIRST + _WRITTEN)]
    Writer(engine).write([span for one in made for span in one.spans])
    with engine.begin() as connection:
        for statement in (_FILES, _MESSAGES, _EDGES):
            connection.execute(text(statement))
        for number in range(1, _COPIES):
            _copy(connection, number)
    if analyze:
        with engine.begin() as connection:
            connection.execute(text("ANALYZE"))
    return engine, made


def _copy(connection: Connection, number: int) -> None:
    for table in metadata.sorted_tables:
        columns = [column for column in table.columns if not _is_counted(table, column)]
        values = ", ".join(_another(column, number) if _is_id(column) else column.name for column in columns)
        names = ", ".join(column.name for column in columns)
        run = next((table.c[name] for name in ("run_id", "id") if name in table.c and _is_id(table.c[name])), None)
        if run is not None:
            original = f"SELECT {values} FROM {table.name} WHERE substr({run.name}, 10, 4) = '0000'"
            connection.execute(text(f"INSERT INTO {table.name} ({names}) {original}"))


def _is_counted(table: Table, column: Column[object]) -> bool:
    return column.autoincrement is True and column is table.autoincrement_column


def _is_id(column: Column[object]) -> bool:
    return isinstance(column.type, String) and column.type.length in (32, 36)


def _another(column: Column[object], number: int) -> str:
    """The same id but for four digits, which all ids of a run then have in common; no other id has an x."""
    first = 10 if column.type.length == 36 else 9  # type: ignore[attr-defined]
    return f"substr({column.name}, 1, {first - 1}) || 'x{number:03x}' || substr({column.name}, {first + 4})"
