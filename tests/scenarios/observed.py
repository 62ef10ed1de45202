"""What ``observe.py`` saw of every program, without hooks and with; both at the same time."""

from __future__ import annotations

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple, cast

from cmbagent_otel.spans.record import SpanRecord
from cmbagent_otel.store.spool import decode
from tests.scenarios import observe

_ROOT = Path(__file__).parents[2]


class Observed(NamedTuple):
    """By the name of the program."""

    without: dict[str, dict[str, Any]]
    """What is seen without hooks, by aspect."""
    with_hooks: dict[str, dict[str, Any]]
    spans: dict[str, list[SpanRecord]]
    """What the hooks told, content included."""


def observe_all(folder: Path) -> Observed:
    """Run every program twice."""

    def run(name: str, *words: Path) -> dict[str, Any]:
        result = folder / f"{name}.json"
        subprocess.run([sys.executable, "-m", observe.__name__, result, *words], check=True, cwd=_ROOT)
        found: dict[str, Any] = json.loads(result.read_text())
        return found

    kept = folder / "spans.json"
    with ThreadPoolExecutor(max_workers=2) as pool:
        without, with_hooks = pool.submit(run, "without"), pool.submit(run, "with_hooks", kept)
        return Observed(without.result(), with_hooks.result(), _spans(kept))


def _spans(kept: Path) -> dict[str, list[SpanRecord]]:
    return {
        name: [cast("SpanRecord", decode(line.encode())) for line in lines]
        for name, lines in json.loads(kept.read_text()).items()
    }
