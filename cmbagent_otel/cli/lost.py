"""What waits on disk, and what was put aside."""

from __future__ import annotations

from collections.abc import Iterator

from cmbagent_otel.cli.findings import Finding, fine, mend, note
from cmbagent_otel.errors import CmbagentOtelError
from cmbagent_otel.query import words
from cmbagent_otel.query.database import Reader
from cmbagent_otel.query.losses import fetch_losses
from cmbagent_otel.settings import Settings
from cmbagent_otel.store.spool import Spool


def look(config: Settings) -> Iterator[Finding]:
    """The spool, what it had no room for, and the records put aside."""
    spool = Spool(config.resolved_spool_dir, config.spool_limit_mb * 1_000_000)
    count, waiting = spool.waiting()
    if waiting:
        yield mend(
            "waiting",
            f"{words.size(waiting)} in {words.plural(count, 'file')} of {spool.directory}",
            "bring the database back; the next traced program writes them",
        )
    else:
        yield fine("waiting", f"nothing in {spool.directory}")
    lost = spool.lost()
    if lost:
        yield mend(
            "lost",
            f"{words.plural(lost, 'record')} found no room in the spool",
            f"raise CMBAGENT_OTEL_SPOOL_LIMIT_MB; then rm {spool.directory / 'lost'}",
        )
    else:
        yield fine("lost", "no record")
    yield _rejected(config)


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
