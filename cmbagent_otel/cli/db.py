"""``db``: the tables, made, brought up to date, looked at."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from cmbagent_otel import settings
from cmbagent_otel.cli.commands import opened
from cmbagent_otel.cli.terminal import print_json, say
from cmbagent_otel.errors import SettingsError
from cmbagent_otel.query.database import telling
from cmbagent_otel.query.document import SCHEMA
from cmbagent_otel.store import migrate
from cmbagent_otel.store.engine import open_engine

DIALECTS = ("postgresql", "sqlite")


def upgrade(database: str | None, revision: str) -> None:
    """Bring the tables to ``revision``."""
    with _opened(database) as engine:
        before = migrate.current(engine)
        migrate.upgrade(engine, revision)
        after = migrate.current(engine)
        if before == after:
            say(f"{_name(engine)} is at revision {after} already.")
        else:
            say(f"{_name(engine)} is now at revision {after} (before: {before or 'no tables'}).")


def downgrade(database: str | None, revision: str) -> None:
    """Take the tables back to ``revision``."""
    with _opened(database) as engine:
        before = migrate.current(engine)
        migrate.downgrade(engine, revision)
        say(f"{_name(engine)} is now at {migrate.current(engine) or 'no tables of ours'} (before: {before}).")


def current(database: str | None, *, json: bool) -> None:
    """Say at which revision the tables are."""
    with opened(database) as reader:
        found, newest = migrate.current(reader.engine), migrate.head()
        if json:
            print_json(_state(reader.name, found, newest))
        else:
            say(f"{found or 'no tables of ours'}{' (the newest)' if found == newest else f' (the newest is {newest})'}")


def check(database: str | None, *, json: bool) -> int:
    """Say whether the tables are those of this version, and sound; returns the exit code."""
    with opened(database) as reader:
        found, newest = migrate.current(reader.engine), migrate.head()
        findings = migrate.check(reader.engine) if found == newest else []
        if json:
            told = [finding._asdict() for finding in findings]
            print_json({**_state(reader.name, found, newest), "findings": told})
        elif found != newest:
            say(f"{reader.name} has {found or 'no tables of ours'}, not {newest}. Type: cmbagent-otel db upgrade")
        else:
            say(f"{reader.name} has the tables of this version (revision {found}).")
            for finding in findings:
                say(f"{finding.subject}: {finding.problem}")
    return int(found != newest or bool(findings))


def sql(dialect: str, *, down: bool, holds: str) -> None:
    """Print the migrations as SQL, for a database's administrator."""
    from cmbagent_otel.store import scripts

    if dialect not in DIALECTS:
        raise SettingsError(f"There is no dialect {dialect!r}; use one of {', '.join(DIALECTS)}.")
    if holds not in scripts.SHAPES:
        shapes = "\n".join(f"  {shape:<12} {meaning}" for shape, meaning in scripts.SHAPES.items())
        raise SettingsError(f"There is no script for what holds {holds!r}; use one of\n{shapes}")
    print(scripts.script(dialect, "downgrade" if down else "upgrade", holds).rstrip())  # noqa: T201


def sweep(database: str | None) -> None:
    """Close the runs whose owner is gone."""
    from cmbagent_otel.store.sweep import sweep as close_abandoned

    with _opened(database) as engine:
        closed = close_abandoned(engine)
        for run_id in closed:
            say(f"{run_id} closed as interrupted.")
        if not closed:
            say("No run has lost its owner.")


@contextmanager
def _opened(database: str | None) -> Iterator[Any]:
    engine = open_engine(settings.load(database_url=database).resolved_database_url)
    try:
        with telling(_name(engine)):
            yield engine
    finally:
        engine.dispose()


def _name(engine: Any) -> str:
    return str(engine.url.render_as_string(hide_password=True))


def _state(name: str, found: str | None, newest: str) -> dict[str, Any]:
    return {
        "schema": SCHEMA,
        "database": name,
        "revision": found,
        "newest": newest,
        "up_to_date": found == newest,
    }
