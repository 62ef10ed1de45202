"""The SQL files do what the command does, on what a database holds, and back."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import Engine, text

from cmbagent_otel.store import migrate, scripts
from cmbagent_otel.store.engine import open_engine
from tests.postgresql import Server, installations
from tests.store import cmbagent_database
from tests.store.database import everything, rows, shape

SCRIPTS = files("cmbagent_otel.store").joinpath("migrations", "sql")

Run = Callable[[Engine, str], None]


def by_module(engine: Engine, script: str) -> None:
    connection = sqlite3.connect(str(engine.url.database))
    try:
        connection.executescript(SCRIPTS.joinpath(script).read_text())
    finally:
        connection.close()


def by_sqlite3(engine: Engine, script: str) -> None:
    if not shutil.which("sqlite3"):
        pytest.skip("no sqlite3 in PATH")
    command = ["sqlite3", "-bail", str(engine.url.database)]
    subprocess.run(command, input=SCRIPTS.joinpath(script).read_bytes(), capture_output=True, check=True)


def by_psycopg(engine: Engine, script: str) -> None:
    with psycopg.connect(address(engine), autocommit=True) as connection:
        for statement in SCRIPTS.joinpath(script).read_text().split(";\n\n"):
            connection.execute(statement.encode())


def by_psql(engine: Engine, script: str) -> None:
    psql = installations()[0].bin / "psql"
    if not psql.exists():
        pytest.skip(f"no {psql}")
    command = [str(psql), "-v", "ON_ERROR_STOP=1", "-f", str(SCRIPTS.joinpath(script)), address(engine)]
    subprocess.run(command, capture_output=True, check=True)


def address(engine: Engine) -> str:
    return engine.url.set(drivername="postgresql").render_as_string(hide_password=False)


RUNNERS = [
    pytest.param("sqlite", by_module, id="sqlite-module"),
    pytest.param("sqlite", by_sqlite3, id="sqlite3"),
    pytest.param("postgresql", by_psycopg, id="psycopg"),
    pytest.param("postgresql", by_psql, id="psql"),
]


class Database:
    """A new database of one kind, and what to call its scripts."""

    def __init__(self, kind: str, engine: Engine, holds: str) -> None:
        self.engine = engine
        self.prefix = kind if kind == "postgresql" else f"{kind}-{holds}"
        if holds != scripts.EMPTY:
            cmbagent_database.make(engine, holds)


@pytest.fixture
def opened(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[str], Engine]]:
    engines: list[Engine] = []

    def new(kind: str) -> Engine:
        if kind == "sqlite":
            url = f"sqlite:///{tmp_path / f'{len(engines)}.db'}"
        else:
            server: Server = request.getfixturevalue("postgresql_server")
            url = server.create_database()
        engines.append(open_engine(url))
        return engines[-1]

    yield new
    for engine in engines:
        engine.dispose()
        if engine.dialect.name == "postgresql":
            request.getfixturevalue("postgresql_server").drop_database(address(engine))


def notes(engine: Engine) -> list[Any]:
    with engine.connect() as connection:
        added = connection.execute(text("SELECT kind, table_name, name FROM cmbagent_otel_added")).all()
    return [*sorted(added), migrate.current(engine)]


@pytest.mark.parametrize("holds", scripts.SHAPES)
@pytest.mark.parametrize(("kind", "run"), RUNNERS)
def test_script_makes_what_the_command_makes_and_its_way_back_leaves_what_was_there(
    kind: str, run: Run, holds: str, opened: Callable[[str], Engine]
) -> None:
    ours, other = Database(kind, opened(kind), holds), Database(kind, opened(kind), holds)
    before, columns = everything(ours.engine), shape(ours.engine)
    held = rows(ours.engine, columns)

    run(ours.engine, f"{ours.prefix}-upgrade.sql")
    migrate.upgrade(other.engine)
    assert everything(ours.engine) == everything(other.engine)
    assert notes(ours.engine) == notes(other.engine)
    assert rows(ours.engine, columns) == held
    assert migrate.check(ours.engine) == []

    run(ours.engine, f"{ours.prefix}-downgrade.sql")
    assert everything(ours.engine) == before
    assert rows(ours.engine, columns) == held

    run(other.engine, f"{ours.prefix}-downgrade.sql")  # what the command has added
    assert everything(other.engine) == before


@pytest.mark.parametrize("direction", ["upgrade", "downgrade"])
def test_postgresqls_script_run_twice_changes_nothing_more(direction: str, opened: Callable[[str], Engine]) -> None:
    engine = Database("postgresql", opened("postgresql"), "flat").engine
    by_psycopg(engine, "postgresql-upgrade.sql")
    by_psycopg(engine, f"postgresql-{direction}.sql")
    once = everything(engine)
    by_psycopg(engine, f"postgresql-{direction}.sql")
    assert everything(engine) == once


@pytest.mark.parametrize("holds", cmbagent_database.SHAPES)
@pytest.mark.parametrize("script", scripts.SHAPES)
def test_sqlites_script_for_another_shape_changes_nothing(
    holds: str, script: str, opened: Callable[[str], Engine]
) -> None:
    engine = Database("sqlite", opened("sqlite"), holds).engine
    if script != holds:
        before = everything(engine)
        with pytest.raises(sqlite3.OperationalError):
            by_module(engine, f"sqlite-{script}-upgrade.sql")
        assert everything(engine) == before


def test_index_that_an_interrupted_attempt_left_broken_is_made_anew(opened: Callable[[str], Engine]) -> None:
    engine = Database("postgresql", opened("postgresql"), "tree").engine
    by_psycopg(engine, "postgresql-upgrade.sql")
    with engine.begin() as connection:
        connection.execute(
            text("UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'uq_files_source_id'::regclass")
        )
    assert [finding.subject for finding in migrate.check(engine)] == ["files"]
    by_psycopg(engine, "postgresql-upgrade.sql")
    assert migrate.check(engine) == []
