"""Adding our tables and columns to a PostgreSQL database that is in use, and taking just these back.

Each statement is a transaction of its own and holds what writers need for a moment only, or not at all: columns
change the catalog, indexes are made concurrently, what reads rows locks no writer out. None waits long for a lock,
since whoever comes later would wait behind it; it is tried again instead. Each may run twice.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from textwrap import dedent, indent

from sqlalchemy import Connection, Engine, Table
from sqlalchemy.dialects import postgresql
from sqlalchemy.exc import DBAPIError
from sqlalchemy.schema import CreateIndex, CreateTable

from cmbagent_otel.store.adopt import ADDED, compiled, create, definition, indexes
from cmbagent_otel.store.locks import try_schema, unlock_schema
from cmbagent_otel.store.schema import metadata
from cmbagent_otel.store.views import VIEWS, create_view

_DIALECT = postgresql.dialect()  # type: ignore[no-untyped-call]
_WAITING = "SET lock_timeout = '400ms'"
_ROWS_AT_ONCE = 10_000
_PATIENCE_SECONDS = 60.0
_LOCK_NOT_AVAILABLE = "55P03"

_MAKE_NOTES = compiled(CreateTable(ADDED, if_not_exists=True), _DIALECT)
_NULLABLE_DEPTH = "kind = 'nullable' AND table_name = 'dag_nodes' AND name = 'depth'"


def adopt(engine: Engine) -> None:
    """Add what is missing. No row that is there changes its values."""
    _run(engine, adopting())


def release(engine: Engine) -> None:
    """Take back what was added, and nothing else; every row of CMBAgent's tables stays."""
    _run(engine, releasing())


def adopting() -> Iterator[str]:
    """The statements that add what is missing, whatever is there, and note it."""
    yield _WAITING
    yield _MAKE_NOTES
    yield from map(_table, metadata.sorted_tables)
    # Concurrently: a writer never waits for this, so it may wait for writers.
    yield "SET lock_timeout = 0"
    yield from _indexes()
    yield from map(_view, VIEWS)


def releasing() -> Iterator[str]:
    """The statements that take back what was noted."""
    yield _WAITING
    yield _MAKE_NOTES
    yield _for_each("view", "DROP VIEW IF EXISTS %I", "one.name")
    yield _for_each("index", "DROP INDEX IF EXISTS %I", "one.name")
    yield _for_each("column", "ALTER TABLE %I DROP COLUMN IF EXISTS %I", "one.table_name, one.name")
    yield from _depth_restored()
    for table in reversed(metadata.sorted_tables):
        yield _block(f"""
            IF EXISTS (SELECT FROM {ADDED.name} WHERE kind = 'table' AND table_name = '{table.name}') THEN
              DROP TABLE IF EXISTS {table.name};
            END IF;
        """)
    yield f"DROP TABLE {ADDED.name}"


def _table(table: Table) -> str:
    made = indent(";\n".join(create(table, _DIALECT)) + ";", "    ")
    columns = ",\n        ".join(
        f"({_literal(column.name)}, {_literal(definition(column, _DIALECT))})" for column in table.columns
    )
    missing = f"NOT EXISTS ({_column(table.name, 'wanted.name')})"
    relaxed = f"""
    IF EXISTS ({_column(table.name, "'depth'")} AND attnotnull) THEN
      ALTER TABLE {table.name} ALTER COLUMN depth DROP NOT NULL;
      INSERT INTO {ADDED.name} VALUES ('nullable', '{table.name}', 'depth') ON CONFLICT DO NOTHING;
    END IF;"""
    return f"""\
DO $$
DECLARE
  one record;
BEGIN
  IF to_regclass('{table.name}') IS NULL THEN
{made}
    INSERT INTO {ADDED.name} VALUES ('table', '{table.name}', '') ON CONFLICT DO NOTHING;
  ELSE
    FOR one IN
      SELECT wanted.name, wanted.definition
        FROM (VALUES
        {columns}
        ) AS wanted (name, definition)
       WHERE {missing}
    LOOP
      EXECUTE 'ALTER TABLE {table.name} ADD COLUMN ' || one.definition;
      INSERT INTO {ADDED.name} VALUES ('column', '{table.name}', one.name) ON CONFLICT DO NOTHING;
    END LOOP;{relaxed if table.name == "dag_nodes" else ""}
  END IF;
END $$"""


def _column(table: str, name: str) -> str:
    return f"SELECT FROM pg_attribute WHERE attrelid = to_regclass('{table}') AND attname = {name} AND NOT attisdropped"


def _indexes() -> Iterator[str]:
    wanted = [(table.name, index) for table in metadata.sorted_tables for index in indexes(table)]
    rows = ",\n       ".join(f"('{table}', '{index.name}')" for table, index in wanted)
    names = f"(VALUES\n       {rows}\n       ) AS wanted (table_name, name)"
    # What an interrupted attempt has left is worth nothing.
    yield _block(f"""
        FOR one IN
          SELECT name FROM {names}
            JOIN pg_index i ON i.indexrelid = to_regclass(wanted.name) AND NOT i.indisvalid
        LOOP
          EXECUTE format('DROP INDEX %I', one.name);
        END LOOP;
    """)
    # Noted first, so that they are known as ours whatever comes.
    yield f"""\
INSERT INTO {ADDED.name}
SELECT 'index', wanted.table_name, wanted.name FROM {names}
 WHERE to_regclass(wanted.name) IS NULL
   AND wanted.table_name NOT IN (SELECT table_name FROM {ADDED.name} WHERE kind = 'table')
    ON CONFLICT DO NOTHING"""
    for _table_name, index in wanted:
        statement = compiled(CreateIndex(index, if_not_exists=True), _DIALECT)
        yield statement.replace(" INDEX ", " INDEX CONCURRENTLY ", 1)


def _view(name: str) -> str:
    made = indent(create_view(name, _DIALECT.name), "    ")
    return f"""\
DO $$
BEGIN
  IF to_regclass('{name}') IS NULL THEN
{made};
    INSERT INTO {ADDED.name} VALUES ('view', '', '{name}') ON CONFLICT DO NOTHING;
  END IF;
END $$"""


def _depth_restored() -> Iterator[str]:
    """NOT NULL again, read from a constraint that was checked while writers went on."""
    filled = f"""
        LOOP
          UPDATE dag_nodes SET depth = 0
           WHERE id IN (SELECT id FROM dag_nodes WHERE depth IS NULL LIMIT {_ROWS_AT_ONCE});
          EXIT WHEN NOT FOUND;
          COMMIT;
        END LOOP;
    """
    yield _where_relaxed(filled)
    yield _where_relaxed("""
        ALTER TABLE dag_nodes DROP CONSTRAINT IF EXISTS cmbagent_otel_depth;
        ALTER TABLE dag_nodes ADD CONSTRAINT cmbagent_otel_depth CHECK (depth IS NOT NULL) NOT VALID;
    """)
    yield _where_relaxed(filled)  # what was written in between
    yield _where_relaxed("ALTER TABLE dag_nodes VALIDATE CONSTRAINT cmbagent_otel_depth;")
    yield _where_relaxed(f"""
        ALTER TABLE dag_nodes ALTER COLUMN depth SET NOT NULL;
        ALTER TABLE dag_nodes DROP CONSTRAINT cmbagent_otel_depth;
        DELETE FROM {ADDED.name} WHERE {_NULLABLE_DEPTH};
    """)


def _where_relaxed(body: str) -> str:
    statements = indent(dedent(body).strip(), "  ")
    return _block(f"IF EXISTS (SELECT FROM {ADDED.name} WHERE {_NULLABLE_DEPTH}) THEN\n{statements}\nEND IF;")


def _for_each(kind: str, statement: str, values: str) -> str:
    return _block(f"""
        FOR one IN SELECT * FROM {ADDED.name} WHERE kind = '{kind}' ORDER BY table_name, name LOOP
          EXECUTE format('{statement}', {values});
          COMMIT;
        END LOOP;
    """)


def _block(body: str) -> str:
    declared = "DECLARE\n  one record;\n" if "FOR one IN" in body else ""
    return f"DO $$\n{declared}BEGIN\n{indent(dedent(body).strip(), '  ')}\nEND $$"


def _literal(words: str) -> str:
    return "'" + words.replace("'", "''") + "'"


def _run(engine: Engine, statements: Iterable[str]) -> None:
    with engine.connect() as pooled:
        connection = pooled.execution_options(isolation_level="AUTOCOMMIT", no_parameters=True)
        with _alone(connection):
            try:
                for statement in statements:
                    _patiently(connection, statement)
            finally:
                connection.exec_driver_sql("RESET lock_timeout")


@contextmanager
def _alone(connection: Connection) -> Iterator[None]:
    """Without another that changes the tables. Asked again and again: who waits in the server, an index waits for."""
    while not try_schema(connection):
        time.sleep(0.1)
    try:
        yield
    finally:
        unlock_schema(connection)


def _patiently(connection: Connection, statement: str) -> None:
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while True:
        try:
            connection.exec_driver_sql(statement)
        except DBAPIError as error:
            if getattr(error.orig, "sqlstate", None) != _LOCK_NOT_AVAILABLE or time.monotonic() > deadline:
                raise
            time.sleep(0.5)
        else:
            return
