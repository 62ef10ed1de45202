"""``doctor`` and ``db``."""

from __future__ import annotations

import io
import json
import socket
from datetime import datetime
from pathlib import Path

import pytest
from sqlalchemy import Engine, insert

from cmbagent_otel import settings
from cmbagent_otel.spans.record import Heartbeat
from cmbagent_otel.store.schema import rejected_records
from cmbagent_otel.store.spool import Spool
from cmbagent_otel.store.writer import Writer
from tests.cli.conftest import Call
from tests.query.stored import SECOND, START, Recorder, research


@pytest.fixture(autouse=True)
def _own_spool(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CMBAGENT_OTEL_SPOOL_DIR", str(tmp_path / "spool"))


def findings(call: Call, *words: str) -> dict[str, tuple[str, str, str]]:
    """Name to state, text and fix."""
    done = call("doctor", "--json", *words)
    document = json.loads(done.out)
    assert document["schema"] == 1
    assert done.code == int(document["to_mend"] > 0)
    sections = [part for name, part in document.items() if name not in ("schema", "settings", "to_mend")]
    return {found["name"]: (found["state"], found["text"], found["fix"]) for part in sections for found in part}


# -- doctor --------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("stored")
def test_a_healthy_set_up_has_nothing_to_mend(call: Call) -> None:
    found = findings(call)
    assert {state for state, _text, _fix in found.values()} <= {"fine", "note"}
    assert found["database"][0] == "fine"
    assert found["AG2"][0] == "fine"
    assert call("doctor").out.rstrip().endswith("All is well.")


def test_settings_are_shown_with_their_source_and_without_secrets(
    call: Call, monkeypatch: pytest.MonkeyPatch, sqlite_url: str
) -> None:
    monkeypatch.setenv("CMBAGENT_OTEL_TOKEN", "very-secret")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://me:very-secret@localhost:9")
    document = json.loads(call("doctor", "--json", "--database", sqlite_url).out)
    shown = {setting["variable"]: (setting["value"], setting["source"]) for setting in document["settings"]}
    assert shown["CMBAGENT_OTEL_DATABASE_URL"] == (sqlite_url, "option")
    assert shown["CMBAGENT_OTEL_TOKEN"] == ("set, not shown", "environment")
    assert shown["OTEL_EXPORTER_OTLP_ENDPOINT"] == ("http://me:***@localhost:9", "environment")
    assert shown["CMBAGENT_OTEL_MAX_REDOS"] == ("2", "default")
    assert "very-secret" not in call("doctor").out
    assert set(shown) == {settings.variable_of(name) for name in settings.Settings.model_fields}


def test_what_does_not_answer_is_to_mend_and_the_fix_is_named(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CMBAGENT_OTEL_DATABASE_URL", "postgresql://me:secret@127.0.0.1:1/nothing")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")
    found = findings(call)
    assert found["database"][0] == "mend"
    assert "CMBAGENT_OTEL_DATABASE_URL" in found["database"][2]
    assert found["OTLP"][0] == "mend"
    assert "Collector" in found["OTLP"][2]
    text = call("doctor").out
    assert "2 to mend" in text
    assert "secret" not in text


@pytest.mark.usefixtures("stored")
def test_an_endpoint_that_listens_is_fine(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{port}")
        assert findings(call)["OTLP"][0] == "fine"


def test_settings_that_make_programs_run_untraced_are_to_mend(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_TRACES_EXPORTER", "cmbagent_dag,nonsense")
    monkeypatch.setenv("OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT", "true")
    found = findings(call)
    assert "nonsense" in found["exporters"][1]
    assert found["content"][0] == "mend"
    monkeypatch.setenv("CMBAGENT_OTEL_MAX_REDOS", "many")
    assert findings(call)["settings"][0] == "mend"


def test_a_database_that_is_not_there_yet_is_nothing_to_mend(call: Call, sqlite_url: str) -> None:
    assert findings(call, "--database", sqlite_url)["database"][0] == "note"
    assert findings(call, "--database", "sqlite:////no/such/folder/file.db")["database"][0] == "mend"


def test_tables_of_another_version_are_to_mend(call: Call, database_url: str) -> None:
    from cmbagent_otel.store.engine import open_engine

    engine = open_engine(database_url)
    engine.connect().close()
    engine.dispose()
    assert findings(call, "--database", database_url)["database"] == (
        "mend",
        findings(call, "--database", database_url)["database"][1],
        "cmbagent-otel db upgrade",
    )


def test_what_waits_on_disk_and_what_was_put_aside_is_told(call: Call, stored: Engine) -> None:
    config = settings.load()
    spool = Spool(config.resolved_spool_dir, 1_000_000)
    spool.append([Heartbeat(("run",), "owner", 1)])
    with stored.begin() as connection:
        connection.execute(
            insert(rejected_records).values(
                digest="d",
                rejected_at=datetime(2026, 1, 1),  # noqa: DTZ001 - the tables hold UTC without a zone
                reason="NaN in a column",
            )
        )
    found = findings(call)
    assert found["waiting"][0] == "mend"
    assert "1 file" in found["waiting"][1]
    assert "NaN in a column" in found["put aside"][1]
    spool.close()


# -- db ------------------------------------------------------------------------------------------------------


def test_upgrade_makes_the_tables_and_a_second_one_changes_nothing(call: Call, database_url: str) -> None:
    done = call("db", "upgrade", "--database", database_url)
    assert (done.code, done.err) == (0, "")
    assert "is now at revision" in done.out
    assert "already" in call("db", "upgrade", "--database", database_url).out
    assert json.loads(call("db", "current", "--json", "--database", database_url).out)["up_to_date"] is True
    assert call("db", "check", "--database", database_url).code == 0


def test_downgrade_asks_and_takes_the_tables_away(
    call: Call, migrated_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("n\n"))
    assert call("db", "downgrade", "base", "--database", migrated_url).code == 130
    assert call("db", "check", "--database", migrated_url).code == 0
    assert "no tables of ours" in call("db", "downgrade", "base", "--yes", "--database", migrated_url).out
    assert call("db", "check", "--database", migrated_url).code == 1
    assert call("runs", "--database", migrated_url).code == 1


def test_an_unknown_revision_is_one_line(call: Call, migrated_url: str) -> None:
    done = call("db", "upgrade", "9999", "--database", migrated_url)
    assert done.code == 1
    assert done.err.count("\n") == 1


def test_sql_prints_what_an_administrator_runs(call: Call) -> None:
    up = call("db", "sql").out
    assert "CREATE TABLE dag_nodes" in up
    assert "JSONB" in up
    assert "CREATE TABLE dag_nodes" in call("db", "sql", "sqlite").out
    assert "DROP TABLE" in call("db", "sql", "--down").out
    assert "ADD COLUMN depth" in call("db", "sql", "sqlite", "--holds", "flat").out
    assert call("db", "sql", "oracle").code == 2
    assert "tree-stages" in call("db", "sql", "sqlite", "--holds", "cake").err


def test_sweep_closes_what_has_lost_its_owner(call: Call, stored: Engine) -> None:
    research(stored)
    made = Recorder(stored, 2)
    made.agent(made.workflow(to=None), "engineer", to=None)
    made.store()
    Writer(stored).write([Heartbeat((made.run_id,), "owner", START + SECOND)])
    assert call("db", "sweep").out == f"{made.run_id} closed as interrupted.\n"
    assert call("db", "sweep").out == "No run has lost its owner.\n"
    assert "interrupted" in call("show", made.run_id).out
