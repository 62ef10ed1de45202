"""What ``doctor --db`` tells of the tables."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from sqlalchemy import Connection, Engine, insert

from cmbagent_otel.cli import terminal
from cmbagent_otel.cli.app import start
from cmbagent_otel.store.health import examine
from cmbagent_otel.store.schema import metadata, rejected_records, sessions
from tests.query.stored import Recorder, research


def test_sizes_and_growth_are_those_of_the_rows_that_are_there(engine: Engine) -> None:
    nodes = len(research(engine, 1).spans) + len(research(engine, 2).spans)
    with engine.connect() as connection:
        health = examine(connection)
    sizes = {table.name: table for table in health.tables}
    assert set(sizes) == set(metadata.tables)
    assert sizes["dag_nodes"].rows == nodes
    assert all(table.bytes is None or table.bytes > 0 for table in health.tables)
    assert health.runs == 2
    assert health.bytes_a_run == health.bytes / 2 > 0
    assert health.rows_a_run == sum(table.rows for table in health.tables) / 2
    assert (health.placeholders, health.null_depths, health.sessions_without_runs, health.rejected_records) == (0,) * 4


def test_each_table_tells_its_bytes(engine: Engine) -> None:
    research(engine)
    with engine.connect() as connection:
        if engine.dialect.name == "sqlite" and not _tells_bytes(connection):
            pytest.skip("this build of SQLite does not tell")
        health = examine(connection)
    assert all(table.bytes for table in health.tables)
    assert health.bytes == health.bytes_a_run == sum(table.bytes or 0 for table in health.tables)


def _tells_bytes(connection: Connection) -> bool:
    return "ENABLE_DBSTAT_VTAB" in connection.exec_driver_sql("PRAGMA compile_options").scalars().all()


def test_an_empty_database_has_no_growth(engine: Engine) -> None:
    with engine.connect() as connection:
        health = examine(connection)
    assert (health.runs, health.rows_a_run, health.bytes_a_run) == (0, None, None)


def test_a_parent_that_has_not_come_is_counted_with_what_hangs_below_it(engine: Engine) -> None:
    made = Recorder(engine)
    made.agent(made.workflow(), "engineer")
    del made.spans[0]
    made.store()
    with engine.connect() as connection:
        health = examine(connection)
    assert (health.placeholders, health.null_depths) == (1, 2)


def test_empty_sessions_and_rejected_records_are_counted(engine: Engine) -> None:
    at = datetime.now(UTC).replace(tzinfo=None)
    with engine.begin() as connection:
        connection.execute(insert(sessions).values(id="s", name="empty", created_at=at, last_active_at=at))
        connection.execute(insert(rejected_records).values(digest="d", rejected_at=at, reason="NUL"))
        health = examine(connection)
    assert (health.sessions_without_runs, health.rejected_records) == (1, 1)


def told(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *words: str) -> str:
    terminal.out.cache_clear()
    monkeypatch.setattr("sys.argv", ["cmbagent-otel", *words])
    with pytest.raises(SystemExit):
        start()
    return capsys.readouterr().out


def test_doctor_shows_the_tables_and_query_times_only_when_asked(
    engine: Engine, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    made = research(engine)
    url = engine.url.render_as_string(hide_password=False)
    found = json.loads(told(capsys, monkeypatch, "doctor", "--db", "--json", "--database", url))["database"]
    assert {table["name"]: table["rows"] for table in found["tables"]}["dag_nodes"] == len(made.spans)
    assert len(found["queries"]) == 4
    assert "database" not in json.loads(told(capsys, monkeypatch, "doctor", "--json", "--database", url))
    shown = told(capsys, monkeypatch, "doctor", "--db", "--database", url)
    assert "execution_events" in shown
    assert "rows a run" in shown
    assert f"the graph of {made.run_id[:8]}" in shown
