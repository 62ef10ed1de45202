"""Records that wait on disk: for a database that is away, or past the bound of what memory may hold.

Each process appends to a file of its own, one JSON record a line, and holds a lock on it while it lives. What a
dead process left is claimed by taking its lock, and removed once the database has it.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any, Protocol

import orjson

from cmbagent_otel.graph.sanitize import json_text
from cmbagent_otel.spans.record import Heartbeat, Record, SpanEvent, SpanLink, SpanRecord

_SUFFIX = ".spool"
_LOST = "lost"
# What waited is often older than what has been written since, and makes later siblings move: seldom is better.
_BATCH, _BATCH_BYTES = 4_096, 8_000_000


class RecordWriter(Protocol):
    """What replays records into a database."""

    def write(self, records: Sequence[Record]) -> object:
        """Commit ``records``, or raise."""


class Spool:
    """The spool of one process. Every method may be called from any thread.

    Args:
        directory: where the files of all processes that write to one database are.
        limit_bytes: bound of all of them together.
    """

    def __init__(self, directory: Path, limit_bytes: int) -> None:
        self.directory = directory
        self._limit = limit_bytes
        self._lock = threading.RLock()
        self._file: IO[bytes] | None = None
        self._path: Path | None = None
        self._others = 0

    @property
    def is_used(self) -> bool:
        """Whether this process has records waiting here."""
        return self._file is not None

    def append(self, records: Sequence[Record]) -> int:
        """Append ``records``; returns how many found no room, start records first, then the newest.

        Raises:
            OSError: the folder can't be written to.
        """
        with self._lock:
            file = self._file or self._open()
            lines = [(record, encode(record)) for record in records]
            room = self._limit - self._others - file.tell()
            if sum(len(line) for _, line in lines) > room:
                lines = [(record, line) for record, line in lines if not _is_start(record)]
            kept: list[bytes] = []
            for _, line in lines:
                room -= len(line)
                if room < 0:
                    break
                kept.append(line)
            _write_whole(file, b"".join(kept))
            lost = len(records) - len(kept)
            if lost:
                self._count_lost(lost)
            return lost

    def replay(self, writer: RecordWriter) -> int:
        """Write what this process and dead ones left, oldest first, and remove it; returns how many records.

        Whatever the writer raises passes through, and what it has not committed stays.
        """
        replayed = 0
        own, path = self._take()
        if own is not None and path is not None:
            try:
                replayed += _replay(path, writer)
            except BaseException:
                self._put_back(own, path)
                raise
            path.unlink(missing_ok=True)
            own.close()
        for file, orphan in self._claimed():
            with file:
                replayed += _replay(orphan, writer)
                orphan.unlink(missing_ok=True)
        return replayed

    def waiting(self) -> tuple[int, int]:
        """How many files there are, of this process and all others, and how many bytes they hold."""
        sizes = [path.stat().st_size for path in self.directory.glob(f"*{_SUFFIX}")]
        return len(sizes), sum(sizes)

    def lost(self) -> int:
        """How many records have ever found no room here."""
        try:
            return int((self.directory / _LOST).read_text())
        except (OSError, ValueError):
            return 0

    def close(self) -> None:
        """Leave what is here to the next process; a file that holds nothing goes."""
        file, path = self._take()
        if file is not None and path is not None:
            if file.tell() == 0:
                path.unlink(missing_ok=True)
            file.close()

    def forget(self) -> None:
        """Let go of the file in a forked child: it is the parent's."""
        self._lock = threading.RLock()
        file, self._file, self._path = self._file, None, None
        if file is not None:
            file.close()

    def _take(self) -> tuple[IO[bytes] | None, Path | None]:
        with self._lock:
            file, path = self._file, self._path
            self._file = self._path = None
        return file, path

    def _put_back(self, file: IO[bytes], path: Path) -> None:
        with self._lock:
            if self._file is None:
                self._file, self._path = file, path
            else:
                file.close()  # without its lock the next process claims it

    def _open(self) -> IO[bytes]:
        self.directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        _, self._others = self.waiting()
        path = self.directory / f"{os.getpid()}-{secrets.token_hex(4)}{_SUFFIX}"
        file = path.open("ab", buffering=0)  # a line that append() has taken survives the process
        path.chmod(0o600)
        fcntl.flock(file, fcntl.LOCK_EX)
        self._file, self._path = file, path
        return file

    def _claimed(self) -> Iterator[tuple[IO[bytes], Path]]:
        found = sorted(self.directory.glob(f"*{_SUFFIX}"), key=_modified)
        for path in found:
            if path == self._path:
                continue
            try:
                file = path.open("rb")
            except FileNotFoundError:
                continue
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                file.close()  # its owner lives
                continue
            if not path.exists():
                file.close()  # another process was quicker
                continue
            yield file, path

    def _count_lost(self, count: int) -> None:
        (self.directory / _LOST).write_text(str(self.lost() + count))


def _modified(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return 0.0


def _replay(path: Path, writer: RecordWriter) -> int:
    replayed = 0
    batch: list[Record] = []
    size = 0
    with path.open("rb") as lines:
        for line in lines:
            record = decode(line)
            if record is not None:
                batch.append(record)
                size += len(line)
            if len(batch) == _BATCH or size >= _BATCH_BYTES:
                writer.write(batch)
                replayed += len(batch)
                batch, size = [], 0
    if batch:
        writer.write(batch)
    return replayed + len(batch)


def _write_whole(file: IO[bytes], lines: bytes) -> None:
    """Append all of it or, where the disk is full, nothing: half a line would spoil the next one."""
    before = file.tell()
    unwritten = memoryview(lines)
    try:
        while unwritten:
            unwritten = unwritten[file.write(unwritten) :]
    except OSError:
        file.truncate(before)
        raise


def _is_start(record: Record) -> bool:
    return isinstance(record, SpanRecord) and record.end_time_unix_nano is None


def encode(record: Record) -> bytes:
    """One line."""
    kind = "heartbeat" if isinstance(record, Heartbeat) else "span"
    return json_text([kind, *record]).encode() + b"\n"


def decode(line: bytes) -> Record | None:
    """The record of a line; None for one that was cut off when its process died, or that no version of ours wrote."""
    try:
        kind, *fields = orjson.loads(line)
        if kind == "heartbeat":
            return Heartbeat(tuple(fields[0]), *fields[1:])
        record = SpanRecord(*fields)
        return record._replace(
            events=tuple(SpanEvent(*event) for event in record.events),
            links=tuple(SpanLink(*link) for link in record.links),
            attributes=_tuples(record.attributes),
        )
    except (ValueError, TypeError, AttributeError, IndexError):
        return None


def _tuples(attributes: Any) -> dict[str, Any]:
    return {key: tuple(value) if isinstance(value, list) else value for key, value in attributes.items()}
