"""Every Python block and every command of the pages does what a reader will see it do."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    path
    for path in [*(ROOT / "docs").glob("*.md"), *(ROOT / "docs" / "howto").glob("*.md")]
    if path.name not in ("api.md", "attributes.md", "cli.md", "configuration.md", "schema.md", "sql.md")
)
WITH_COMMANDS = [*PAGES, ROOT / "CONTRIBUTING.md", ROOT / "examples" / "README.md"]
BLOCK = re.compile(
    r"^```(?P<kind>\w*)(?: file=(?P<file>\S+))?\n(?P<text>.*?)^```\n(?P<note><!-- not run: [^\n]* -->)?",
    re.MULTILINE | re.DOTALL,
)
COMMAND = re.compile(
    r"^(?:[A-Z_]+=\S+ )*(?:cmbagent-otel|createdb|docker|export|make|pip|psql|python|sqlite3)\b", re.MULTILINE
)
LINK = re.compile(r"\]\((?!https?:)(?P<target>[^)#\s]+)")


def blocks(page: Path) -> list[re.Match[str]]:
    return list(BLOCK.finditer(page.read_text()))


RUN = [page for page in PAGES if any(block["kind"] in ("python", "console") for block in blocks(page))]


@pytest.mark.parametrize("page", RUN, ids=lambda page: page.name)
def test_the_blocks_of_a_page_run_one_after_the_other(page: Path, tmp_path: Path) -> None:
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    for block in blocks(page):
        if block["note"]:
            continue
        if block["kind"] == "python":
            program = tmp_path / (block["file"] or "snippet.py")
            program.write_text(block["text"])
            commands = [] if block["file"] else [["python", str(program)]]
        elif block["kind"] == "console":
            lines = block["text"].splitlines()
            commands = [shlex.split(line.removeprefix("$ ")) for line in lines if line.startswith("$ ")]
        else:
            continue
        for command in commands:
            ran = subprocess.run(
                command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=100, check=False
            )
            assert ran.returncode == 0, f"{shlex.join(command)}\n{ran.stdout}{ran.stderr}"


@pytest.mark.parametrize("page", [*PAGES, ROOT / "README.md", ROOT / "ARCHITECTURE.md"], ids=lambda page: page.name)
def test_a_page_links_only_to_what_is_there(page: Path) -> None:
    targets = [match["target"] for match in LINK.finditer(page.read_text())]
    assert [target for target in targets if not (page.parent / target).exists()] == []


@pytest.mark.parametrize("page", WITH_COMMANDS, ids=lambda page: page.name)
def test_a_block_of_commands_that_is_not_run_says_why(page: Path) -> None:
    silent = [block for block in blocks(page) if block["kind"] not in ("console", "python", "sql", "text")]
    assert [block["text"] for block in silent if COMMAND.search(block["text"]) and not block["note"]] == []


def test_the_program_of_the_readme_runs_and_its_redo_is_shown(tmp_path: Path) -> None:
    (program,) = (block["text"] for block in blocks(ROOT / "README.md") if block["kind"] == "python")
    (tmp_path / "program.py").write_text(f"run_my_agents = bool\n{program}")
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    said = ""
    for command in ("python program.py", "cmbagent-otel show last"):
        ran = subprocess.run(
            command.split(), cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )
        assert ran.returncode == 0, ran.stderr
        said = ran.stdout
    assert "Deconvolve the beam first" in said


def test_the_blocks_of_the_readme_fit_their_width() -> None:
    lines = [line for block in blocks(ROOT / "README.md") for line in block["text"].splitlines()]
    assert [line for line in lines if len(line) > 92] == []


def test_the_readmes_targets_are_in_the_makefile() -> None:
    targets = re.findall(r"\bmake ([a-z-]+)", (ROOT / "README.md").read_text())
    listed = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert [target for target in targets if f" {target} " not in listed] == []
