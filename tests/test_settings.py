"""Settings: what the environment says, and what is said of it when it is wrong."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from cmbagent_otel import settings
from cmbagent_otel.errors import SettingsError


@pytest.mark.parametrize(
    ("variables", "exporters"),
    [
        ({}, ("cmbagent_dag",)),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://localhost:4318"}, ("otlp",)),
        (
            {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://localhost:4318", "CMBAGENT_OTEL_DATABASE_URL": "sqlite:///a.db"},
            ("cmbagent_dag", "otlp"),
        ),
        ({"OTEL_TRACES_EXPORTER": "cmbagent_dag, otlp,otlp"}, ("cmbagent_dag", "otlp")),
        ({"OTEL_TRACES_EXPORTER": "none"}, ()),
        ({"OTEL_TRACES_EXPORTER": ""}, ("cmbagent_dag",)),
    ],
)
def test_the_exporters_follow_from_what_is_set(
    variables: dict[str, str], exporters: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert settings.load().exporters == exporters


def test_a_sqlite_path_is_resolved_once_and_a_chdir_moves_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    config = settings.load()
    before = config.resolved_database_url
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert config.resolved_database_url == before == f"sqlite:///{tmp_path}/cmbagent_otel.db"


def test_two_databases_never_share_a_spool() -> None:
    spools = {settings.load(database_url=url).resolved_spool_dir for url in ("sqlite:///a.db", "sqlite:///b.db")}
    assert len(spools) == 2


def test_a_bad_value_names_the_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CMBAGENT_OTEL_MAX_REDOS", "many")
    with pytest.raises(SettingsError, match=r"^CMBAGENT_OTEL_MAX_REDOS: .*'many'"):
        settings.load()


@pytest.mark.parametrize(
    ("value", "recorded", "on_spans", "known"),
    [
        ("NO_CONTENT", False, False, True),
        ("EVENT_ONLY", True, False, True),
        ("SPAN_ONLY", True, True, True),
        ("span_and_event", True, True, True),
        ("true", False, False, False),
    ],
)
def test_the_gate_has_opentelemetrys_values(
    value: str, recorded: bool, on_spans: bool, known: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT", value)
    config = settings.load()
    assert (config.content_recorded, config.content_on_spans, config.content_gate_is_known) == (
        recorded,
        on_spans,
        known,
    )


def test_the_launchers_own_path_entry_is_taken_out_and_the_users_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    launcher = os.path.join("", "lib", "opentelemetry", "instrumentation", "auto_instrumentation")  # noqa: PTH118
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([launcher, "/mine"]))
    settings.clean_python_path()
    assert os.environ["PYTHONPATH"] == "/mine"
    monkeypatch.setenv("PYTHONPATH", launcher)
    settings.clean_python_path()
    assert "PYTHONPATH" not in os.environ


def test_a_childs_environment_is_a_copy() -> None:
    assert settings.child_environment({"ADDED": "1"})["ADDED"] == "1"
    assert "ADDED" not in os.environ
