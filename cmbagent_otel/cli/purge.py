"""``purge``: runs that ended long ago go."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from cmbagent_otel import settings
from cmbagent_otel.cli.terminal import print_json, say, tell
from cmbagent_otel.errors import SettingsError
from cmbagent_otel.query import words
from cmbagent_otel.query.database import telling
from cmbagent_otel.query.document import SCHEMA
from cmbagent_otel.query.runs import resolve_run
from cmbagent_otel.store.engine import open_engine
from cmbagent_otel.store.purge import PurgeProgress, PurgeResult
from cmbagent_otel.store.purge import purge as delete_runs

_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_AGE = re.compile(r"(\d{1,5})([mhdw])")
_SECONDS_BETWEEN_LINES = 2.0


def age(text: str) -> timedelta:
    """``30d``, ``12h``, ``2w`` or ``90m`` as a length of time.

    Raises:
        SettingsError: it has another form; the message shows the right one.
    """
    found = _AGE.fullmatch(text.strip().lower())
    if found is None:
        raise SettingsError(f"--older-than {text!r} is no age; write 30d, 12h, 2w or 90m.")
    return timedelta(**{_UNITS[found[2]]: int(found[1])})


def purge(
    database: str | None,
    older_than: str | None,
    names: Sequence[str],
    *,
    events_only: bool,
    dry_run: bool,
    json: bool,
    confirm: Callable[[str], object] | None,
) -> None:
    """Delete the runs; ``confirm`` is asked first and raises to stop it."""
    limit = None if older_than is None else age(older_than)
    engine = open_engine(settings.load(database_url=database).resolved_database_url)
    try:
        with telling(engine.url.render_as_string(hide_password=True)):
            with engine.connect() as connection:
                run_ids = [resolve_run(connection, name) for name in names]
            if confirm is not None and not dry_run:
                planned = delete_runs(engine, older_than=limit, run_ids=run_ids, events_only=events_only, dry_run=True)
                if planned.run_ids:
                    confirm(f"{_what(planned, events_only=events_only)} will be deleted. Go on?")
            with _shown(silent=json) as progress:
                result = delete_runs(
                    engine,
                    older_than=limit,
                    run_ids=run_ids,
                    events_only=events_only,
                    dry_run=dry_run,
                    progress=progress,
                )
    finally:
        engine.dispose()
    if json:
        print_json({"schema": SCHEMA, "dry_run": dry_run, "events_only": events_only, **result._asdict()})
        return
    for run_id in result.kept:
        tell(f"{run_id} stays: it goes on, has nothing to delete, or is not that old.")
    if not result.run_ids:
        say("Nothing to delete.")
        return
    say(f"{_what(result, events_only=events_only)} {'would be' if dry_run else 'were'} deleted.")
    for table, number in result.rows.items():
        if number:
            say(f"  {table:<17} {number:>12,}")


def _what(result: PurgeResult, *, events_only: bool) -> str:
    runs = words.plural(len(result.run_ids), "run")
    rows = words.plural(sum(result.rows.values()), "row")
    return f"The events of {runs} ({rows})" if events_only else f"{runs} ({rows})"


@contextmanager
def _shown(*, silent: bool) -> Iterator[Callable[[PurgeProgress], None]]:
    """A bar on a terminal, else a line now and then; on standard error, so that the output is the result."""
    console = Console(stderr=True)
    if silent:
        yield lambda _: None
    elif console.is_terminal:
        columns = (
            TextColumn("purge"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("runs, {task.fields[rows]:,} rows"),
        )
        with Progress(*columns, console=console, transient=True) as bar:
            task = bar.add_task("purge", total=None, rows=0)
            yield lambda at: bar.update(task, completed=at.runs_done, total=at.runs, rows=at.rows)
    else:
        last = time.monotonic()

        def line(at: PurgeProgress) -> None:
            nonlocal last
            if time.monotonic() - last >= _SECONDS_BETWEEN_LINES:
                last = time.monotonic()
                tell(f"{at.runs_done} of {words.plural(at.runs, 'run')}, {words.plural(at.rows, 'row')}.")

        yield line
