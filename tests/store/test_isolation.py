"""The roles of ``docs/howto/postgresql.md``, each statement run as it stands there: who can see and change what."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import errors, sql
from sqlalchemy import Engine, text
from sqlalchemy.engine import make_url
from starlette.testclient import TestClient

from cmbagent_otel import semconv
from cmbagent_otel.errors import StoreError
from cmbagent_otel.store.engine import open_engine
from cmbagent_otel.store.migrate import check, upgrade
from cmbagent_otel.store.purge import purge
from cmbagent_otel.store.schema import metadata
from cmbagent_otel.store.views import VIEWS
from cmbagent_otel.store.writer import Writer
from cmbagent_otel.web.app import create_viewer
from tests.postgresql import Server
from tests.query.stored import Recorder, research

PAGE = Path(__file__).parents[2] / "docs" / "howto" / "postgresql.md"
STATEMENTS = re.findall(r"^```sql\n(.+?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)
PASSWORD = "write-me-anew"
MINE, THEIRS = "the-session-of-ada", "the-session-of-bob"
ROLES = ("sink", "viewer", "ada", "cmbagent_writer", "cmbagent_reader", "cmbagent_member")


@pytest.fixture(scope="module")
def shared(postgresql_server: Server) -> Iterator[str]:
    """The URL of the owner of a database with the page's roles, and with a run of ours and one of somebody else."""
    with psycopg.connect(postgresql_server.url, autocommit=True) as connection:
        if connection.info.server_version < 150_000:
            pytest.skip("views ask with the rights of their reader from PostgreSQL 15 on")
        connection.execute("SELECT pg_advisory_lock(1)")  # roles belong to the server, whoever else tests there
        url = postgresql_server.create_database()
        try:
            _share(url)
            yield url
        finally:
            postgresql_server.drop_database(url)
            for role in ROLES:
                connection.execute(sql.SQL("DROP ROLE IF EXISTS {}").format(sql.Identifier(role)))


def _share(url: str) -> None:
    engine = open_engine(url)
    upgrade(engine)
    for number, session in enumerate((MINE, THEIRS), start=1):
        made = research(engine, number, store=False)
        made.spans[0] = made.spans[0]._replace(attributes={**made.spans[0].attributes, semconv.SESSION_ID: session})
        made.store()
        _add_what_nobody_writes(engine, made)
    engine.dispose()
    with psycopg.connect(url, autocommit=True) as connection:
        for statements in STATEMENTS:
            connection.execute(statements.encode())


def _add_what_nobody_writes(engine: Engine, made: Recorder) -> None:
    with engine.begin() as connection:
        for statement in (
            "INSERT INTO files (id, run_id, file_path, file_type, created_at) VALUES (:run, :run, 'a', 'plot', now())",
            "INSERT INTO messages (run_id, sender, recipient, content, timestamp) VALUES (:run, 'a', 'b', 'hi', now())",
            "INSERT INTO rejected_records (digest, rejected_at, reason) VALUES (:run, now(), 'NUL')",
        ):
            connection.execute(text(statement), {"run": made.run_id})


def as_role(url: str, role: str) -> str:
    return make_url(url).set(username=role, password=PASSWORD).render_as_string(hide_password=False)


def rows(url: str, table: str) -> list[dict[str, Any]]:
    engine = open_engine(url)
    try:
        with engine.connect() as connection:
            return [dict(row) for row in connection.execute(text(f"SELECT * FROM {table}")).mappings()]
    finally:
        engine.dispose()


def run_of(shared: str, session: str) -> str:
    return str(next(row["id"] for row in rows(shared, "workflow_runs") if row["session_id"] == session))


@pytest.mark.parametrize("name", [*metadata.tables, *VIEWS])
def test_a_member_sees_all_rows_of_their_session_and_none_of_another(shared: str, name: str) -> None:
    mine, theirs = run_of(shared, MINE), run_of(shared, THEIRS)
    nodes = {row["id"]: row["run_id"] for row in rows(shared, "dag_nodes")}

    def is_mine(row: dict[str, Any]) -> bool:
        if name == "rejected_records":
            return False
        if name == "sessions":
            return bool(row["id"] == MINE)
        run_id = nodes[row["to_node_id"]] if name == "dag_edges" else row["id" if name == "workflow_runs" else "run_id"]
        assert run_id in (mine, theirs)
        return bool(run_id == mine)

    everything = rows(shared, name)
    seen = rows(as_role(shared, "ada"), name)
    assert sorted(seen, key=repr) == sorted(filter(is_mine, everything), key=repr)
    assert len(seen) < len(everything)
    assert seen or name == "rejected_records"


def test_a_member_can_neither_write_nor_grant_themselves_a_session(shared: str) -> None:
    with psycopg.connect(as_role(shared, "ada"), autocommit=True) as connection:
        for statement in (
            f"INSERT INTO access.grants VALUES ('ada', '{THEIRS}')",
            "UPDATE workflow_runs SET session_id = 'x'",
            "DELETE FROM dag_nodes",
            "DROP POLICY of_my_sessions ON dag_nodes",
            "SET ROLE cmbagent_reader",
        ):
            with pytest.raises(errors.InsufficientPrivilege):
                connection.execute(statement.encode())


def test_the_viewer_serves_a_reader_everything_and_a_member_their_session(shared: str) -> None:
    mine, theirs = run_of(shared, MINE), run_of(shared, THEIRS)
    for role, status in (("viewer", 200), ("ada", 404)):
        with TestClient(create_viewer(as_role(shared, role)), base_url="http://localhost") as asking:
            assert asking.get("/").status_code == 200
            assert asking.get(f"/runs/{mine}").status_code == 200
            assert asking.get(f"/runs/{theirs}").status_code == status


def test_a_reader_can_write_nothing(shared: str) -> None:
    engine = open_engine(as_role(shared, "viewer"))
    made = research(engine, 3, store=False)
    with pytest.raises(StoreError, match="may not do that"):
        Writer(engine).write(made.spans)
    with engine.connect() as connection:
        for table in metadata.tables:
            with pytest.raises(Exception, match="permission denied"), connection.begin():
                connection.execute(text(f"DELETE FROM {table}"))
    engine.dispose()


def test_a_writer_writes_and_purges_as_the_owner_does_and_can_not_change_a_table(shared: str) -> None:
    engine = open_engine(as_role(shared, "sink"))
    made = research(engine, 3)
    assert sum(row["run_id"] == made.run_id for row in rows(shared, "dag_nodes")) == len(made.spans)
    assert purge(engine, run_ids=[made.run_id]).run_ids == (made.run_id,)
    with pytest.raises(Exception, match="must be owner"), engine.begin() as connection:
        connection.execute(text("DROP TABLE messages"))
    engine.dispose()


def test_the_tables_are_still_those_of_this_version(shared: str) -> None:
    engine = open_engine(shared)
    assert not check(engine)
    engine.dispose()
