"""Bringing the tables up and down: Alembic, inside the package, with a version table of its own.

Other migrations in the same database, such as CMBAgent's, are not seen and not touched.
"""

from __future__ import annotations

import io
from typing import Any, NamedTuple

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, inspect
from sqlalchemy.exc import DBAPIError

from cmbagent_otel.errors import SchemaOutOfDateError, StoreError
from cmbagent_otel.store.engine import UPGRADE_ADVICE, translate
from cmbagent_otel.store.locks import lock_schema
from cmbagent_otel.store.schema import metadata

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
        StoreError: it refuses; nothing has changed.
    """
    _migrate(engine, lambda config: command.upgrade(config, revision))


def downgrade(engine: Engine, revision: str) -> None:
    """Take back what was added after ``revision``; ``base`` is all of it.

    Raises:
        As :func:`upgrade`.
    """
    _migrate(engine, lambda config: command.downgrade(config, revision))


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


def sql(dialect: str, direction: str) -> str:
    """The migration as SQL for a DBA to read and run.

    Args:
        dialect: ``sqlite`` or ``postgresql``.
        direction: ``upgrade`` or ``downgrade``.
    """
    output = io.StringIO()
    config = _config(dialect=dialect, output=output)
    if direction == "upgrade":
        command.upgrade(config, "head", sql=True)
    else:
        command.downgrade(config, "head:base", sql=True)
    return output.getvalue()


def check(engine: Engine) -> list[Finding]:
    """What in the database is not as this package needs it; empty where all is well.

    Raises:
        StoreUnavailableError: the database can't be reached.
    """
    found, needed = current(engine), head()
    if found != needed:
        return [Finding("version", f"is {found or 'missing'}, this package needs {needed}; {UPGRADE_ADVICE}")]
    with engine.connect() as connection:
        return [Finding("schema", str(difference)) for difference in compare_metadata(_context(connection), metadata)]


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
            f"The database's tables are of a newer version ({found}) of cmbagent-otel; type: pip install -U cmbagent-otel"
        )
    raise SchemaOutOfDateError(f"The database's tables are of an older version ({found}); {UPGRADE_ADVICE}")


def _is_empty(engine: Engine) -> bool:
    with engine.connect() as connection:
        return not inspect(connection).get_table_names()


def _migrate(engine: Engine, run: Any) -> None:
    try:
        with engine.begin() as connection:
            lock_schema(connection)
            run(_config(connection=connection))
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
