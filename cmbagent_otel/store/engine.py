"""Opening the database, SQLite or PostgreSQL."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, create_engine, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, DisconnectionError, InterfaceError, OperationalError

from cmbagent_otel.errors import SchemaOutOfDateError, SettingsError, StoreError, StoreUnavailableError

_BUSY_TIMEOUT_MS = 10_000
_CONNECT_TIMEOUT_S = 5
_SQLITE_WRITES = (
    # A batch touches some thousand pages, most of them of indexes: 8 MB of them are kept, so that each is read once.
    "cache_size=-8000",
    "wal_autocheckpoint=4000",  # four times as many pages as by default: most are written again by the next batch
)
UPGRADE_ADVICE = "type: cmbagent-otel db upgrade"


def open_engine(url: str, *, read_only: bool = False) -> Engine:
    """An engine for ``url``; nothing is connected yet.

    Args:
        url: a SQLAlchemy URL; ``postgresql://`` means psycopg 3.
        read_only: the database refuses every write; a SQLite file must exist.

    Raises:
        SettingsError: the URL is none, or of a database that is neither SQLite nor PostgreSQL.
    """
    parsed = _parse(url)
    if parsed.get_backend_name() == "sqlite":
        return _forget_after_fork(_open_sqlite(parsed, read_only=read_only))
    options = "-c timezone=UTC -c jit=off" + (" -c default_transaction_read_only=on" if read_only else "")
    engine = create_engine(
        parsed,
        hide_parameters=True,
        pool_pre_ping=True,
        connect_args={
            "connect_timeout": _CONNECT_TIMEOUT_S,
            "application_name": "cmbagent-otel",
            "options": f"{parsed.query.get('options', '')} {options}".strip(),
        },
    )
    return _forget_after_fork(engine)


def _parse(url: str) -> URL:
    try:
        parsed = make_url(url)
        backend = parsed.get_backend_name()
    except ArgumentError:
        raise SettingsError(
            "CMBAGENT_OTEL_DATABASE_URL: not a database URL; write sqlite:///file.db or "
            "postgresql://user:password@host/database"
        ) from None
    if backend == "sqlite":
        return parsed.set(drivername="sqlite")
    if backend in ("postgresql", "postgres"):
        return parsed.set(drivername="postgresql+psycopg")
    raise SettingsError(f"CMBAGENT_OTEL_DATABASE_URL: {backend} is not supported; use sqlite:/// or postgresql://")


def _open_sqlite(url: URL, *, read_only: bool) -> Engine:
    if read_only and url.database and url.database != ":memory:":
        url = url.set(database=f"file:{Path(url.database).absolute()}", query={"mode": "ro", "uri": "true"})
    engine = create_engine(url, hide_parameters=True)

    @event.listens_for(engine, "connect")
    def _configure(connection: Any, _record: object) -> None:
        # SQLAlchemy, not sqlite3, begins transactions: a writer takes its lock at once, not at its first write.
        connection.isolation_level = None
        cursor = connection.cursor()
        cursor.execute(f"PRAGMA busy_timeout={_BUSY_TIMEOUT_MS}")
        cursor.execute("PRAGMA foreign_keys=ON")
        if read_only:
            cursor.execute("PRAGMA query_only=ON")
        else:
            cursor.execute("PRAGMA journal_mode=WAL")
            cursor.execute("PRAGMA synchronous=NORMAL")
            for pragma in _SQLITE_WRITES:
                cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    @event.listens_for(engine, "begin")
    def _begin(connection: Any) -> None:
        connection.exec_driver_sql("BEGIN" if read_only else "BEGIN IMMEDIATE")

    return engine


def _forget_after_fork(engine: Engine) -> Engine:
    """Let a forked child open connections of its own: those of its parent are not its to use, nor to close."""

    @event.listens_for(engine, "connect")
    def _remember(_connection: object, record: Any) -> None:
        record.info["pid"] = os.getpid()

    @event.listens_for(engine, "checkout")
    def _refuse(_connection: object, record: Any, proxy: Any) -> None:
        if record.info["pid"] != os.getpid():
            record.dbapi_connection = proxy.dbapi_connection = None
            raise DisconnectionError("this connection belongs to the process that forked this one")

    return engine


_SCHEMA_STATES = frozenset({"42P01", "42703", "42P10"})
_AGAIN_STATES = frozenset({"40001", "40P01", "55P03"})
_NO_SUCH = ("no such table", "no such column", "has no column named", "ON CONFLICT clause does not match")


def translate(error: DBAPIError) -> StoreError | None:
    """What a driver's error means for the store; None where the fault lies in what was to be written."""
    state = getattr(error.orig, "sqlstate", None)
    words = str(error.orig)
    if state in _SCHEMA_STATES or any(phrase in words for phrase in _NO_SUCH):
        return SchemaOutOfDateError(f"The database's tables are not those of this version; {UPGRADE_ADVICE}")
    if state == "42501":
        return StoreError(f"The database's user may not do that: {words.strip()}. Grant it, or use another user.")
    if error.connection_invalidated or isinstance(error, OperationalError | InterfaceError):
        first = words.strip().splitlines()[0] if words.strip() else type(error.orig).__name__
        return StoreUnavailableError(f"The database can't be reached or used now: {first}.")
    return None


def worth_another_try(error: DBAPIError) -> bool:
    """Whether the same transaction may well succeed at once: a deadlock, or a connection that went away."""
    if getattr(error.orig, "sqlstate", None) in _AGAIN_STATES or error.connection_invalidated:
        return True
    return isinstance(error.orig, sqlite3.OperationalError) and "locked" in str(error.orig)
