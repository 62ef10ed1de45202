"""Each line of ``docs/rollback.md``, done as it is written there."""

from __future__ import annotations

import importlib.metadata
import re
import shlex
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from cmbagent_otel.store.engine import open_engine
from cmbagent_otel.testing import ScriptedModelServer, say
from tests.cli.commandline import cli, start
from tests.otlp_receiver import OtlpReceiver
from tests.store import cmbagent_database
from tests.store.database import everything, rows, shape

LINES = dict(
    re.findall(
        r"^\| (?!to switch off)(.+?) \| (.+?) \| .+ \|$",
        (Path(__file__).parents[2] / "docs" / "rollback.md").read_text(),
        re.MULTILINE,
    )
)

# What it prints: the answer, and whether AG2's function is wrapped.
CHAT = """\
import os
from autogen import ConversableAgent

agent = ConversableAgent("astronomer", llm_config={"config_list": [{"model": "gpt-4o-mini", "api_key": "none",
    "base_url": os.environ["SCRIPTED_MODEL"]}], "cache_seed": None}, human_input_mode="NEVER")
print(agent.generate_reply([{"role": "user", "content": "How far is the Moon?"}]))
print(hasattr(ConversableAgent.generate_reply, "__wrapped__"))
"""
PLAIN = ["Near.", "False"]

BLOCKS = """\
import cmbagent_otel as otel

with otel.workflow("mine"), otel.step(1) as step:
    print(step.redos_left)
    with step.redo():
        pass
    print(step.redos_left)
"""


def told(layer: str) -> list[str]:
    """What the page says to do, word by word."""
    return shlex.split(re.findall(r"`(.+?)`", LINES[layer])[0])


def setting(layer: str) -> dict[str, str]:
    name, _, value = told(layer)[0].partition("=")
    return {name: value}


@pytest.fixture
def env(tmp_path: Path) -> Iterator[dict[str, str]]:
    (tmp_path / "chat.py").write_text(CHAT)
    (tmp_path / "blocks.py").write_text(BLOCKS)
    with ScriptedModelServer([say("Near.")] * 10) as model:
        yield {"SCRIPTED_MODEL": model.base_url, "CMBAGENT_OTEL_DATABASE_URL": f"sqlite:///{tmp_path / 'traces.db'}"}


def kinds(env: dict[str, str]) -> set[str]:
    engine = create_engine(env["CMBAGENT_OTEL_DATABASE_URL"])
    with engine.connect() as connection:
        found = set(connection.scalars(text("SELECT node_type FROM dag_nodes")))
    engine.dispose()
    return found


def test_every_line_is_tried_here() -> None:
    assert list(LINES) == [
        "everything, for a run",
        "the database",
        "the hooks, under `opentelemetry-instrument`",
        "the hooks, in a running program",
        "the tables",
        "the package",
    ]


def test_with_everything_on_the_chat_is_hooked_and_stored(tmp_path: Path, env: dict[str, str]) -> None:
    done = cli("run", "chat.py", cwd=tmp_path, env=env)
    assert done.stdout.splitlines()[0] == "Near."
    assert done.stdout.splitlines() != PLAIN
    assert {"agent", "llm"} <= kinds(env)


def test_everything_off_leaves_the_program_without_a_wrapper(tmp_path: Path, env: dict[str, str]) -> None:
    env |= setting("everything, for a run")
    assert cli("run", "chat.py", cwd=tmp_path, env=env).stdout.splitlines() == PLAIN
    assert cli("run", "blocks.py", cwd=tmp_path, env=env).stdout.split() == ["2", "1"]
    assert not (tmp_path / "traces.db").exists()


def test_database_off_leaves_the_spans_to_the_backend(tmp_path: Path, env: dict[str, str]) -> None:
    with OtlpReceiver() as backend:
        env |= {"OTEL_EXPORTER_OTLP_ENDPOINT": backend.endpoint, "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"}
        assert cli("run", "chat.py", cwd=tmp_path, env=env | setting("the database")).stdout.startswith("Near.\n")
        assert "invoke_agent astronomer" in {span.name for span in backend.spans}
    assert not (tmp_path / "traces.db").exists()


def test_database_off_without_a_backend_leaves_nothing(tmp_path: Path, env: dict[str, str]) -> None:
    assert "`none`" in LINES["the database"]
    (name,) = setting("the database")
    assert cli("run", "chat.py", cwd=tmp_path, env=env | {name: "none"}).stdout.startswith("Near.\n")
    assert not (tmp_path / "traces.db").exists()


def test_hooks_off_under_the_launcher_leaves_the_programs_own_blocks(tmp_path: Path, env: dict[str, str]) -> None:
    (tmp_path / "both.py").write_text(BLOCKS + CHAT)
    env |= {f"OTEL_{signal}_EXPORTER": "none" for signal in ("METRICS", "LOGS")}
    env |= {"OTEL_TRACES_EXPORTER": "cmbagent_dag"} | setting("the hooks, under `opentelemetry-instrument`")
    launcher = Path(sys.executable).with_name("opentelemetry-instrument")
    done = start(launcher, sys.executable, "both.py", cwd=tmp_path, env=env)
    assert done.stdout.splitlines()[2:] == PLAIN
    assert kinds(env) == {"workflow", "step", "branch_point"}


def test_hooks_off_in_a_running_program_gives_the_functions_back(tmp_path: Path, env: dict[str, str]) -> None:
    around = """\
from autogen import ConversableAgent, GroupChat, OpenAIWrapper
import cmbagent_otel.instrumentation.autogen as hooks

classes = (ConversableAgent, GroupChat, OpenAIWrapper)
before = [dict(vars(one)) for one in classes]
hooks.AutogenInstrumentor().instrument(skip_dep_check=True)
assert [dict(vars(one)) for one in classes] != before
hooks.{}
assert all(dict(vars(one)) == as_it_was for one, as_it_was in zip(classes, before))
"""
    (tmp_path / "around.py").write_text(around.format(told("the hooks, in a running program")[0]) + CHAT)
    done = start(sys.executable, "around.py", cwd=tmp_path, env=env)
    assert done.stdout.splitlines() == PLAIN, done.stderr


def test_tables_off_leaves_cmbagents_with_all_their_rows(
    tmp_path: Path, env: dict[str, str], database_url: str
) -> None:
    engine = open_engine(database_url)
    cmbagent_database.make(engine, "flat")
    before, held = everything(engine), rows(engine, shape(engine))
    env |= {"CMBAGENT_OTEL_DATABASE_URL": database_url}
    command, *words = told("the tables")
    assert command == "cmbagent-otel"
    assert cli("db", "upgrade", cwd=tmp_path, env=env).returncode == 0
    assert everything(engine) != before
    assert cli(*words, "--yes", cwd=tmp_path, env=env).returncode == 0
    assert everything(engine) == before
    assert rows(engine, shape(engine)) == held
    engine.dispose()


def test_package_off_leaves_a_program_that_does_not_import_it(tmp_path: Path, env: dict[str, str]) -> None:
    home = tmp_path / "venv"
    assert start(sys.executable, "-m", "venv", "--without-pip", home, cwd=tmp_path).returncode == 0
    site = next(home.glob("lib/*/site-packages"))
    installed = importlib.metadata.distribution("cmbagent-otel")
    ours = {file.parts[0] for file in installed.files or ()}
    here = Path(str(installed.locate_file(""))).resolve()
    for entry in here.iterdir():
        if entry.name in ours and entry.is_dir():
            shutil.copytree(entry, site / entry.name)
        elif entry.name in ours:
            shutil.copy(entry, site / entry.name)
        elif not (site / entry.name).exists():
            (site / entry.name).symlink_to(entry)
    python = home / "bin" / "python"
    imports = ("-c", "import cmbagent_otel")
    assert start(python, *imports, cwd=tmp_path).returncode == 0

    command, *words = told("the package")
    assert start(python, "-m", command, *words, "--yes", cwd=tmp_path, env=env).returncode == 0
    assert "No module named 'cmbagent_otel'" in start(python, *imports, cwd=tmp_path).stderr
    assert start(python, "chat.py", cwd=tmp_path, env=env).stdout.splitlines() == PLAIN
