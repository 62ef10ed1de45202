"""Run every program and write down all that anybody outside can see of it: ``observe.py RESULT [SPANS]``.

With ``SPANS`` it is run with hooks, whose spans are kept there, as the spool keeps them. In a process of its own, since
AG2 keeps the standard output that it found when it was imported.
"""

from __future__ import annotations

import io
import json
import logging
import os
import re
import sys
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cmbagent_otel.spans.from_sdk import from_sdk
from cmbagent_otel.store.spool import encode
from tests.scenarios import programs, stage
from tests.scenarios.world import PROGRAMS, Program

_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_STANDARD = (1, 2)


@contextmanager
def written_to(files: tuple[Path, Path]) -> Iterator[None]:
    """Lead standard output and error of this process, and of its children, into ``files``."""
    sys.stdout.flush()
    kept = [os.dup(number) for number in _STANDARD]
    opened = [os.open(file, os.O_CREAT | os.O_TRUNC | os.O_WRONLY) for file in files]
    try:
        for number, file in zip(_STANDARD, opened, strict=True):
            os.dup2(file, number)
        yield
    finally:
        sys.stdout.flush()
        for number, old, new in zip(_STANDARD, kept, opened, strict=True):
            os.dup2(old, number)
            os.close(old)
            os.close(new)


def observe(played: Program, folder: Path) -> dict[str, Any]:
    """What is seen of one run; chats at once finish in any order, so what they share is sorted."""
    files = (folder / f"{played.name}.out", folder / f"{played.name}.err")
    with written_to(files):
        outcome, world = stage.perform(played, folder / played.name)
    bodies = [json.dumps(request.body, sort_keys=True) for request in world.server.requests]
    at_once = played.traces > 1 or "at_once" in played.name
    out, err = (_UUID.sub("a uuid", file.read_text(errors="surrogateescape")) for file in files)
    return {
        "outcome": outcome,
        "done": sorted(world.done),
        "stdout": sorted("".join(out.split())) if at_once else out,
        "stderr": err,
        "requests": sorted(bodies) if at_once else bodies,
    }


def main(result: Path, kept: Path | None) -> None:
    """Observe all programs, one after the other."""
    assert programs.__all__
    warnings.simplefilter("ignore")
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    logging.raiseExceptions = False  # AG2 logs what it prints, and its handler can not write a lone surrogate
    seen, spans = {}, {}
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        Path("chats").mkdir()
        for name in sorted(PROGRAMS):
            if kept:
                recorder = stage.Recorder()
                with stage.installed(recorder, content_on=True):
                    seen[name] = observe(PROGRAMS[name], Path(folder))
                spans[name] = [
                    encode(record).decode() for span in recorder.ended if (record := from_sdk(span)) is not None
                ]
            else:
                seen[name] = observe(PROGRAMS[name], Path(folder))
        os.chdir("/")
    result.write_text(json.dumps(seen, default=str))
    if kept:
        kept.write_text(json.dumps(spans))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]) if sys.argv[2:] else None)
