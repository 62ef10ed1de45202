"""What the in-process door costs its program: time on the agent's thread, and memory.

    make bench-processor [ARGS="--rounds 5 --spans 1000000 --json FILE"]

Time is CPU of the calling thread in ``on_start`` and ``on_end``, while the writer's thread does its work beside it.
Memory is that of a process of its own: first with all libraries and nothing of ours, then with the hooks installed and
a first span written, then while a million spans are made as fast as Python can.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from opentelemetry.sdk.trace import Span, TracerProvider

from benchmarks.figures import by_name, hand_on
from cmbagent_otel.processor import DagSpanProcessor
from cmbagent_otel.settings import load

_SPANS = 5_000
_ATTRIBUTES: dict[str, str | int] = {
    "gen_ai.operation.name": "chat",
    "gen_ai.request.model": "gpt-4o",
    "gen_ai.provider.name": "openai",
    "gen_ai.usage.input_tokens": 1200,
    "gen_ai.usage.output_tokens": 90,
}


def thread_time(folder: Path) -> dict[str, float]:
    """Microseconds of the calling thread, a span."""
    tracer = TracerProvider().get_tracer("bench")  # without a processor: its own cost is not ours
    spans = [tracer.start_span("chat gpt-4o", attributes=_ATTRIBUTES) for _ in range(_SPANS)]
    for span in spans:
        span.end()
    processor = DagSpanProcessor(load(database_url=f"sqlite:///{folder / 'runs.db'}", spool_dir=folder / "spool"))
    began = time.thread_time()
    for span in spans:
        assert isinstance(span, Span)
        processor.on_start(span)
        processor.on_end(span)
    spent = time.thread_time() - began
    processor.shutdown()
    return {"on_start + on_end, us a span (<= 5)": spent / _SPANS * 1e6}


_PROGRAM = """
import os, sys, threading, time
url, spool, spans = sys.argv[1], sys.argv[2], int(sys.argv[3])
import alembic.command, autogen, genai_prices, opentelemetry.sdk.trace, opentelemetry.instrumentation.instrumentor
import opentelemetry.exporter.otlp.proto.http.trace_exporter, orjson, psycopg, pydantic_settings, sqlalchemy, wrapt
import sqlalchemy.dialects.postgresql, sqlalchemy.dialects.sqlite
engine = sqlalchemy.create_engine("sqlite://")
engine.connect().exec_driver_sql("SELECT 1")

def resident():
    with open("/proc/self/statm") as said:
        return int(said.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6

libraries = resident()
import cmbagent_otel as otel
otel.configure(database_url=url, spool_dir=spool)
from opentelemetry import trace
tracer = trace.get_tracer("program")
tracer.start_span("first").end()
otel.flush(timeout=30)
rest, peak = resident(), 0
attributes = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "gpt-4o", "gen_ai.provider.name": "openai"}
for number in range(spans):
    tracer.start_span("chat gpt-4o", attributes=attributes).end()
    if number % 1000 == 0:
        peak = max(peak, resident())
print(rest - libraries, max(peak, resident()) - rest, flush=True)
os._exit(0)
"""


def memory(folder: Path, spans: int) -> dict[str, float]:
    """MB at rest beyond the libraries, and by how much they grow."""
    arguments = [f"sqlite:///{folder / 'runs.db'}", str(folder / "spool"), str(spans)]
    said = subprocess.run([sys.executable, "-c", _PROGRAM, *arguments], capture_output=True, text=True, check=False)
    if said.returncode:
        raise SystemExit(said.stderr)
    at_rest, growth = map(float, said.stdout.split())
    return {
        "at rest beyond the libraries, MB (<= 20)": at_rest,
        f"growth over {spans:,} spans, MB (<= 100)": growth,
    }


def main() -> None:
    """Measure, print, and hand on."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--spans", type=int, default=1_000_000)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    rounds = []
    for _ in range(options.rounds + 1):  # the first warms up
        with tempfile.TemporaryDirectory() as folder:
            rounds.append(thread_time(Path(folder)))
    with tempfile.TemporaryDirectory() as folder:
        parts = {"time": by_name(rounds[1:]), "memory": by_name([memory(Path(folder), options.spans)])}
    for part in parts.values():
        for name, values in part.items():
            print(f"  {name:<50} {statistics.median(values):>12,.2f}   ({min(values):,.2f} to {max(values):,.2f})")
    if options.json:
        hand_on(options.json, parts, ("opentelemetry-sdk", "sqlalchemy"))


if __name__ == "__main__":
    main()
