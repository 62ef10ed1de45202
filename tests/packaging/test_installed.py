"""The wheel in an environment that was empty: the command, a first run, the examples."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.packaging.environments import environment

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of an environment that has the wheel, as ``pip install cmbagent-otel`` would."""
    return environment(tmp_path_factory.mktemp("installed") / "venv", sys.executable, [str(wheel)])


@pytest.fixture(scope="module")
def python_with_ag2(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with AG2, which the examples drive, in the version that `make demo` installs."""
    pinned = ("--constraint", str(ROOT / "constraints" / "autogen-0.14.1.txt"))
    wanted = [f"cmbagent-otel[autogen] @ {wheel.as_uri()}"]
    return environment(tmp_path_factory.mktemp("examples") / "venv", sys.executable, wanted, *pinned)


def run(python: Path, folder: Path, *words: str | Path) -> subprocess.CompletedProcess[str]:
    variables = {"PATH": f"{python.parent}{os.pathsep}/usr/bin:/bin", "HOME": str(folder)}
    return subprocess.run(words, cwd=folder, env=variables, capture_output=True, text=True, check=False)


def test_the_command_lists_its_commands(python: Path, tmp_path: Path) -> None:
    said = run(python, tmp_path, python.with_name("cmbagent-otel"), "--help")
    assert said.returncode == 0, said.stderr
    assert all(command in said.stdout for command in ("run", "show", "serve", "sink", "doctor"))


@pytest.mark.parametrize(("command", "extra"), [("serve", "serve"), ("sink", "sink")])
def test_a_command_that_needs_an_extra_names_it(python: Path, tmp_path: Path, command: str, extra: str) -> None:
    said = run(python, tmp_path, python.with_name("cmbagent-otel"), command)
    assert said.returncode != 0
    assert f"cmbagent-otel[{extra}]" in said.stderr
    assert "Traceback" not in said.stderr


def test_the_readmes_program_is_traced_into_sqlite(python: Path, tmp_path: Path) -> None:
    found = re.search(r"^```python\n(.*?)^```", (ROOT / "README.md").read_text(), re.MULTILINE | re.DOTALL)
    assert found
    program = tmp_path / "program.py"
    program.write_text(f"run_my_agents = bool\n{found[1]}")
    assert run(python, tmp_path, python, program).returncode == 0
    shown = run(python, tmp_path, python.with_name("cmbagent-otel"), "show", "last")
    assert "Deconvolve the beam first" in shown.stdout, shown.stderr


def test_the_demo_runs_and_is_shown_with_its_redo(python_with_ag2: Path, tmp_path: Path) -> None:
    ran = run(python_with_ag2, tmp_path, python_with_ag2, ROOT / "examples" / "demo.py")
    assert ran.returncode == 0, ran.stderr
    assert "redo" in ran.stdout


def test_a_program_without_a_line_of_ours_runs_and_is_shown(python_with_ag2: Path, tmp_path: Path) -> None:
    command = python_with_ag2.with_name("cmbagent-otel")
    examples = ROOT / "examples"
    model = (python_with_ag2, "-m", "cmbagent_otel.testing", examples / "plain_chat.json")
    ran = run(python_with_ag2, tmp_path, *model, command, "run", examples / "plain_chat.py")
    assert ran.returncode == 0, ran.stderr
    shown = run(python_with_ag2, tmp_path, command, "show", "last")
    assert "comoving_volume" in shown.stdout, shown.stderr
