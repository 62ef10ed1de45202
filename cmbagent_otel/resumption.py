"""Where a run was left, kept in small files of this machine, so that another process, on another day, goes on with it.

A later trace of a run carries the same run and session, and links to the root of the trace before. Spans are
linked when they begin, and beginning one must not wait for a database: so the last root of each run is kept
here. On another machine the link is missing, and the run id still makes both traces one run.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from pathlib import Path
from typing import NamedTuple

from opentelemetry.trace import Link, SpanContext, TraceFlags

from cmbagent_otel import semconv

_KEPT = 1000
"""Files; past it the oldest go."""


class Left(NamedTuple):
    """A run as its last trace left it."""

    run_id: str
    session_id: str | None
    root: SpanContext

    @property
    def link(self) -> Link:
        """From the root of the trace that goes on with the run."""
        return Link(self.root, {semconv.LINK_KIND: semconv.LINK_RESUMES})


class _Folder:
    path: Path | None = None


def configure(folder: Path | None) -> None:
    """Keep the files in ``folder``; None keeps and finds nothing."""
    _Folder.path = folder


def leave(left: Left, *, work_dir: str | None = None) -> None:
    """Keep ``left`` for :func:`find`, by its run, or by the folder that the run works in. Never raises."""
    folder = _Folder.path
    if folder is None or not left.root.is_valid:
        return
    text = json.dumps(
        {
            "run_id": left.run_id,
            "session_id": left.session_id,
            "trace_id": f"{left.root.trace_id:032x}",
            "span_id": f"{left.root.span_id:016x}",
        }
    )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _make_room(folder)
        with tempfile.NamedTemporaryFile("w", dir=folder, prefix=".", delete=False) as file:
            file.write(text)
        Path(file.name).replace(folder / _name(left.run_id, work_dir))
    except OSError:
        return


def find(run_id: str = "", *, work_dir: str | None = None) -> Left | None:
    """The run of that id, or else the last one that worked in that folder; None where this machine knows of none."""
    if _Folder.path is None:
        return None
    try:
        kept = json.loads((_Folder.path / _name(run_id, work_dir)).read_text())
        root = SpanContext(
            int(kept["trace_id"], 16), int(kept["span_id"], 16), is_remote=True, trace_flags=TraceFlags(1)
        )
        return Left(str(kept["run_id"]), kept["session_id"], root)
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _name(run_id: str, work_dir: str | None) -> str:
    key = f"run {run_id}" if work_dir is None else f"dir {Path(work_dir).expanduser().resolve()}"
    return f"{hashlib.sha256(key.encode('utf-8', 'replace')).hexdigest()[:32]}.json"


def _make_room(folder: Path) -> None:
    with os.scandir(folder) as entries:
        files = list(entries)
    if len(files) >= _KEPT:
        for file in sorted(files, key=lambda entry: entry.stat().st_mtime)[: len(files) - _KEPT + 1]:
            Path(file.path).unlink(missing_ok=True)
