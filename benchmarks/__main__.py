"""All that is measured, into one page: ``make bench``.

Each benchmark is a program of its own that hands on its figures. They are kept, so that a run that was broken off goes
on where it was, and one benchmark can be done anew; after a whole run the next begins anew. At the end ``RESULTS.md``
is written, and what the README and the pages of ``docs/`` quote of it.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from benchmarks import report
from tests.stack.environments import python_with

ROOT = Path(__file__).parents[1]
KEPT = ROOT / "artefacts" / "bench"
PEERS = (
    "openinference-instrumentation-ag2==0.1.12",
    "openinference-instrumentation-openai==0.1.66",
    "autogen[openai]==0.14.1",
    "alembic",
    "genai-prices",
    "opentelemetry-exporter-otlp",
    "opentelemetry-instrumentation",
    "opentelemetry-sdk",
    "orjson",
    "psycopg[binary]",
    "pydantic-settings",
    "sqlalchemy",
    "wrapt",
)
"""OpenInference as it comes, the AG2 that it knows, and what this package needs."""


class Benchmark(NamedTuple):
    """A program that hands on figures."""

    name: str
    module: str
    options: Sequence[str] = ()
    python: Callable[[], Path] = lambda: Path(sys.executable)
    missing: Callable[[], str] = lambda: ""


def _no_browser() -> str:
    return "" if os.environ.get("CHROMIUM") else "there is no Chromium on this machine"


BENCHMARKS = (
    Benchmark("hooks", "benchmarks.bench_hooks"),
    Benchmark("peers", "benchmarks.bench_peers", python=lambda: python_with("bench-peers", PEERS)),
    Benchmark("old_way", "benchmarks.bench_old_way"),
    Benchmark("store", "benchmarks.bench_store"),
    Benchmark("sink", "benchmarks.bench_sink"),
    Benchmark("read", "benchmarks.bench_read"),
    Benchmark("memory", "benchmarks.bench_memory"),
    Benchmark("viewer", "benchmarks.viewer", missing=_no_browser),
)


def run(benchmark: Benchmark) -> None:
    """Measure, unless it is measured already; what can't be is noted with its reason."""
    kept, note = KEPT / f"{benchmark.name}.json", KEPT / f"{benchmark.name}.not-run"
    if kept.exists():
        print(f"{benchmark.name}: measured already")
        return
    note.unlink(missing_ok=True)
    if reason := benchmark.missing():
        note.write_text(reason)
        print(f"{benchmark.name}: not measured: {reason}")
        return
    began, partial = time.monotonic(), kept.with_suffix(".partial")
    command = [str(benchmark.python()), "-m", benchmark.module, *benchmark.options, "--json", str(partial)]
    with (KEPT / f"{benchmark.name}.log").open("wb") as log:
        ended = subprocess.run(command, cwd=ROOT, stdout=log, stderr=log, check=False)
    if ended.returncode:
        raise SystemExit(f"{benchmark.name} failed; what it said is in {os.path.relpath(log.name)}")
    partial.rename(kept)
    print(f"{benchmark.name}: {time.monotonic() - began:.0f} s", flush=True)


def main() -> None:
    """Measure all, or what is asked for, and write the page when all is there."""
    names = [benchmark.name for benchmark in BENCHMARKS]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("only", nargs="*", metavar="NAME", help=f"measure these anew, of {', '.join(names)}")
    only = parser.parse_args().only
    if unknown := set(only) - set(names):
        parser.error(f"there is no {', '.join(sorted(unknown))}; there are {', '.join(names)}")
    if not only and (KEPT / "written").exists():
        shutil.rmtree(KEPT)
    KEPT.mkdir(parents=True, exist_ok=True)
    for name in only:
        (KEPT / f"{name}.json").unlink(missing_ok=True)
    for benchmark in BENCHMARKS:
        if not only or benchmark.name in only:
            run(benchmark)
    if all((KEPT / f"{name}.json").exists() or (KEPT / f"{name}.not-run").exists() for name in names):
        page = report.page(KEPT, datetime.now(UTC).date().isoformat())
        (ROOT / "benchmarks" / "RESULTS.md").write_text(page)
        report.quote_in_pages(page)
        (KEPT / "written").touch()
        print("written: benchmarks/RESULTS.md, and the pages that quote it")


if __name__ == "__main__":
    main()
