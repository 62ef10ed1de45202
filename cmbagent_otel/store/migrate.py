"""Bringing the tables up and down: Alembic, inside the package, with a version table of its own.

Other migrations in the same database, such as CMBAgent's, are not seen and not touched.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, NamedTuple

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, ForeignKey, inspect, text
from sqlalchemy.exc import DBAPIError

from cmbagent_otel.errors import SchemaOutOfDateError, StoreError
from cmbagent_otel.store import adopt_postgresql, adopt_sqlite
from cmbagent_otel.store.adopt import ADDED, missing, missing_keys, reference
from cmbagent_otel.store.engine import UPGRADE_ADVICE, translate
from cmbagent_otel.store.locks import lock_schema
from cmbagent_otel.store.schema import metadata
from cmbagent_otel.store.verify import VERIFICATION

logger = logging.getLogger(__name__)

VERSION_TABLE = "cmbagent_otel_version"


class Finding(NamedTuple):
    """Something in the database that is not as it should be."""

    subject: str
    """A table, or the name of a check."""
    problem: str


def upgrade(engine: Engine, revision: str = "head") -> None:
    """Add what is missing, up to ``revision``; in a database of CMBAgent's too.

    Raises:
        StoreUnavailableError: the database can't be reached.
        StoreError: it refuses. On SQLite nothing has changed; on PostgreSQL the next upgrade goes on from there.
    """
    _copy_sqlite(engine)
    if engine.dialect.name == "postgresql" and _is_missing_something(engine):
        with _translated():
            adopt_postgresql.adopt(engine)
    _migrate(engine, lambda config: command.upgrade(config, revision))
    if engine.dialect.name == "sqlite":
        with _translated(), engine.begin() as connection:
            adopt_sqlite.adopt(connection)  # what was dropped since the revision was reached


def downgrade(engine: Engine, revision: str) -> None:
    """Take back what was added after ``revision``; ``base`` is all of it.

    Raises:
        As :func:`upgrade`.
    """
    if current(engine) is not None:
        _copy_sqlite(engine, always=True)
    _migrate(engine, lambda config: command.downgrade(config, revision))
    if engine.dialect.name == "postgresql" and revision == "base" and inspect(engine).has_table(ADDED.name):
        with _translated():
            adopt_postgresql.release(engine)


def _copy_sqlite(engine: Engine, *, always: bool = False) -> None:
    """Copy an SQLite file that holds anything before its tables change, beside it, and say so."""
    path = engine.url.database
    if engine.dialect.name != "sqlite" or not path or path == ":memory:" or _is_empty(engine):
        return
    if not always and not _is_missing_something(engine):
        return
    copy = f"{path}.{datetime.now(UTC):%Y%m%dT%H%M%S.%fZ}.copy"
    raw = engine.raw_connection()
    try:
        raw.cursor().execute("VACUUM INTO ?", (copy,))
    finally:
        raw.close()
    logger.warning("%s was copied to %s before its tables change.", path, copy)


def current(engine: Engine) -> str | None:
    """The revision of the database; None where it has none of our tables.

    Raises:
        StoreUnavailableError: the database can't be reached.
    """
    try:
        with engine.connect() as connection:
            return _context(connection).get_current_revision()
    except DBAPIError as error:
        raise _meaning(error) from error


def head() -> str:
    """The revision that this package needs."""
    revision = ScriptDirectory.from_config(_config()).get_current_head()
    if revision is None:
        raise StoreError("The package holds no migrations: install it anew.")
    return revision


def check(engine: Engine) -> list[Finding]:
    """What in the database is not as this package needs it; empty where all is well.

    Raises:
        StoreUnavailableError: the database can't be reached.
    """
    found, needed = current(engine), head()
    if found != needed:
        return [Finding("version", f"is {found or 'missing'}, this package needs {needed}; {UPGRADE_ADVICE}")]
    with _translated(), engine.connect() as connection:
        lacking = [
            Finding(one.table or one.kind, f"lacks {one.kind} {one.name}".rstrip() + f"; {UPGRADE_ADVICE}")
            for one in missing(connection)
        ]
        if lacking:
            return lacking
        keys = [_lacks(key) for key in missing_keys(connection)]
        counts = ((subject, fix, connection.scalar(text(query))) for subject, query, fix in VERIFICATION)
        return keys + [Finding(subject, f"so in {count} rows; {fix}") for subject, fix, count in counts if count]


def _lacks(key: ForeignKey) -> Finding:
    table, column = key.parent.table.name, key.parent.name
    added = f"ALTER TABLE {table} ADD FOREIGN KEY ({column}) {reference(key)}"
    return Finding(
        f"{table}.{column}",
        f"lacks its foreign key: what is deleted leaves rows behind; on PostgreSQL type: {added} NOT VALID",
    )


def ensure_schema(engine: Engine) -> None:
    """See to it that the tables are there. An empty SQLite file gets them at once.

    Raises:
        SchemaOutOfDateError: they are missing, or of another version; the message says what to type.
        StoreUnavailableError: the database can't be reached.
    """
    found, needed = current(engine), head()
    if found == needed:
        return
    if found is None and engine.dialect.name == "sqlite" and _is_empty(engine):
        upgrade(engine)
        return
    if found is None:
        raise SchemaOutOfDateError(f"The database has none of this package's tables; {UPGRADE_ADVICE}")
    if found not in {script.revision for script in ScriptDirectory.from_config(_config()).walk_revisions()}:
        raise SchemaOutOfDateError(
            f"The database's tables are those of a newer cmbagent-otel ({found}); type: pip install -U cmbagent-otel"
        )
    raise SchemaOutOfDateError(f"The database's tables are of an older version ({found}); {UPGRADE_ADVICE}")


def _is_missing_something(engine: Engine) -> bool:
    with _translated(), engine.connect() as connection:
        return bool(missing(connection))


def _is_empty(engine: Engine) -> bool:
    with engine.connect() as connection:
        return not inspect(connection).get_table_names()


def _migrate(engine: Engine, run: Any) -> None:
    with _translated(), engine.begin() as connection:
        lock_schema(connection)
        run(_config(connection=connection))
        if _context(connection).get_current_revision() is None:
            connection.exec_driver_sql(f"DROP TABLE IF EXISTS {VERSION_TABLE}")


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except DBAPIError as error:
        raise _meaning(error) from error


def _meaning(error: DBAPIError) -> StoreError:
    return translate(error) or StoreError(f"The database refused: {error.orig}")


def _context(connection: Connection) -> MigrationContext:
    return MigrationContext.configure(
        connection, opts={"version_table": VERSION_TABLE, "include_object": _is_ours, "render_as_batch": True}
    )


def _is_ours(_object: object, name: str | None, kind: str, reflected: bool, _compared: object) -> bool:  # noqa: FBT001
    del reflected
    return kind != "table" or name in metadata.tables


def _config(**attributes: Any) -> Config:
    config = Config()
    config.set_main_option("script_location", "cmbagent_otel.store:migrations")
    config.set_main_option("path_separator", "os")
    config.attributes.update(attributes)
    return config
