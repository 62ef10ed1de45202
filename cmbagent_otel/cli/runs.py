"""``runs``: a table of runs."""

from __future__ import annotations

from rich.table import Table
from rich.text import Text

from cmbagent_otel.cli.render import mark, status_words
from cmbagent_otel.query import words
from cmbagent_otel.query.runs import RunSummary
from cmbagent_otel.query.words import one_line

_SHORT_ID = 8


def table(summaries: list[RunSummary], now_unix_nano: int) -> Table:
    """One row a run."""
    made = Table(box=None, pad_edge=False, padding=(0, 1), header_style="dim")
    for heading in ("", "run"):
        made.add_column(heading, no_wrap=True)
    made.add_column("what", no_wrap=True, overflow="ellipsis", ratio=1, min_width=12)
    made.add_column("status", no_wrap=True)
    for heading in ("steps", "redos", "errors", "time", "tokens", "cost"):
        made.add_column(heading, justify="right", no_wrap=True)
    made.add_column("started", no_wrap=True)
    for summary, identifier in zip(summaries, short_ids([one.run.id for one in summaries]), strict=True):
        status = summary.status(now_unix_nano)
        made.add_row(
            mark(status),
            identifier,
            one_line(summary.run.title, 200),
            status_words(status, summary.silent_seconds(now_unix_nano)),
            _number(summary.steps),
            _number(summary.redos, "yellow"),
            _number(summary.errors, "bold red"),
            words.duration(summary.seconds(now_unix_nano)),
            words.tokens(summary.input_tokens, summary.output_tokens),
            words.cost(summary.cost_usd, at_least=summary.unknown_costs > 0) if summary.llm_calls else words.UNKNOWN,
            words.moment(summary.run.started_unix_nano),
        )
    return made


def short_ids(identifiers: list[str]) -> list[str]:
    """The beginning of each id, long enough to tell them apart."""
    length = _SHORT_ID
    while length < 36 and len({identifier[:length] for identifier in identifiers}) < len(set(identifiers)):
        length += 4
    return [identifier[:length] for identifier in identifiers]


def _number(number: int, style: str = "") -> Text:
    return Text(f"{number:,}" if number else words.UNKNOWN, style if number else "dim")
