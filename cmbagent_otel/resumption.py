"""Where a run was left, kept in small files of this machine, so that another process, on another day, goes on with it.

A later trace of a run carries the same run and session, and links to the root of the trace before; a step done
again there links to the attempt before. Spans are linked when they begin, and beginning one must not wait for a
database: so what is linked to is kept here. On another machine the links are missing, and the run id still
makes both traces one run.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

from opentelemetry.trace import Link, SpanContext, TraceFlags

from cmbagent_otel import semconv

_KEPT = 1000
"""Files; past it the oldest go."""


class Attempted(NamedTuple):
    """The last attempt at a step that can be restarted."""

    number: int
    """Of the step."""
    attempt: int
    """Counted from 1."""
    source: str
    """Node id of the first attempt."""
    span: SpanContext


class Left(NamedTuple):
    """A run as its last trace left it."""

    run_id: str
    session_id: str | None
    root: SpanContext
    attempts: tuple[Attempted, ...] = ()

    @property
    def link(self) -> Link:
        """From the root of the trace that goes on with the run."""
        return Link(self.root, {semconv.LINK_KIND: semconv.LINK_RESUMES})


class _Folder:
    path: Path | None = None


def configure(folder: Path | None) -> None:
    """Keep the files in ``folder``; None keeps and finds nothing."""
    _Folder.path = folder


def leave(left: Left) -> None:
    """Keep ``left`` for :func:`find`. Never raises."""
    if left.root.is_valid:
        _write(
            f"run {left.run_id}",
            {
                "run_id": left.run_id,
                "session_id": left.session_id,
                "root": _text(left.root),
                "attempts": [[*attempted[:3], _text(attempted.span)] for attempted in left.attempts],
            },
        )


def attempted(run_id: str, what: Attempted) -> None:
    """Keep the last attempt at a step of a run that was left before."""
    left = find(run_id)
    if left is not None and what.span.is_valid:
        others = tuple(one for one in left.attempts if one.number != what.number)
        leave(left._replace(attempts=(*others, what)))


def find(run_id: str) -> Left | None:
    """The run of that id; None where this machine knows of none."""
    kept = _read(f"run {run_id}")
    try:
        attempts = tuple(
            Attempted(number, attempt, source, _span_context(span))
            for number, attempt, source, span in kept["attempts"]
        )
        return Left(str(kept["run_id"]), kept["session_id"], _span_context(kept["root"]), attempts)
    except (ValueError, KeyError, TypeError):
        return None


def worked_in(work_dir: str, run_id: str) -> None:
    """Keep which run worked last in that folder of the program's."""
    _write(_folder_key(work_dir), {"run_id": run_id})


def find_in(work_dir: str) -> Left | None:
    """The run that worked last in that folder."""
    run_id = _read(_folder_key(work_dir)).get("run_id")
    return find(run_id) if isinstance(run_id, str) else None


def _folder_key(work_dir: str) -> str:
    return f"dir {Path(work_dir).expanduser().resolve()}"


def _text(span: SpanContext) -> str:
    return f"{span.trace_id:032x}-{span.span_id:016x}"


def _span_context(text: str) -> SpanContext:
    trace_id, span_id = text.split("-")
    return SpanContext(int(trace_id, 16), int(span_id, 16), is_remote=True, trace_flags=TraceFlags(1))


def _read(key: str) -> dict[str, Any]:
    if _Folder.path is None:
        return {}
    try:
        kept = json.loads((_Folder.path / _name(key)).read_text())
    except (OSError, ValueError):
        return {}
    return kept if isinstance(kept, dict) else {}


def _write(key: str, kept: dict[str, Any]) -> None:
    folder = _Folder.path
    if folder is None:
        return
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _make_room(folder)
        with tempfile.NamedTemporaryFile("w", dir=folder, prefix=".", delete=False) as file:
            json.dump(kept, file)
        Path(file.name).replace(folder / _name(key))
    except OSError:
        return


def _name(key: str) -> str:
    return f"{hashlib.sha256(key.encode('utf-8', 'replace')).hexdigest()[:32]}.json"


def _make_room(folder: Path) -> None:
    with os.scandir(folder) as entries:
        files = list(entries)
    if len(files) >= _KEPT:
        for file in sorted(files, key=lambda entry: entry.stat().st_mtime)[: len(files) - _KEPT + 1]:
            Path(file.path).unlink(missing_ok=True)
