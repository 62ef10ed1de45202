"""The page of the results, and the sentences elsewhere that quote it."""

from __future__ import annotations

import json
import os
import platform
import re
import statistics
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.figures import name_of

ROOT = Path(__file__).parents[1]


class Section(NamedTuple):
    """What the page says of a benchmark before its figures."""

    title: str
    how: str


SECTIONS = {
    "hooks": Section(
        "On the agent's thread: the SDK, and AG2's own tracing",
        "What a span adds to an untraced chat of two agents, in CPU of the thread that chats. All arms take turns in "
        "one process; the spans of all but ours go nowhere, ours are written to SQLite.",
    ),
    "peers": Section(
        "On the agent's thread: OpenInference",
        "What a turn costs more than untraced, in CPU of the thread that chats, in one process that has both. "
        "OpenInference makes two spans a turn, and so do we; it records what is said unless told not to.",
    ),
    "old_way": Section(
        "On the program's thread: a commit for each event",
        "By the clock of the program's thread: a span of ours, begun and ended, the SDK included; and an event of "
        "CMBAgent's extended fork, which its ORM commits and reads back. Each has a database of its own of that kind.",
    ),
    "store": Section(
        "Writing: the database's own limit, and a commit for each event",
        "The same rows by our writer (from spans to commit, settled) and by the least that the database can do: binary "
        "COPY, or `executemany`. A commit for each event by an ORM is how CMBAgent's extended fork wrote them. The "
        "ratios are of rates by the clock.",
    ),
    "sink": Section(
        "Receiving: the OTLP sink, and Arize Phoenix",
        "The same requests; a span counts once it is committed. One core each, PostgreSQL with `fsync` beside them.",
    ),
    "read": Section(
        "Reading a run of 1,000 spans: Arize Phoenix",
        "The whole run as JSON over HTTP, from PostgreSQL, asked by turns, in time by the clock. Our run is changed "
        "between two readings, so that nothing kept of the last one helps.",
    ),
    "memory": Section(
        "Memory of a traced program",
        "The same program with OpenTelemetry's SDK alone, which stores nothing, and with us, in processes of their "
        "own; resident memory at its peak. Most of the difference is SQLAlchemy and the list of prices.",
    ),
    "viewer": Section(
        "The viewer, in Chromium",
        "From the click to the cards, and from a commit to the screen. There was nothing at hand to compare it with.",
    ),
}


class Quote(NamedTuple):
    """A row that a page quotes, and its words for it; "" is a section's only part."""

    section: str
    part: str
    row: str
    words: str


QUOTES = {
    "README.md": (
        Quote(
            "hooks", "10 turns a chat", "ours : AG2's own tracing", "a span on the agent's thread : AG2's own tracing"
        ),
        Quote("hooks", "80 turns a chat", "ours : AG2's own tracing", "the same in chats of 80 turns"),
        Quote(
            "peers",
            "10 turns a chat",
            "ours : OpenInference, both as they come",
            "a turn on its thread : OpenInference",
        ),
        Quote(
            "old_way",
            "PostgreSQL",
            "ours, a span : ORM commit, an event",
            "a span on its thread : a commit for each event",
        ),
        Quote("store", "PostgreSQL", "ours : COPY, ended spans only", "rows written a second : raw binary COPY"),
        Quote("sink", "", "sink : Phoenix, durable spans by CPU second", "durable spans by CPU second : Arize Phoenix"),
        Quote(
            "read", "", "ours : Phoenix's REST API, time for a whole run", "time to read 1,000 spans : Arize Phoenix"
        ),
        Quote(
            "memory",
            "a program of 50 spans, as fast as it can",
            "ours : the SDK alone, memory at its peak",
            "memory of a small program : the bare SDK, which stores nothing",
        ),
    ),
    "docs/recorded.md": (
        Quote("hooks", "10 turns a chat", "ours, us a span", "µs a span, content off"),
        Quote("hooks", "10 turns a chat", "ours : bare SDK spans", "a span : the same span by the bare SDK"),
        Quote("hooks", "10 turns a chat", "ours : AG2's own tracing", "a span : AG2's own tracing"),
        Quote("hooks", "80 turns a chat", "ours : AG2's own tracing", "the same in chats of 80 turns"),
        Quote("hooks", "80 turns a chat", "ours, content on : AG2's own tracing", "the same with content"),
        Quote(
            "peers",
            "10 turns a chat",
            "ours : OpenInference, both with content",
            "a turn, with content : OpenInference",
        ),
        Quote(
            "hooks",
            "10 turns a chat",
            "hooks, not sampled : the turn untraced",
            "what a span that is not sampled adds : an untraced turn",
        ),
    ),
}

_BLOCK = re.compile(r"(?<=<!-- measured -->\n).*?(?=<!-- /measured -->)", re.DOTALL)


# -- the page ----------------------------------------------------------------------------------------------


def page(folder: Path, date: str) -> str:
    """The page, from what the benchmarks have handed on into ``folder``."""
    lines = [
        "# What was measured",
        "",
        "Written by `make bench`, which does it again on your machine. A ratio is of two things in one run, in the",
        "order of its name, so that a busy machine slows both. Shown: the median of the rounds, their quartiles, and",
        "what we had asked for. Nothing is left out. Peers are installed in environments of their own, as they come.",
        "",
        f"{date}, {_machine()}, Python {platform.python_version()}. The load is that at the end of each benchmark.",
        *_busy(folder),
    ]
    for name in SECTIONS:
        lines += _section(name, folder)
    return "\n".join(lines) + "\n"


def _section(name: str, folder: Path) -> Iterator[str]:
    title, how = SECTIONS[name]
    yield from ("", f"## {title}", "")
    handed_on = folder / f"{name}.json"
    if not handed_on.exists():
        yield f"{how} *Not measured: {(folder / f'{name}.not-run').read_text()}.*"
        return
    found: dict[str, Any] = json.loads(handed_on.read_text())
    versions = ", ".join(f"{of} {version}" for of, version in found["versions"].items())
    yield f"{how} Load {found['load']:.1f}. With {versions}."
    for part, figures in found["parts"].items():
        yield from ("", f"### {part[0].upper()}{part[1:]}", "", *_table(figures))


def _busy(folder: Path) -> Iterator[str]:
    """A warning, where other work took the machine."""
    load = max((json.loads(path.read_text())["load"] for path in folder.glob("*.json")), default=0)
    cores = os.cpu_count() or 1
    if load > 2 * cores:
        yield from ("", f"{_BUSY}, with a load of up to {load:.0f} on {cores} cores, so they are to be taken again.")


_BUSY = "**Other work was running while these figures were taken**"


def _machine() -> str:
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return f"{platform.system()} on {os.cpu_count()} cores ({platform.machine()}), {memory:.0f} GiB"


def _table(figures: Mapping[str, Sequence[float]]) -> Iterator[str]:
    ratios = {text: values for text, values in figures.items() if name_of(text).is_ratio}
    others = {text: values for text, values in figures.items() if text not in ratios}
    if ratios:
        yield from ("| ratio | median | quartiles | rounds | asked |", "|---|---|---|---|---|")
        yield from (_row(text, values) for text, values in ratios.items())
        yield ""
    yield from ("| figure | median | quartiles | rounds | asked |", "|---|---|---|---|---|")
    yield from (_row(text, values) for text, values in others.items())


def _row(text: str, values: Sequence[float]) -> str:
    name, median = name_of(text), statistics.median(values)
    low, _, high = statistics.quantiles(values, n=4) if len(values) > 1 else (median,) * 3
    quartiles = f"{_short(low)} to {_short(high)}" if len(values) > 1 else ""
    asked = f"{'at most' if name.bound == '<=' else 'at least'} {name.asked:g}" if name.bound else ""
    missed = "" if name.is_met_by(median) else ", **missed**"
    return f"| {name.what} | {_short(median)} | {quartiles} | {len(values)} | {asked}{missed} |"


def _short(value: float) -> str:
    if abs(value) < 0.1:
        return f"{value:.2g}"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


# -- what quotes it ----------------------------------------------------------------------------------------


def median_in(results: str, quote: Quote) -> str:
    """The median of a row of the page, as it stands there; "not measured" where there is none."""
    _, _, text = results.partition(f"\n## {SECTIONS[quote.section].title}\n")
    text = text.partition("\n## ")[0]
    if part := quote.part:
        text = text.partition(f"\n### {part[0].upper()}{part[1:]}\n")[2].partition("\n### ")[0]
    found = re.search(rf"^\| {re.escape(quote.row)} \| (?P<median>[^|]+) \|", text, re.MULTILINE)
    return found["median"] if found else "not measured"


def quotation(results: str, page_name: str) -> str:
    """What ``page_name`` says of the results, as a table."""
    lines = ["| ours : theirs (of times and memory less is better, of rates more) | median |", "|---|---|"]
    lines += [f"| {each.words} | {median_in(results, each)} |" for each in QUOTES[page_name]]
    if _BUSY in results:
        lines += ["", "*Other work was running while these figures were taken; they are to be taken again.*"]
    return "\n".join(lines) + "\n"


def quoting(text: str, results: str, page_name: str) -> str:
    """The text of the page with what it is to say of the results."""
    return _BLOCK.sub(lambda _: quotation(results, page_name), text)


def quote_in_pages(results: str) -> None:
    """Write what the pages say of the results."""
    for name in QUOTES:
        path = ROOT / name
        path.write_text(quoting(path.read_text(), results, name))
