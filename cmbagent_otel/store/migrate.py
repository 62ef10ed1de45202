"""Bringing the tables up, and back down: Alembic, inside the package, with a version table of our own."""

from __future__ import annotations

import io

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, inspect
from sqlalchemy.exc import OperationalError

from cmbagent_otel.errors import SchemaOutOfDateError, StoreUnavailableError
from cmbagent_otel.store.locks import lock_schema

VERSION_TABLE = "cmbagent_otel_version"


def upgrade(engine: Engine, revision: str = "head") -> None:
    """Bring the tables to ``revision``; one that is there already changes nothing."""
    with engine.begin() as connection:
        lock_schema(connection)
        command.upgrade(_config(connection), revision)


def downgrade(engine: Engine, revision: str = "base") -> None:
    """Take the tables back to ``revision``."""
    with engine.begin() as connection:
        lock_schema(connection)
        command.downgrade(_config(connection), revision)


def current(engine: Engine) -> str | None:
    """The revision of the tables, or None where there are none of ours."""
    try:
        with engine.connect() as connection:
            return _current(connection)
    except OperationalError as error:
        raise _unavailable(engine, error) from None


def head() -> str:
    """The newest revision that this package knows."""
    found = ScriptDirectory.from_config(_config(None)).get_current_head()
    if found is None:  # pragma: no cover - the package ships revisions
        raise SchemaOutOfDateError("This package holds no migrations; install it anew.")
    return found


def sql(dialect: str, direction: str = "upgrade") -> str:
    """The statements of a migration from nothing to the newest revision, or back, for a database's administrator."""
    config = _config(None)
    config.attributes["dialect"] = dialect
    config.output_buffer = io.StringIO()
    if direction == "upgrade":
        command.upgrade(config, "head", sql=True)
    else:
        command.downgrade(config, f"{head()}:base", sql=True)
    return config.output_buffer.getvalue()


def ensure_schema(engine: Engine) -> None:
    """See that the tables are there; those of an empty SQLite file are made.

    Raises:
        SchemaOutOfDateError: they are missing, or of another version; the message says what to type.
        StoreUnavailableError: the database can't be reached.
    """
    try:
        with engine.begin() as connection:
            found = _current(connection)
            empty = found is None and not inspect(connection).get_table_names()
    except OperationalError as error:
        raise _unavailable(engine, error) from None
    if found == head():
        return
    if empty and engine.dialect.name == "sqlite":
        upgrade(engine)
        return
    where = engine.url.render_as_string(hide_password=True)
    state = "has no tables of cmbagent-otel" if found is None else f"has its tables at revision {found}, not {head()}"
    raise SchemaOutOfDateError(f"The database {where} {state}. Type: cmbagent-otel db upgrade")


def _current(connection: Connection) -> str | None:
    return MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE}).get_current_revision()


def _config(connection: Connection | None) -> Config:
    config = Config()
    config.set_main_option("script_location", "cmbagent_otel.store:migrations")
    config.attributes["connection"] = connection
    return config


def _unavailable(engine: Engine, error: OperationalError) -> StoreUnavailableError:
    where = engine.url.render_as_string(hide_password=True)
    reason = str(error.orig).strip().splitlines()[0] if error.orig is not None else str(error)
    return StoreUnavailableError(f"The database {where} can't be reached: {reason}.")
