"""From memory to the database, or to the spool while the database is away.

One :class:`Delivery` belongs to one thread at a time, and is the only thing in a process that waits for the
database. Nothing connects before the first record is due.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Sequence
from pathlib import Path

from cmbagent_otel.errors import (
    CmbagentOtelError,
    SchemaOutOfDateError,
    SettingsError,
    StoreError,
    StoreUnavailableError,
)
from cmbagent_otel.settings import Settings
from cmbagent_otel.spans.record import Record
from cmbagent_otel.store.engine import open_engine
from cmbagent_otel.store.migrate import ensure_schema
from cmbagent_otel.store.spool import Spool
from cmbagent_otel.store.sweep import sweep
from cmbagent_otel.store.writer import Writer

_logger = logging.getLogger(__name__)

BATCH = 512
_FIRST_PAUSE = 1.0
_LONGEST_PAUSE = 30.0


def check_destination(settings: Settings) -> None:
    """Look, without connecting, whether there can be a database and a spool where the settings say.

    Raises:
        SettingsError: the URL is none of ours, or a folder can't be written to; the message names the fix.
    """
    engine = open_engine(settings.resolved_database_url)
    if engine.dialect.name == "sqlite" and engine.url.database not in (None, "", ":memory:"):
        folder = Path(str(engine.url.database)).parent
        if not os.access(folder, os.W_OK | os.X_OK):
            raise SettingsError(
                f"CMBAGENT_OTEL_DATABASE_URL: the folder {folder} is not there or can't be written to; "
                "make it, or name another file."
            )
    engine.dispose()
    spool = settings.resolved_spool_dir
    try:
        spool.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise SettingsError(
            f"CMBAGENT_OTEL_SPOOL_DIR: {spool} can't be made ({error.strerror}); name a folder that can be written to."
        ) from None
    if not os.access(spool, os.W_OK | os.X_OK):
        raise SettingsError(f"CMBAGENT_OTEL_SPOOL_DIR: {spool} can't be written to; name a folder that can.")


class Delivery:
    """Writes batches in order of trouble: database, spool, and last of all a counted loss."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._spool = Spool(settings.resolved_spool_dir, settings.spool_limit_mb * 1_000_000)
        self._writer: Writer | None = None
        self._said: set[str] = set()
        self._pause = 0.0
        self._closed_until = 0.0

    @property
    def spool(self) -> Spool:
        """Where records wait; usable from any thread."""
        return self._spool

    def deliver(self, records: Sequence[Record]) -> bool:
        """Store ``records``; True when the database has them, False when they wait on disk. Never raises."""
        writer = self._open()
        if writer is not None:
            try:
                writer.write(records)
            except Exception as error:  # noqa: BLE001 - whatever it is, the records are kept
                self._failed(error)
            else:
                return True
        self.keep(records)
        return False

    def keep(self, records: Sequence[Record]) -> None:
        """Append ``records`` to the spool; from any thread. What even the spool can't take is counted and said."""
        try:
            dropped = self._spool.append(records)
        except (CmbagentOtelError, OSError) as error:
            self._say(f"{len(records)} trace records were lost: {error}")
            return
        if dropped:
            self._say(
                f"{dropped} trace records were lost: the spool is full. "
                "Bring the database back, or raise CMBAGENT_OTEL_SPOOL_LIMIT_MB."
            )

    def catch_up(self) -> None:
        """Write what was spooled while the database was there, since more came than memory may hold. Never raises."""
        if self._writer is None or not self._spool.is_used:
            return
        try:
            self._spool.replay(self._writer)
        except Exception as error:  # noqa: BLE001 - what is not committed stays in the spool
            self._failed(error)

    def close(self) -> None:
        """Let go of the database, and leave what waits to the next process."""
        self._let_go()
        self._spool.close()

    def _let_go(self) -> None:
        writer, self._writer = self._writer, None
        if writer is not None:
            writer.engine.dispose()

    def _open(self) -> Writer | None:
        if self._writer is not None:
            return self._writer
        if time.monotonic() < self._closed_until:
            return None
        engine = open_engine(self._settings.resolved_database_url)
        try:
            ensure_schema(engine)
            writer = Writer(engine, content=self._settings.content_recorded)
            self._spool.replay(writer)
            sweep(engine)
        except Exception as error:  # noqa: BLE001 - a driver may raise anything; the run goes on
            engine.dispose()
            self._failed(error)
            return None
        self._pause = 0.0
        self._writer = writer
        return writer

    def _failed(self, error: Exception) -> None:
        self._let_go()
        self._pause = min(max(self._pause * 2, _FIRST_PAUSE), _LONGEST_PAUSE)
        self._closed_until = time.monotonic() + self._pause
        if isinstance(error, SchemaOutOfDateError):
            self._say(f"{error} Until then the trace waits in {self._spool.directory}.")
        elif isinstance(error, StoreUnavailableError):
            self._say(f"{error} The trace waits in {self._spool.directory} until the database is back.")
        elif isinstance(error, StoreError):
            self._say(f"{error} The trace waits in {self._spool.directory}.")
        else:
            self._say(f"{type(error).__name__}: {error}. The trace waits in {self._spool.directory}.")

    def _say(self, line: str) -> None:
        if line not in self._said:
            self._said.add(line)
            _logger.error("cmbagent-otel: %s", line)
