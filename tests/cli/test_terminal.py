"""The command line as a program among others: pipes, terminals, wrong calls, quick help."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.commandline import COMMAND, cli, environment, start
from tests.cli.conftest import Call
from tests.query.stored import research


@pytest.fixture
def database(migrated_sqlite_url: str) -> dict[str, str]:
    from cmbagent_otel.store.engine import open_engine

    engine = open_engine(migrated_sqlite_url)
    research(engine)
    engine.dispose()
    return {"CMBAGENT_OTEL_DATABASE_URL": migrated_sqlite_url}


def on_terminal(*words: str, cwd: Path, env: dict[str, str]) -> str:
    ours, theirs = pty.openpty()
    with subprocess.Popen([COMMAND, *words], cwd=cwd, env=environment({"TERM": "xterm", **env}), stdout=theirs) as done:
        os.close(theirs)
        written = b""
        while True:
            try:
                part = os.read(ours, 65536)
            except OSError:
                break
            if not part:
                break
            written += part
    os.close(ours)
    assert done.returncode == 0
    return written.decode()


def test_a_terminal_gets_colours_unless_it_does_not_want_them(tmp_path: Path, database: dict[str, str]) -> None:
    assert "\x1b[" in on_terminal("show", cwd=tmp_path, env=database)
    assert "\x1b[3" not in on_terminal("show", cwd=tmp_path, env={**database, "NO_COLOR": "1"})
    assert "\x1b" not in cli("show", cwd=tmp_path, env=database).stdout


def test_lines_fit_the_width(tmp_path: Path, database: dict[str, str]) -> None:
    narrow = cli("show", cwd=tmp_path, env={**database, "COLUMNS": "60"}).stdout
    assert max(map(len, narrow.splitlines())) <= 60
    assert "…" in narrow
    assert "…" not in cli("show", cwd=tmp_path, env=database).stdout
    assert max(map(len, cli("runs", cwd=tmp_path, env={**database, "COLUMNS": "150"}).stdout.splitlines())) <= 150


def test_watch_on_a_terminal_leaves_the_picture_there(tmp_path: Path, database: dict[str, str]) -> None:
    assert "Deconvolve the beam first" in on_terminal("watch", cwd=tmp_path, env=database)


def test_a_reader_that_goes_away_ends_us_quietly(tmp_path: Path, database: dict[str, str]) -> None:
    pipe = subprocess.run(
        ["sh", "-c", f"{COMMAND} show --json | head -1"],
        cwd=tmp_path,
        env=environment(database),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (pipe.stdout, pipe.stderr) == ("{\n", "")
    ours, theirs = os.pipe()
    os.close(ours)
    done = subprocess.run(
        [COMMAND, "show"], cwd=tmp_path, env=environment(database), stdout=theirs, stderr=subprocess.PIPE, check=False
    )
    os.close(theirs)
    assert (done.returncode, done.stderr) == (1, b"")


def test_a_latin_terminal_gets_something_for_each_mark(tmp_path: Path, database: dict[str, str]) -> None:
    latin = environment({**database, "PYTHONIOENCODING": "latin-1"})
    done = subprocess.run([COMMAND, "show"], cwd=tmp_path, env=latin, capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"Measure the spectral index" in done.stdout


@pytest.mark.parametrize(
    "words", [("nonsense",), ("show", "--depth", "x"), ("runs", "-n", "0"), ("db", "x"), ("export", "-f", "pdf")]
)
def test_a_wrong_call_is_one_line_and_exit_code_2(call: Call, words: tuple[str, ...]) -> None:
    done = call(*words)
    assert done.code == 2
    assert done.out == ""
    assert done.err.startswith("cmbagent-otel: ")
    assert done.err.count("\n") == 1


def test_no_words_at_all_and_help_print_the_help(call: Call) -> None:
    for words in ((), ("--help",), ("-h",), ("db",), ("show", "--help")):
        done = call(*words)
        assert done.code == 0
        assert done.out.startswith("Usage: cmbagent-otel")
    assert call("--version").out.startswith("cmbagent-otel ")


def test_a_bad_url_names_the_variable_and_hides_the_password(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CMBAGENT_OTEL_DATABASE_URL", "mysql://me:secret@host/database")
    done = call("runs")
    assert done.code == 2
    assert "CMBAGENT_OTEL_DATABASE_URL" in done.err
    assert "secret" not in done.err


def test_help_loads_neither_the_database_nor_the_sdk(tmp_path: Path) -> None:
    program = (
        "import sys\n"
        "sys.argv = ['cmbagent-otel', '--help']\n"
        "from cmbagent_otel.cli.main import main\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        "heavy = {'sqlalchemy', 'alembic', 'opentelemetry', 'autogen', 'starlette', 'psycopg'}\n"
        "print(sorted(heavy & set(sys.modules)))\n"
    )
    assert start(sys.executable, "-c", program, cwd=tmp_path).stdout.endswith("[]\n")


@pytest.mark.parametrize(("command", "extra"), [("serve", "serve"), ("sink", "sink")])
def test_a_missing_extra_is_one_line_that_says_what_to_install(tmp_path: Path, command: str, extra: str) -> None:
    program = (
        "import sys\n"
        "for name in ('starlette', 'uvicorn', 'jinja2'):\n    sys.modules[name] = None\n"
        f"sys.argv = ['cmbagent-otel', {command!r}]\n"
        "from cmbagent_otel.cli.main import main\nmain()\n"
    )
    done = start(sys.executable, "-c", program, cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert f"pip install 'cmbagent-otel[{extra}]'" in done.stderr
