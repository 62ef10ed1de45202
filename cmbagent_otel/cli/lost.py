"""What waits on disk, and what was put aside."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from cmbagent_otel.cli.findings import Finding, fine, mend, note
from cmbagent_otel.errors import CmbagentOtelError
from cmbagent_otel.query import words
from cmbagent_otel.query.database import Reader
from cmbagent_otel.query.losses import fetch_losses
from cmbagent_otel.settings import Settings


def look(config: Settings) -> Iterator[Finding]:
    """The spool, and the records put aside."""
    yield _spool(config.resolved_spool_dir)
    yield _rejected(config)


def _spool(folder: Path) -> Finding:
    files = []
    with suppress(OSError):
        files = [(path.stat().st_size, path.stat().st_mtime) for path in folder.iterdir() if path.is_file()]
    waiting = [(size, changed) for size, changed in files if size]
    if not waiting:
        return fine("spool", f"nothing waits in {folder}")
    oldest = time.time() - min(changed for _size, changed in waiting)
    return mend(
        "spool",
        f"{words.size(sum(size for size, _changed in waiting))} in {words.plural(len(waiting), 'file')} wait in "
        f"{folder}, the oldest since {words.duration(oldest)}",
        "bring the database back; the next traced program writes them",
    )


def _rejected(config: Settings) -> Finding:
    try:
        with Reader(config.resolved_database_url) as reader, reader.reading() as connection:
            losses = fetch_losses(connection)
    except CmbagentOtelError:
        return note("put aside", "not known: the database can't be read")
    if not losses.rejected:
        return fine("put aside", "no record was refused")
    return mend(
        "put aside",
        f"{words.plural(losses.rejected, 'record')} in rejected_records, the last because: {losses.last_reason}",
        "SELECT reason, name, record FROM rejected_records; once mended, DELETE FROM rejected_records",
    )
