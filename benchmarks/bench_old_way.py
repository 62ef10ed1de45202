"""What recording costs on the program's thread, beside an ORM that commits each event: ``make bench``.

The old way of CMBAgent's extended fork waits for the database at each event. Ours makes a span, which the SDK and two
queues take, and a thread of its own waits. Both by the clock of the program's thread, in the same round, each with a
database of its own of the same kind.
"""

from __future__ import annotations

import argparse
import logging
import tempfile
import time
from pathlib import Path

from opentelemetry.sdk.trace import TracerProvider
from sqlalchemy import Engine

from benchmarks.bench_sink import durable_postgresql, migrated
from benchmarks.bench_store import Run, commit_each, rows_of, write
from benchmarks.figures import by_name, hand_on
from cmbagent_otel import semconv
from cmbagent_otel.processor import DagSpanProcessor
from cmbagent_otel.settings import load
from cmbagent_otel.store.engine import open_engine
from cmbagent_otel.store.migrate import upgrade

_EVENTS, _SPANS = 300, 300
_CALL: dict[str, str | int] = {
    semconv.OPERATION_NAME: "chat",
    semconv.REQUEST_MODEL: "gpt-4o",
    semconv.PROVIDER_NAME: "openai",
    semconv.USAGE_INPUT_TOKENS: 1200,
    semconv.USAGE_OUTPUT_TOKENS: 90,
}


def a_span(url: str, spool: Path) -> float:
    """Seconds of the program's thread for a span, begun and ended."""
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(DagSpanProcessor(load(database_url=url, spool_dir=spool)))
    tracer = provider.get_tracer("bench")
    tracer.start_span("first").end()
    began = time.perf_counter()
    for _ in range(_SPANS):
        tracer.start_span("chat gpt-4o", attributes=_CALL).end()
    took = time.perf_counter() - began
    provider.shutdown()
    return took / _SPANS


def one_round(ours: str, theirs: str, source: Engine, spool: Path) -> dict[str, float]:
    """Both, one after the other."""
    engine = open_engine(theirs)
    event = commit_each(engine, rows_of(source), _EVENTS)
    engine.dispose()
    span = a_span(ours, spool)
    return {
        "ours, a span : ORM commit, an event (<= 0.05)": span / event,
        "ours, us a span": span * 1e6,
        "ORM commit, us an event": event * 1e6,
    }


def main() -> None:
    """Measure, and hand on."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path, required=True)
    options = parser.parse_args()
    logging.disable(logging.ERROR)
    parts: dict[str, list[dict[str, float]]] = {"SQLite": [], "PostgreSQL": []}
    with durable_postgresql() as server, tempfile.TemporaryDirectory() as name:
        folder = Path(name)

        def sqlite(file: str) -> str:
            url = f"sqlite:///{folder / file}.db"
            engine = open_engine(url)
            upgrade(engine)
            engine.dispose()
            return url

        source = open_engine(sqlite("source"))
        write(source, Run(0).ended)
        for number in range(options.rounds):
            urls = sqlite(f"ours-{number}"), sqlite(f"theirs-{number}")
            parts["SQLite"].append(one_round(*urls, source, folder / "spool"))
            urls = migrated(server), migrated(server)
            parts["PostgreSQL"].append(one_round(*urls, source, folder / "spool"))
        source.dispose()
    hand_on(
        options.json, {part: by_name(rounds) for part, rounds in parts.items()}, ("opentelemetry-sdk", "sqlalchemy")
    )


if __name__ == "__main__":
    main()
