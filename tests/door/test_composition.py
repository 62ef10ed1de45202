"""Putting it together: exporters by their names, the program's own provider, and set-up from the environment alone."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from sqlalchemy import Engine, text

import cmbagent_otel as otel
from cmbagent_otel import composition, semconv, settings
from tests.invariants import check_invariants
from tests.otlp_receiver import OtlpReceiver


def rows(engine: Engine, statement: str) -> list[tuple[object, ...]]:
    with engine.connect() as connection:
        return [tuple(row) for row in connection.execute(text(statement))]


def test_both_exporters_get_the_same_spans(migrated_url: str, engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    with OtlpReceiver() as receiver:
        monkeypatch.setenv("OTEL_TRACES_EXPORTER", "cmbagent_dag,otlp")
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.endpoint)
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")
        assert otel.configure(database_url=migrated_url)
        with otel.workflow("w"), otel.phase("control"):
            with otel.step(1) as step:
                pass
            with step.redo(hypothesis="h"):
                pass
        assert otel.flush()
        otel.shutdown()
        sent = {(span.trace_id.hex(), span.span_id.hex(), span.name) for span in receiver.spans}
        (redo,) = [span for span in receiver.spans if span.name == "step 1 redo 1"]
    stored = {tuple(row) for row in rows(engine, "SELECT trace_id, span_id, name FROM dag_nodes")}
    assert sent == stored
    assert len(sent) == 4
    assert redo.links[0].attributes[0].value.string_value == semconv.LINK_REDO_OF
    check_invariants(engine)


def test_start_records_and_heartbeats_travel_as_logs_and_never_as_spans(monkeypatch: pytest.MonkeyPatch) -> None:
    with OtlpReceiver() as receiver:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.endpoint)
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")
        monkeypatch.setenv("OTEL_LOGS_EXPORTER", "otlp")
        assert otel.configure()
        with otel.workflow("w") as workflow:
            deadline = time.monotonic() + 15
            while len(receiver.log_records) < 2 and time.monotonic() < deadline:
                time.sleep(0.05)
            assert receiver.spans == []
            assert workflow.run_id is not None
        assert otel.flush()
        otel.shutdown()
        names = [record.event_name for record in receiver.log_records]
        assert sorted(names) == [semconv.LOG_HEARTBEAT, semconv.LOG_SPAN_START]
        assert [span.name for span in receiver.spans] == ["invoke_workflow w"]


@pytest.mark.parametrize(
    ("variables", "told"),
    [
        ({"OTEL_TRACES_EXPORTER": "cmbagent_dga"}, "there is no exporter 'cmbagent_dga'; use one of .*cmbagent_dag"),
        ({"CMBAGENT_OTEL_DATABASE_URL": "not a url"}, "CMBAGENT_OTEL_DATABASE_URL: .*sqlite:///"),
        ({"CMBAGENT_OTEL_DATABASE_URL": "mysql://host/db"}, "CMBAGENT_OTEL_DATABASE_URL: mysql"),
        ({"CMBAGENT_OTEL_DATABASE_URL": "sqlite:////no/such/folder/a.db"}, "the folder /no/such/folder"),
        ({"CMBAGENT_OTEL_SPOOL_DIR": "/proc/no"}, "CMBAGENT_OTEL_SPOOL_DIR"),
        ({"CMBAGENT_OTEL_QUEUE_LIMIT": "few"}, "CMBAGENT_OTEL_QUEUE_LIMIT"),
        ({"CMBAGENT_OTEL_PROPAGATE_THREADS": "true"}, "pip install 'cmbagent-otel\\[threads\\]'"),
    ],
)
def test_what_can_not_be_used_is_told_in_one_line_and_the_program_runs_on_untraced(
    variables: dict[str, str],
    told: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    tmp_path: Path,
) -> None:
    monkeypatch.chdir(tmp_path)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert not otel.configure()
    with otel.workflow("w"), otel.step(1) as step:
        pass
    assert step.node_id is None
    (line,) = [record.getMessage() for record in caplog.records]
    assert "\n" not in line
    assert line.endswith("The program runs on untraced.")
    import re

    assert re.search(told, line)


def test_disabled_means_that_nothing_is_set_up(monkeypatch: pytest.MonkeyPatch, sqlite_url: str) -> None:
    monkeypatch.setenv("OTEL_SDK_DISABLED", "true")
    assert not otel.configure(database_url=sqlite_url)
    assert isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider)
    with otel.workflow("w"):
        pass
    assert not Path(sqlite_url.removeprefix("sqlite:///")).exists()


def test_a_provider_that_the_program_sets_after_a_lazy_configure_stays_and_is_joined(
    migrated_url: str, engine: Engine
) -> None:
    assert otel.configure(database_url=migrated_url, lazy=True)
    assert isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider)
    theirs = TracerProvider()
    trace.set_tracer_provider(theirs)
    with otel.workflow("w"):
        pass
    assert trace.get_tracer_provider() is theirs
    assert otel.flush()
    assert rows(engine, "SELECT name FROM dag_nodes") == [("invoke_workflow w",)]


def test_an_exporter_put_into_a_batch_processor_by_hand_writes_ended_spans(migrated_url: str, engine: Engine) -> None:
    exporter = otel.DagSpanExporter(settings.load(database_url=migrated_url))
    provider = TracerProvider()
    provider.add_span_processor(BatchSpanProcessor(exporter))
    trace.set_tracer_provider(provider)
    with otel.workflow("w"), otel.step(1):
        pass
    provider.shutdown()
    assert rows(engine, "SELECT name FROM dag_nodes ORDER BY depth") == [("invoke_workflow w",), ("step 1",)]
    check_invariants(engine)


def test_an_exporter_that_the_sdk_built_is_claimed_once_and_loses_nothing(
    migrated_url: str, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CMBAGENT_OTEL_DATABASE_URL", migrated_url)
    provider = TracerProvider()
    provider.add_span_processor(BatchSpanProcessor(otel.DagSpanExporter()))
    trace.set_tracer_provider(provider)
    provider.get_tracer("before").start_span("ended before").end()
    composition.post_instrument()
    composition.post_instrument()
    with otel.workflow("w"):
        pass
    assert otel.flush()
    provider.shutdown()
    assert rows(engine, "SELECT name FROM dag_nodes ORDER BY start_time_unix_nano") == [
        ("ended before",),
        ("invoke_workflow w",),
    ]
    processors = provider._active_span_processor._span_processors
    assert len([one for one in processors if isinstance(one, otel.DagSpanProcessor)]) == 1


def test_the_environment_alone_is_enough_with_the_distro(migrated_sqlite_url: str, tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(
        "import subprocess, sys\n"
        "import cmbagent_otel as otel\n"
        "with otel.workflow('unchanged'), otel.step(1):\n"
        "    print(subprocess.run([sys.executable, '-c', 'import os; print(os.environ.get(\"PYTHONPATH\"))'],\n"
        "        capture_output=True, text=True).stdout.strip())\n"
    )
    environment = {
        **os.environ,
        "OTEL_TRACES_EXPORTER": "cmbagent_dag",
        "OTEL_METRICS_EXPORTER": "none",
        "OTEL_LOGS_EXPORTER": "none",
        "CMBAGENT_OTEL_DATABASE_URL": migrated_sqlite_url,
    }
    launcher = Path(sys.executable).with_name("opentelemetry-instrument")
    ran = subprocess.run(
        [launcher, sys.executable, program], env=environment, capture_output=True, text=True, check=True, timeout=100
    )
    # The launcher's own entry is gone. The working directory, which it puts there too, stays: it may be the user's.
    assert "auto_instrumentation" not in ran.stdout
    from cmbagent_otel.store.engine import open_engine

    engine = open_engine(migrated_sqlite_url)
    assert rows(engine, "SELECT name, status FROM dag_nodes ORDER BY depth") == [
        ("invoke_workflow unchanged", "completed"),
        ("step 1", "completed"),
    ]
    check_invariants(engine)
    engine.dispose()


def test_a_child_process_joins_the_run_when_it_is_given_the_environment(migrated_url: str, engine: Engine) -> None:
    child = (
        "import cmbagent_otel as otel; otel.configure()\n"
        "with otel.workflow('child') as workflow: print(workflow.run_id)\n"
        "otel.flush()"
    )
    assert otel.configure(database_url=migrated_url)
    with otel.workflow("parent", session_id="s") as parent, otel.step(1):
        environment = {**otel.child_env(), "CMBAGENT_OTEL_DATABASE_URL": migrated_url}
        ran = subprocess.run(
            [sys.executable, "-c", child], env=environment, capture_output=True, text=True, check=True, timeout=100
        )
    assert ran.stdout.strip() == parent.run_id
    assert "TRACEPARENT" not in os.environ
    assert otel.flush()
    assert rows(engine, "SELECT name, depth FROM dag_nodes ORDER BY depth") == [
        ("invoke_workflow parent", 0),
        ("step 1", 1),
        ("invoke_workflow child", 2),
    ]
    assert rows(engine, "SELECT id FROM sessions") == [("s",)]
    check_invariants(engine)
