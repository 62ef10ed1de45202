"""What a traced program needs in memory: ``make bench``.

The same program, each time in a process of its own, opens a run of steps with agent turns and model calls, once with
OpenTelemetry's SDK and its batch processor alone, whose spans go nowhere, and once with ours, whose spans are in SQLite
when it ends; once more while the database is away. What is compared is the resident memory at its peak.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.figures import by_name, hand_on

PROGRAM = """
import sys, resource
way, url, spool, spans = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
if way == "bare":
    class Nothing(SpanExporter):
        def export(self, spans):
            return SpanExportResult.SUCCESS
    provider = TracerProvider()
    provider.add_span_processor(BatchSpanProcessor(Nothing()))
    trace.set_tracer_provider(provider)
else:
    import logging
    logging.disable(logging.CRITICAL)
    import cmbagent_otel as otel
    otel.configure(database_url=url, spool_dir=spool)
tracer = trace.get_tracer("program")
attributes = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "gpt-4o", "gen_ai.usage.input_tokens": 1200,
              "gen_ai.usage.output_tokens": 90, "gen_ai.provider.name": "openai"}
with tracer.start_as_current_span("workflow"):
    for step in range(spans // 50):
        with tracer.start_as_current_span("step"):
            for turn in range(24):
                with tracer.start_as_current_span("invoke_agent", attributes={"gen_ai.operation.name": "invoke_agent"}):
                    with tracer.start_as_current_span("chat gpt-4o", attributes=attributes):
                        pass
if way == "bare":
    provider.force_flush()
else:
    otel.flush(timeout=60 if way == "ours" else 0.5)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, flush=True)
import os
os._exit(0)
"""
AWAY = "postgresql://nobody@127.0.0.1:1/nothing"


def peak(way: str, url: str, folder: Path, spans: int) -> float:
    """MiB at the peak of a program that is traced in this way."""
    command = [sys.executable, "-c", PROGRAM, way, url, str(folder / f"spool-{way}-{spans}"), str(spans)]
    said = subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True)
    return float(said.stdout)


def one_round(folder: Path, spans: int) -> dict[str, float]:
    """All ways, once."""
    bare = peak("bare", "-", folder, spans)
    ours = peak("ours", f"sqlite:///{folder / 'runs.db'}", folder, spans)
    away = peak("away", AWAY, folder, spans)
    return {
        "ours : the SDK alone, memory at its peak": ours / bare,
        "ours, database away : the SDK alone, memory at its peak": away / bare,
        "the SDK alone, MiB": bare,
        "ours, MiB": ours,
        "ours, database away, MiB": away,
    }


def main() -> None:
    """Measure, and hand on."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path, required=True)
    options = parser.parse_args()
    parts: dict[str, dict[str, list[float]]] = {}
    for spans in (50, 20_000):
        rounds = []
        for _ in range(options.rounds):
            with tempfile.TemporaryDirectory() as folder:
                rounds.append(one_round(Path(folder), spans))
        parts[f"a program of {spans:,} spans, as fast as it can"] = by_name(rounds)
    hand_on(options.json, parts, ("opentelemetry-sdk", "sqlalchemy"))


if __name__ == "__main__":
    main()
