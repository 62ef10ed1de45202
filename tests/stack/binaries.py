"""Jaeger and the OpenTelemetry Collector, built from Go modules once and kept outside the tree.

What is built is pinned by ``go.mod`` and ``go.sum`` under ``collector/``; a binary's name carries their hash,
so that another pin is another binary.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]

NO_GO = (
    "Jaeger and the Collector are built from Go modules, and there is no Go here: "
    "install Go 1.26 or newer (https://go.dev/dl), see that `go version` works, and try again."
)


class BuildError(Exception):
    """A binary can't be had; the message names the fix."""


class Tool(NamedTuple):
    """A program of ours to build: its module folder and how."""

    name: str
    version: str
    folder: Path
    package: str
    flags: tuple[str, ...]


JAEGER = Tool(
    "jaeger",
    "2.13.0",  # which as a Go module is called v1.76.0
    ROOT / "collector" / "jaeger",
    "github.com/jaegertracing/jaeger/cmd/jaeger",
    ("-ldflags", "-s -w -X github.com/jaegertracing/jaeger/internal/version.latestVersion=v2.13.0"),
)
COLLECTOR = Tool(
    "otelcol",
    "0.160.0",
    ROOT / "collector" / "otelcol",
    ".",
    ("-ldflags", "-s -w", "-tags", "grpcnotrace"),
)


def binary(tool: Tool) -> Path:
    """The program, built now if it is not in the cache.

    Raises:
        BuildError: There is no Go, or the build failed.
    """
    path = cache_folder() / "bin" / f"{tool.name}-{tool.version}-{_digest(tool)}"
    if not path.exists():
        _build(tool, path)
    return path


def cache_folder() -> Path:
    """Where binaries and environments are kept between runs."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "cmbagent-otel"


def _digest(tool: Tool) -> str:
    digest = hashlib.sha256(repr((tool.package, tool.flags)).encode())
    for source in sorted(tool.folder.iterdir()):
        digest.update(source.name.encode() + source.read_bytes())
    return digest.hexdigest()[:12]


def _build(tool: Tool, path: Path) -> None:
    go = shutil.which("go")
    if go is None:
        raise BuildError(NO_GO)
    path.parent.mkdir(parents=True, exist_ok=True)
    _say(f"building {path.name}: a few minutes, once")
    began = time.monotonic()
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        made = Path(folder) / tool.name
        said = subprocess.run(
            [go, "build", "-mod=readonly", "-trimpath", "-buildvcs=false", *tool.flags, "-o", made, tool.package],
            cwd=tool.folder,
            env={**os.environ, "CGO_ENABLED": "0"},
            capture_output=True,
            text=True,
            check=False,
        )
        if said.returncode:
            raise BuildError(f"building {tool.name} {tool.version} failed:\n{said.stderr[-4000:]}")
        made.replace(path)
    _say(f"built {path.name} in {time.monotonic() - began:.0f} s")


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")
