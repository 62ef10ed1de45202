"""What tracing does beside a program: no sockets, no variables, no baggage, no files for others, no secrets."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from opentelemetry import propagate
from sqlalchemy import Engine, text

import cmbagent_otel as otel
from cmbagent_otel import semconv
from cmbagent_otel.store.spool import Spool
from tests.store.spans import span

SECRET = "sk-abcdefghijklmnop0123456789"

PROGRAM = """
import sys
seen, watched = [], ("socket.bind", "socket.connect", "socket.getaddrinfo")
sys.addaudithook(lambda event, args: seen.append(event) if event in watched else None)
import cmbagent_otel as otel
from opentelemetry import trace
otel.configure(workflow="quiet")
call = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "gpt-4o", "gen_ai.provider.name": "openai",
        "gen_ai.usage.input_tokens": 10, "gen_ai.usage.output_tokens": 10}
with otel.phase("control"), otel.step(1, goal="g"):
    with trace.get_tracer("t").start_as_current_span("chat", attributes=call):
        pass
otel.shutdown()
print(seen)
"""


def test_a_traced_program_listens_nowhere_and_calls_nobody(tmp_path: Path) -> None:
    variables = {"PATH": os.environ["PATH"], "CMBAGENT_OTEL_SPOOL_DIR": str(tmp_path / "spool")}
    ran = subprocess.run(
        [sys.executable, "-c", PROGRAM], cwd=tmp_path, env=variables, capture_output=True, text=True, check=True
    )
    assert ran.stdout == "[]\n"
    assert (tmp_path / "cmbagent_otel.db").exists()


def test_the_variables_that_children_inherit_stay_as_they_are(migrated_url: str) -> None:
    before = dict(os.environ)
    assert otel.configure(database_url=migrated_url, workflow="w")
    with otel.phase("control"), otel.step(1, goal="g"):
        assert dict(os.environ) == before
    assert dict(os.environ) == before


def test_requests_to_vendors_carry_nothing_of_the_run(migrated_url: str) -> None:
    assert otel.configure(database_url=migrated_url)
    with otel.workflow("w", task="a task", run_id="11111111-1111-4111-8111-111111111111"), otel.phase("control"):
        headers: dict[str, str] = {}
        propagate.inject(headers)
    assert set(headers) == {"traceparent"}
    assert "11111111" not in headers["traceparent"]


@pytest.mark.usefixtures("open_mask")
def test_files_of_the_spool_are_for_their_user_alone(tmp_path: Path) -> None:
    with closing(Spool(tmp_path / "spool", 1_000_000)) as spool:
        spool.append([span(1)])
    (file,) = [path for path in (tmp_path / "spool").iterdir() if path.suffix == ".spool"]
    assert oct((tmp_path / "spool").stat().st_mode & 0o777) == "0o700"
    assert oct(file.stat().st_mode & 0o777) == "0o600"


@pytest.fixture
def open_mask() -> object:
    before = os.umask(0)
    yield
    os.umask(before)


def test_a_secret_in_what_the_program_itself_says_is_masked(migrated_url: str, engine: Engine) -> None:
    assert otel.configure(database_url=migrated_url)
    with otel.workflow("w", task=f"use {SECRET}"), otel.phase("control"), otel.step(1, goal=f"with {SECRET}") as step:
        step.set_summary(f"used {SECRET}")
        with otel.agent("a"), otel.tool("t"):
            pass
    with step.redo(hypothesis=f"another than {SECRET}"):
        pass
    assert otel.flush()
    with engine.connect() as connection:
        for table in ("workflow_runs", "workflow_steps", "dag_nodes", "execution_events", "sessions"):
            assert SECRET not in str(connection.execute(text(f"SELECT * FROM {table}")).all()), table


def test_attributes_of_other_libraries_are_not_stored(migrated_url: str, engine: Engine) -> None:
    from opentelemetry import trace

    assert otel.configure(database_url=migrated_url)
    attributes = {"http.request.header.authorization": f"Bearer {SECRET}", "db.query.text": "SELECT secret"}
    with otel.workflow("w"), trace.get_tracer("other").start_as_current_span("GET /", attributes=attributes):
        pass
    assert otel.flush()
    with engine.connect() as connection:
        rows = str(connection.execute(text("SELECT * FROM dag_nodes")).all())
        rows += str(connection.execute(text("SELECT * FROM execution_events")).all())
    assert "GET /" in rows
    assert SECRET not in rows
    assert "SELECT secret" not in rows
    assert semconv.CONTENT_KEYS.isdisjoint(attributes)
