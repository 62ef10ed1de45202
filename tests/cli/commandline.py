"""The installed command, started as people start it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

COMMAND = Path(sys.executable).with_name("cmbagent-otel")
# The interpreter as the installed command names it: `python` and `python3` are one, and named in messages.
PYTHON = COMMAND.read_text().splitlines()[0].removeprefix("#!")


def start(
    *words: str | Path, cwd: Path, env: Mapping[str, str] | None = None, stdin: str | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a program to its end; it sees none of our variables but those of ``env``."""
    return subprocess.run(
        [str(word) for word in words],
        cwd=cwd,
        env=environment(env),
        input=stdin if stdin is not None else "",
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def cli(*words: str | Path, cwd: Path, env: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run ``cmbagent-otel``."""
    return start(COMMAND, *words, cwd=cwd, env=env)


def environment(additions: Mapping[str, str] | None = None) -> dict[str, str]:
    """This process's environment with ``additions``; every database and spool of a test is its own."""
    kept = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "NO_COLOR", "FORCE_COLOR")}
    return {**kept, **(additions or {})}
