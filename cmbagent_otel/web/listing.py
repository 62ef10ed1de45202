"""The runs of a page: what is asked for, and how far the database had to be read for it."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from cmbagent_otel.query import words
from cmbagent_otel.query.runs import RunSummary, list_runs
from cmbagent_otel.query.strips import StepMark, fetch_strips
from cmbagent_otel.query.view import ENDED, NOT_STARTED
from cmbagent_otel.web import looks

PAGE = 50
SINCE: Mapping[str, tuple[str, float]] = {
    "1d": ("last 24 hours", 86_400.0),
    "7d": ("last 7 days", 7 * 86_400.0),
    "30d": ("last 30 days", 30 * 86_400.0),
}
STATUSES = ("running", "waiting_approval", "completed", "failed", "interrupted")
_STRIP = 40


@dataclass(frozen=True)
class Wanted:
    """What the reader of the list asks for; empty is "any"."""

    q: str = ""
    status: str = ""
    mode: str = ""
    since: str = ""
    min_cost: str = ""
    offset: int = 0

    @classmethod
    def of(cls, query: Mapping[str, str]) -> Wanted:
        """From the query of a URL; what makes no sense there is left out."""
        offset = query.get("offset", "0")
        return cls(
            query.get("q", "").strip()[:200],
            query.get("status", "")[:50],
            query.get("mode", "")[:50],
            query.get("since", "") if query.get("since", "") in SINCE else "",
            query.get("min_cost", "") if _number(query.get("min_cost", "")) else "",
            int(offset) if offset.isdecimal() and len(offset) < 10 else 0,
        )

    def query(self, **changes: Any) -> str:
        """The query of a URL that asks for this, changed."""
        asked = {**self.__dict__, **changes}
        return urlencode({name: value for name, value in asked.items() if value})

    @property
    def selects(self) -> bool:
        """Whether it asks for some runs rather than for all."""
        return bool(self.q or self.status or self.mode or self.since or self.min_cost)


@dataclass(frozen=True)
class RunLine:
    """One line of the list."""

    summary: RunSummary
    look: str
    status: str
    duration: str
    cost: str
    tokens: str
    started: str
    strip: list[tuple[str, StepMark]]
    more_steps: int


@dataclass(frozen=True)
class Listing:
    """A page of runs."""

    lines: list[RunLine]
    wanted: Wanted
    next_offset: int | None
    """Where the next page begins; None on the last."""


def listing(connection: Any, wanted: Wanted) -> Listing:
    """The page of runs that is asked for, the running ones first."""
    now = time.time_ns()
    found: list[RunSummary] = []
    offset = wanted.offset
    following: int | None = None
    while following is None:
        batch = list_runs(
            connection,
            status=wanted.status or None,
            mode=wanted.mode or None,
            text=wanted.q or None,
            limit=PAGE + 1,
            offset=offset,
        )
        for summary in batch[:PAGE]:
            if len(found) == PAGE:
                following = offset
                break
            offset += 1
            if _is_wanted(summary, wanted, now):
                found.append(summary)
        if len(batch) <= PAGE:
            break
    strips = fetch_strips(connection, [summary.run.id for summary in found])
    lines = [_line(summary, strips.get(summary.run.id, []), now) for summary in found]
    lines.sort(key=lambda line: line.summary.run.status in ENDED | NOT_STARTED)
    return Listing(lines, wanted, following)


def _is_wanted(summary: RunSummary, wanted: Wanted, now: int) -> bool:
    if wanted.since:
        started = summary.run.started_unix_nano
        if started is None or (now - started) / 1e9 > SINCE[wanted.since][1]:
            return False
    return not wanted.min_cost or summary.cost_usd >= (_number(wanted.min_cost) or 0.0)


def _line(summary: RunSummary, steps: list[StepMark], now: int) -> RunLine:
    status = summary.status(now)
    return RunLine(
        summary,
        looks.look_of(status),
        looks.status_words(status, summary.silent_seconds(now)),
        words.duration(summary.seconds(now)),
        words.cost(summary.cost_usd, at_least=summary.unknown_costs > 0) if summary.llm_calls else words.UNKNOWN,
        words.tokens(summary.input_tokens, summary.output_tokens),
        words.moment(summary.run.started_unix_nano),
        [(looks.look_of(step.status), step) for step in steps[:_STRIP]],
        max(0, len(steps) - _STRIP),
    )


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if 0 < number < 1e9 else None
