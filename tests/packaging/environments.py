"""Environments made for a test, by uv: it knows how to take the lowest versions that are allowed."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

UV = Path(sys.executable).with_name("uv")


def interpreter(version: str) -> str | None:
    """A Python of that version on this machine."""
    return next((str(path) for path in _candidates(version) if _is(path, version)), None)


def _candidates(version: str) -> Iterator[str | Path]:
    yield sys.executable
    if (found := shutil.which(f"python{version}")) is not None:
        yield found
    yield from sorted(Path.home().glob(f".pyenv/versions/{version}.*/bin/python"))


def _is(path: str | Path, version: str) -> bool:
    said = subprocess.run([path, "--version"], capture_output=True, text=True, check=False)
    return said.stdout.startswith(f"Python {version}.")


def environment(folder: Path, python: str, requirements: Sequence[str], *options: str) -> Path:
    """The interpreter of a new environment in ``folder`` with these requirements, from wheels alone."""
    uv("venv", "--python", python, folder)
    uv("pip", "install", "--python", folder, "--only-binary", ":all:", *options, *requirements)
    return folder / "bin" / "python"


def uv(*words: str | Path, given: str | None = None) -> str:
    """What it says; on failure its own words are the message."""
    command = [UV, "--quiet", "--no-config", *words]
    said = subprocess.run(command, input=given, capture_output=True, text=True, check=False)
    assert said.returncode == 0, said.stderr
    return said.stdout
