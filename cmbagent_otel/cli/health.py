"""``doctor --db``: the tables, and how long the read model's main queries take."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from rich.table import Table

from cmbagent_otel.cli.terminal import out, say
from cmbagent_otel.query import words
from cmbagent_otel.query.database import Reader
from cmbagent_otel.query.graph import fetch_events, fetch_graph
from cmbagent_otel.query.losses import fetch_losses
from cmbagent_otel.query.runs import list_runs
from cmbagent_otel.store.health import Health, examine

_RUNS = 50


class Timing(NamedTuple):
    """A query, as a reader waits for it once."""

    query: str
    milliseconds: float


class Look(NamedTuple):
    """What was found."""

    health: Health
    timings: tuple[Timing, ...]


def look(url: str) -> Look:
    """Look at the database.

    Raises:
        StoreError: it can't be read.
    """
    with Reader(url) as reader, reader.reading() as connection:
        return Look(examine(connection), tuple(_timings(connection)))


def _timings(connection: Any) -> Iterator[Timing]:
    runs, timing = _timed(f"the newest {_RUNS} runs", lambda: list_runs(connection, limit=_RUNS))
    yield timing
    if runs:
        largest = max(runs, key=lambda run: run.nodes)
        what = f"the graph of {largest.run.id[:8]}, {words.plural(largest.nodes, 'node')}"
        graph, timing = _timed(what, lambda: fetch_graph(connection, largest.run.id))
        yield timing
        if graph.nodes:
            yield _timed("the events of one node", lambda: fetch_events(connection, graph.nodes[0].id))[1]
    yield _timed("what was put aside", lambda: fetch_losses(connection))[1]


def _timed(query: str, read: Callable[[], Any]) -> tuple[Any, Timing]:
    start = time.perf_counter()
    found = read()
    return found, Timing(query, round((time.perf_counter() - start) * 1000, 2))


def document(found: Look) -> dict[str, Any]:
    """For programs."""
    facts = found.health._asdict()
    return {
        **facts,
        "tables": [table._asdict() for table in found.health.tables],
        "queries": [timing._asdict() for timing in found.timings],
    }


def show(found: Look) -> None:
    """For people."""
    health = found.health
    sizes = _table("table", "rows", "size with indexes")
    for table in health.tables:
        sizes.add_row(table.name, f"{table.rows:,}", _size(table.bytes))
    out().print(sizes)
    facts = _table("what", "how much")
    facts.add_row("size", _size(health.bytes))
    facts.add_row("rows a run", words.UNKNOWN if health.rows_a_run is None else f"{health.rows_a_run:,.0f}")
    facts.add_row("size a run", _size(health.bytes_a_run))
    facts.add_row("placeholders", f"{health.placeholders:,}")
    facts.add_row("nodes without depth", f"{health.null_depths:,}")
    facts.add_row("sessions without runs", f"{health.sessions_without_runs:,}")
    facts.add_row("rejected records", f"{health.rejected_records:,}")
    out().print(facts)
    queries = _table("query", "ms")
    for timing in found.timings:
        queries.add_row(timing.query, f"{timing.milliseconds:,.1f}")
    out().print(queries)
    say()


def _size(number: float | None) -> str:
    return words.UNKNOWN if number is None else words.size(round(number))


def _table(first: str, *others: str) -> Table:
    made = Table(box=None, pad_edge=True, padding=(0, 1), header_style="dim")
    made.add_column(first, no_wrap=True)
    for heading in others:
        made.add_column(heading, justify="right", no_wrap=True)
    return made
