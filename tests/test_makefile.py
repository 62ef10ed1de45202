"""The Makefile: what the pages name is there, and what is there is explained."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGES = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("examples/*.md")]
MAKEFILES = [ROOT / "Makefile", *sorted(ROOT.glob("mk/*.mk"))]
RULES = "\n".join(makefile.read_text() for makefile in MAKEFILES)
INTERNAL = {"browser-ready", "ci-targets", "test-matrix-ci", "test-packaging-ci"}


def make(*words: str) -> subprocess.CompletedProcess[str]:
    # As from a shell, also where these tests are run by make.
    environment = {
        name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS")
    }
    return subprocess.run(["make", *words], cwd=ROOT, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_target_that_a_page_names_is_there(page: Path) -> None:
    text = page.read_text()
    named = {*re.findall(r"`make ([a-z][a-z-]+)", text), *re.findall(r"^make ([a-z][a-z-]+)", text, re.MULTILINE)}
    there = set(re.findall(r"^([a-z][a-z-]+):", RULES, re.MULTILINE))
    assert named <= there


def test_every_target_is_explained_by_make_help() -> None:
    targets = set(re.findall(r"^\.PHONY: ([a-z-]+)$", RULES, re.MULTILINE)) - INTERNAL
    explained = {line.split()[0] for line in make("help").stdout.splitlines()}
    assert explained == targets


def test_make_alone_lists_the_targets() -> None:
    assert make().stdout == make("help").stdout


def test_every_target_of_continuous_integration_is_there() -> None:
    for target in make("--silent", "ci-targets").stdout.split():
        assert re.search(rf"^{target}:", RULES, re.MULTILINE), target


def test_a_python_that_is_too_old_is_named_with_what_is_needed(tmp_path: Path) -> None:
    old = tmp_path / "python3.9"
    old.write_text('#!/bin/sh\n[ "$1" = --version ] && echo "Python 3.9.2" && exit 0\nexit 1\n')
    old.chmod(0o755)
    said = make("install", f"PYTHON={old}", f"VENV={tmp_path / 'venv'}")
    assert said.returncode != 0
    assert f"{old} is Python 3.9.2; 3.11 or newer is needed" in said.stderr


def test_a_python_without_venv_is_told_which_package_has_it(tmp_path: Path) -> None:
    bare = tmp_path / "python3"
    bare.write_text('#!/bin/sh\ncase "$2" in *version_info*) exit 0;; esac\nexit 1\n')
    bare.chmod(0o755)
    said = make("install", f"PYTHON={bare}", f"VENV={tmp_path / 'venv'}")
    assert said.returncode != 0
    assert "on Debian: apt install python3-venv" in said.stderr
    assert not (tmp_path / "venv").exists()
