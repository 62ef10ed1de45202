"""Python environments with what other people's instrumentation needs, made once and kept outside the tree."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.stack.binaries import cache_folder


def python_with(name: str, requirements: Sequence[str]) -> Path:
    """The interpreter of an environment with these requirements, made now if there is none."""
    digest = hashlib.sha256("\n".join([sys.version, *requirements]).encode()).hexdigest()[:12]
    folder = cache_folder() / "venv" / f"{name}-{digest}"
    if not (folder / "complete").exists():
        shutil.rmtree(folder, ignore_errors=True)
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        pip = str(folder / "bin" / "pip")
        subprocess.run([pip, "install", "--quiet", "--disable-pip-version-check", *requirements], check=True)
        (folder / "complete").touch()
    return folder / "bin" / "python"
