"""The files that a code execution created or changed: its folder before and after, compared.

Looking costs a listing of the folder, never reading what was there; only what is new is read, to hash it.
Both are bounded, since they happen on the program's time.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from opentelemetry.trace import Span

from cmbagent_otel import content, semconv

_MOST_ENTRIES = 5000
"""A folder of more is not looked at."""
_MOST_FILES = 200
"""Files told of one execution."""
_MOST_BYTES = 64 * 1024 * 1024
"""Bytes hashed for one execution; the files beyond have no hash."""
_NOT_OUTPUT = frozenset({"__pycache__", "node_modules", "venv"})

_TYPES = {
    "code": ".py .ipynb .js .ts .java .cpp .c .h .go .rs .rb .r .jl .f90 .sh .bash",
    "plot": ".png .jpg .jpeg .gif .svg .pdf .eps .bmp .tiff .webp",
    "data": ".csv .tsv .json .jsonl .pkl .pickle .npz .npy .parquet .yaml .yml .h5 .hdf5 .fits .dat .feather .zarr .db",
    "report": ".md .rst .txt .html .tex .docx",
    "log": ".log",
}
_TYPE_OF = {suffix: name for name, suffixes in _TYPES.items() for suffix in suffixes.split()}


class _State(NamedTuple):
    modified: int
    size: int


class Folder:
    """A folder as it was when it was looked at.

    Args:
        path: where; a folder that is not there is empty.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path).absolute()
        self._before = _listing(self.path)

    def changed(self) -> list[dict[str, str | int]]:
        """Each file that is new or changed: ``path``, ``type``, ``size`` in bytes and ``sha256``."""
        after = _listing(self.path)
        if self._before is None or after is None:
            return []
        new = sorted(path for path, state in after.items() if self._before.get(path) != state)
        left = _MOST_BYTES
        files: list[dict[str, str | int]] = []
        for path in new[:_MOST_FILES]:
            size = after[path].size
            file: dict[str, str | int] = {"path": path, "type": type_of(path), "size": size}
            digest = _digest(path) if size <= left else None
            if digest is not None:
                left -= size
                file["sha256"] = digest
            files.append(file)
        return files

    def state(self, span: Span) -> None:
        """Put on ``span`` what has changed."""
        files = self.changed()
        if files:
            texts = [content.clean(json.dumps(file, ensure_ascii=False)) for file in files]
            span.set_attribute(semconv.CODE_FILES, texts)


def look(span: Span, path: object) -> Folder | None:
    """The folder at ``path`` as it is now, if there is one and ``span`` is recorded."""
    if not span.is_recording() or not isinstance(path, str | Path) or not str(path):
        return None
    return Folder(path)


def type_of(path: str) -> str:
    """What a file is by its name, in CMBAgent's words: ``code``, ``plot``, ``data``, ``report``, ``log``, ``other``."""
    return _TYPE_OF.get(Path(path).suffix.lower(), "other")


def _listing(folder: Path) -> Mapping[str, _State] | None:
    found: dict[str, _State] = {}
    for entry in _files(folder):
        try:
            stat = entry.stat(follow_symlinks=False)
        except OSError:
            continue
        found[entry.path] = _State(stat.st_mtime_ns, stat.st_size)
        if len(found) > _MOST_ENTRIES:
            return None
    return found


def _files(folder: Path) -> Iterator[os.DirEntry[str]]:
    waiting = [str(folder)]
    seen = 0
    while waiting and seen <= _MOST_ENTRIES:
        try:
            with os.scandir(waiting.pop()) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        if not entry.name.startswith(".") and entry.name not in _NOT_OUTPUT:
                            waiting.append(entry.path)
                            seen += 1
                    elif entry.is_file(follow_symlinks=False):
                        yield entry
        except OSError:
            continue


def _digest(path: str) -> str | None:
    try:
        with Path(path).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return None
