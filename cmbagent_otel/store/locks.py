"""Advisory locks: two writers never settle the same trace, run or session at once.

SQLite has one writer at a time, so there the transaction is the lock. On PostgreSQL locks are taken in one
order by everyone (traces, then runs, then sessions, each sorted) and end with the transaction. Names share a
bounded number of locks, since the server has only so many.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable

from sqlalchemy import Connection

_TRACES, _RUNS, _SESSIONS, _SCHEMA = 0x636D6201, 0x636D6202, 0x636D6203, 0x636D6204
_LOCKS_OF_A_KIND = 1024


def lock_traces(connection: Connection, trace_ids: Iterable[str]) -> None:
    """Wait until no other transaction settles these traces; the first locks that a writer takes."""
    _lock(connection, _TRACES, trace_ids)


def lock_runs(connection: Connection, run_ids: Iterable[str]) -> None:
    """Wait until no other transaction settles these runs; after those of the traces."""
    _lock(connection, _RUNS, run_ids)


def lock_sessions(connection: Connection, session_ids: Iterable[str]) -> None:
    """Wait until no other transaction settles these sessions; after those of the runs."""
    _lock(connection, _SESSIONS, session_ids)


def lock_schema(connection: Connection) -> None:
    """Wait until no other transaction changes the tables."""
    _lock(connection, _SCHEMA, ("",))


def try_schema(connection: Connection) -> bool:
    """Take PostgreSQL's lock of the tables for more than one transaction; whether nobody else has it."""
    return bool(connection.exec_driver_sql(f"SELECT pg_try_advisory_lock({_SCHEMA}, 0)").scalar())


def unlock_schema(connection: Connection) -> None:
    """Give it back."""
    connection.exec_driver_sql(f"SELECT pg_advisory_unlock({_SCHEMA}, 0)")


def _lock(connection: Connection, kind: int, names: Iterable[str]) -> None:
    if connection.dialect.name != "postgresql":
        return
    keys = sorted({zlib.crc32(name.encode()) % _LOCKS_OF_A_KIND for name in names})
    if keys:
        connection.exec_driver_sql("SELECT pg_advisory_xact_lock(%s, k) FROM unnest(%s::int[]) AS k", (kind, keys))
