"""``run`` on programs that use AG2 and know nothing of us, with a scripted model, real rows and real exits."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from cmbagent_otel.query.database import Reader
from cmbagent_otel.query.load import load_view
from cmbagent_otel.query.runs import list_runs
from cmbagent_otel.query.view import RunView
from cmbagent_otel.testing import ScriptedModelServer, say
from tests.cli.commandline import COMMAND, cli, environment, start

CHAT = """\
import os, sys
from autogen import ConversableAgent

def chat():
    agent = ConversableAgent("astronomer", llm_config={"config_list": [{"model": "gpt-4o-mini", "api_key": "none",
        "base_url": os.environ["SCRIPTED_MODEL"]}], "cache_seed": None}, human_input_mode="NEVER")
    return agent.generate_reply([{"role": "user", "content": "How far is the Moon?"}])

"""

# The same through our own blocks: AG2 takes seconds to import, and most of what is asked here is not about it.
BLOCKS = """\
import os, sys
import cmbagent_otel as otel

def chat():
    with otel.agent("astronomer"), otel.tool("look_up"):
        return "Near."

"""


@pytest.fixture
def model() -> Iterator[ScriptedModelServer]:
    with ScriptedModelServer([say("Near.")] * 10) as server:
        yield server


@pytest.fixture
def env(tmp_path: Path, model: ScriptedModelServer) -> dict[str, str]:
    return {
        "CMBAGENT_OTEL_DATABASE_URL": f"sqlite:///{tmp_path}/traces.db",
        "CMBAGENT_OTEL_SPOOL_DIR": str(tmp_path / "spool"),
        "SCRIPTED_MODEL": model.base_url,
    }


def write(folder: Path, program: str, name: str = "script.py", *, head: str = BLOCKS) -> None:
    (folder / name).write_text(head + program)


def only_run(env: dict[str, str]) -> RunView:
    with Reader(env["CMBAGENT_OTEL_DATABASE_URL"]) as reader:
        with reader.reading() as connection:
            assert len(list_runs(connection)) == 1
        return load_view(reader, "last")


def test_a_program_without_a_line_of_ours_is_one_run_named_after_it(tmp_path: Path, env: dict[str, str]) -> None:
    write(tmp_path, "print(chat()); print(chat())", head=CHAT)
    done = cli("run", "script.py", cwd=tmp_path, env=env)
    assert (done.returncode, done.stdout) == (0, "Near.\nNear.\n")
    view = only_run(env)
    assert [root.label for root in view.roots] == ["script"]
    assert view.run.mode == "script"
    assert view.status == "completed"
    assert (view.totals.llm_calls, len({node.row.trace_id for node in view.walk()})) == (2, 1)
    assert {node.label for node in view.walk() if node.kind == "agent"} == {"astronomer"}


@pytest.mark.parametrize("words", [("-m", "script"), ("script.py",)])
def test_options_before_the_script_are_ours(tmp_path: Path, env: dict[str, str], words: tuple[str, ...]) -> None:
    write(tmp_path, "chat(); print(sys.argv[1:])")
    other = f"sqlite:///{tmp_path}/other.db"
    done = cli(
        "run",
        "--name",
        "survey",
        "--session=night-1",
        "--database",
        other,
        *words,
        "--name",
        "x",
        cwd=tmp_path,
        env=env,
    )
    assert done.stdout == "['--name', 'x']\n"
    view = only_run({"CMBAGENT_OTEL_DATABASE_URL": other})
    assert (view.run.mode, view.run.session_id) == ("survey", "night-1")
    assert not (tmp_path / "traces.db").exists()


def test_a_program_that_says_configure_itself_is_one_run_too(tmp_path: Path, env: dict[str, str]) -> None:
    write(
        tmp_path,
        "import cmbagent_otel as otel\notel.configure()\n"
        "with otel.workflow('survey', task='Look up'):\n    with otel.phase('control'), otel.step(1): chat()\n",
        head=CHAT,
    )
    assert cli("run", "script.py", cwd=tmp_path, env=env).returncode == 0
    view = only_run(env)
    assert [root.label for root in view.roots] == ["survey"]
    assert view.totals.llm_calls == 1


def test_a_program_that_moves_away_still_writes_where_it_was_started(tmp_path: Path, env: dict[str, str]) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (tmp_path / "script.py").write_text(f"import os\nos.chdir({str(elsewhere)!r})\n{BLOCKS}chat()\nos.chdir('/')\n")
    del env["CMBAGENT_OTEL_DATABASE_URL"]
    assert cli("run", "script.py", cwd=tmp_path, env={**env, "CMBAGENT_OTEL_SPOOL_DIR": "spool"}).returncode == 0
    assert (tmp_path / "cmbagent_otel.db").exists()
    assert list(elsewhere.iterdir()) == []


@pytest.mark.parametrize(
    ("ending", "code", "status"),
    [
        ("raise ValueError('too far')", 1, "failed"),
        ("sys.exit(3)", 3, "failed"),
        ("sys.exit(0)", 0, "completed"),
        ("raise KeyboardInterrupt", -signal.SIGINT, "failed"),
    ],
)
def test_how_the_program_ends_is_how_the_run_ends(
    tmp_path: Path, env: dict[str, str], ending: str, code: int, status: str
) -> None:
    write(tmp_path, f"chat()\n{ending}\n")
    plain = start(os.fspath(COMMAND.with_name("python")), "script.py", cwd=tmp_path, env=env)
    traced = cli("run", "script.py", cwd=tmp_path, env=env)
    assert traced.returncode == plain.returncode == code
    assert traced.stderr == plain.stderr
    assert only_run(env).status == status


def test_sigterm_ends_the_run_and_keeps_its_status(tmp_path: Path, env: dict[str, str]) -> None:
    write(tmp_path, "chat()\nprint('ready', flush=True)\nimport time\ntime.sleep(60)\n")
    with subprocess.Popen(
        [COMMAND, "run", "script.py"], cwd=tmp_path, env=environment(env), stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        process.send_signal(signal.SIGTERM)
        process.wait(30)
    assert process.returncode == -signal.SIGTERM
    view = only_run(env)
    assert view.status == "failed"
    assert view.roots[0].meta["error_type"].endswith("Terminated")


def test_a_program_that_leaves_at_once_loses_only_what_was_not_written_yet(tmp_path: Path, env: dict[str, str]) -> None:
    write(tmp_path, "chat()\nimport time\ntime.sleep(3)\nos._exit(5)\n")
    begun = time.time()
    assert cli("run", "script.py", cwd=tmp_path, env=env).returncode == 5
    view = only_run(env)
    assert view.is_open
    assert view.totals.tool_calls == 1
    assert view.start is not None
    assert view.start / 1e9 >= begun


@pytest.mark.parametrize(
    ("setting", "value", "said"),
    [
        ("OTEL_TRACES_EXPORTER", "nonsense", "OTEL_TRACES_EXPORTER"),
        ("CMBAGENT_OTEL_DATABASE_URL", "nonsense", "CMBAGENT_OTEL_DATABASE_URL"),
        ("CMBAGENT_OTEL_DATABASE_URL", "sqlite:////no/such/folder/x.db", "CMBAGENT_OTEL_DATABASE_URL"),
        ("CMBAGENT_OTEL_SPOOL_DIR", "/dev/null/spool", "CMBAGENT_OTEL_SPOOL_DIR"),
        ("CMBAGENT_OTEL_MAX_REDOS", "many", "CMBAGENT_OTEL_MAX_REDOS"),
    ],
)
def test_a_setting_that_cannot_be_used_is_one_line_and_the_program_runs_on(
    tmp_path: Path, env: dict[str, str], setting: str, value: str, said: str
) -> None:
    write(tmp_path, "print(chat()); sys.exit(4)")
    done = cli("run", "script.py", cwd=tmp_path, env={**env, setting: value})
    assert (done.returncode, done.stdout) == (4, "Near.\n")
    assert said in done.stderr
    assert "untraced" in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_database_that_is_away_costs_the_program_one_line(tmp_path: Path, env: dict[str, str]) -> None:
    write(tmp_path, "print(chat())")
    away = {**env, "CMBAGENT_OTEL_DATABASE_URL": "postgresql://me:secret@127.0.0.1:1/x"}
    done = cli("run", "script.py", cwd=tmp_path, env=away)
    assert (done.returncode, done.stdout) == (0, "Near.\n")
    assert done.stderr.count("\n") == 1
    assert "secret" not in done.stderr
    assert list((tmp_path / "spool").rglob("*.spool"))


def test_a_file_that_hides_one_of_our_libraries_costs_the_trace_and_not_the_program(
    tmp_path: Path, env: dict[str, str]
) -> None:
    (tmp_path / "sqlalchemy.py").write_text("mine = True\n")
    write(tmp_path, "import sqlalchemy\nprint(chat(), sqlalchemy.mine)", head=CHAT)
    done = cli("run", "script.py", cwd=tmp_path, env=env)
    assert (done.returncode, done.stdout) == (0, "Near. True\n")
    assert "untraced" in done.stderr
    assert done.stderr.count("\n") == 1


def test_children_join_the_run_where_it_is_asked_for(tmp_path: Path, env: dict[str, str]) -> None:
    write(tmp_path, "chat()\n", "child.py")
    (tmp_path / "script.py").write_text(
        f"import subprocess\nsubprocess.run([{os.fspath(COMMAND)!r}, 'run', 'child.py'], check=True)\n"
    )
    assert cli("run", "--propagate", "script.py", cwd=tmp_path, env=env).returncode == 0
    view = only_run(env)
    assert view.run.mode == "script"
    assert view.totals.tool_calls == 1
    assert len(view.top()) == 1


def test_a_command_can_be_the_run_around_its_children(tmp_path: Path, env: dict[str, str]) -> None:
    write(tmp_path, "chat()\n", "child.py")
    done = cli("run", "--propagate", "sh", "-c", f"{COMMAND} run child.py; exit 6", cwd=tmp_path, env=env)
    assert done.returncode == 6
    view = only_run(env)
    assert (view.run.mode, view.status, view.totals.tool_calls) == ("sh", "failed", 1)


def test_without_it_a_child_is_a_run_of_its_own(tmp_path: Path, env: dict[str, str]) -> None:
    write(tmp_path, "chat()\n", "child.py")
    write(
        tmp_path,
        f"import subprocess\nchat()\nsubprocess.run([{os.fspath(COMMAND)!r}, 'run', 'child.py'], check=True)\n",
    )
    assert cli("run", "script.py", cwd=tmp_path, env=env).returncode == 0
    with Reader(env["CMBAGENT_OTEL_DATABASE_URL"]) as reader, reader.reading() as connection:
        assert {found.run.mode for found in list_runs(connection)} == {"script", "child"}


def test_watch_follows_a_program_to_its_end(tmp_path: Path, env: dict[str, str]) -> None:
    write(
        tmp_path,
        "import time\n"
        "with otel.workflow('survey'), otel.phase('control'):\n"
        "    with otel.step(1, goal='Look up'):\n"
        "        while not os.path.exists('watched'): time.sleep(0.05)\n"
        "    with otel.step(2, goal='Write it down'): chat()\n",
    )
    with subprocess.Popen([COMMAND, "run", "script.py"], cwd=tmp_path, env=environment(env)) as process:
        while cli("show", cwd=tmp_path, env=env).returncode:
            time.sleep(0.1)
        with subprocess.Popen(
            [COMMAND, "watch"], cwd=tmp_path, env=environment(env), stdout=subprocess.PIPE, text=True
        ) as watching:
            assert watching.stdout is not None
            assert any("● step 1  Look up" in line for line in watching.stdout)
            (tmp_path / "watched").touch()
            rest = watching.stdout.readlines()
        process.wait(30)
    ended = [number for number, line in enumerate(rest) if "✓ step" in line]
    assert ["step 1" in rest[ended[0]], "step 2" in rest[ended[1]]] == [True, True]
    assert "completed" in rest[-1]
    assert watching.returncode == 0
