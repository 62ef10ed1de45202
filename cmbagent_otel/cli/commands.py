"""What the reading commands do: read, then render or print JSON."""

from __future__ import annotations

import sys
import time
from pathlib import Path

from rich.text import Text

from cmbagent_otel import settings
from cmbagent_otel.cli import runs as runs_table
from cmbagent_otel.cli.extras import part
from cmbagent_otel.cli.render import head
from cmbagent_otel.cli.show import Filter, Line, lines
from cmbagent_otel.cli.terminal import UNLIMITED, out, print_json, say, tell
from cmbagent_otel.errors import SettingsError
from cmbagent_otel.query import words
from cmbagent_otel.query.database import Reader
from cmbagent_otel.query.document import run_document, runs_document, to_json
from cmbagent_otel.query.export import FORMATS
from cmbagent_otel.query.load import load_view
from cmbagent_otel.query.runs import list_runs

_NARROWEST, _WIDEST = 24, 120


def opened(database: str | None) -> Reader:
    """The database that the option or the environment names."""
    return Reader(settings.load(database_url=database).resolved_database_url)


def runs(
    database: str | None, *, status: str | None, mode: str | None, text: str | None, limit: int, json: bool
) -> None:
    """``runs``."""
    with opened(database) as reader:
        with reader.reading() as connection:
            found = list_runs(connection, status=status, mode=mode, text=text, limit=limit)
        now = time.time_ns()
        if json:
            print_json(runs_document(found, now))
        elif found:
            out().print(runs_table.table(found, now), crop=False)
        elif status or mode or text:
            say("No run is like that. `cmbagent-otel runs` lists all.")
        else:
            say(f"No runs in {reader.name} yet. Trace a program: `cmbagent-otel run SCRIPT`.")


def show(database: str | None, name: str, wanted: Filter, *, json: bool) -> None:
    """``show``."""
    with opened(database) as reader:
        view = load_view(reader, name)
    if json:
        print_json(run_document(view))
        return
    for line in head(view):
        out().print(line)
    say()
    picture = list(lines(view, wanted))
    for line in aligned(picture, out().width):
        say(line)
    if not view.nodes:
        say("Planned; nothing has started yet.")
    elif not picture:
        say("Nothing in this run is like that.")
    if view.hidden and not wanted.hidden:
        say()
        say(Text(f"{words.plural(view.hidden, 'span')} of other libraries hidden; --all shows them.", "dim"))


def export(database: str | None, name: str, form: str, output: str | None, *, redact: bool) -> None:
    """``export``."""
    formats = ("json", "html", *FORMATS)
    if form not in formats:
        raise SettingsError(f"There is no format {form!r}; use one of {', '.join(formats)}.")
    if form == "html":
        url = settings.load(database_url=database).resolved_database_url
        text = part("cmbagent_otel.web.export", "export_html", extra="serve")(url, name, redact=redact)
    else:
        with opened(database) as reader:
            view = load_view(reader, name)
        text = FORMATS[form](view) if form in FORMATS else f"{to_json(run_document(view))}\n"
    if output is None:
        sys.stdout.write(text)
        return
    try:
        Path(output).write_text(text, encoding="utf-8")
    except OSError as error:
        raise SettingsError(f"{output} can't be written: {error.strerror}. Name another file with --output.") from None
    tell(f"Written to {output}.")


def aligned(found: list[Line], width: int) -> list[Text]:
    """The picture with its columns at the right, inside ``width``."""
    if not found:
        return []
    columns = [max(len(line.right[column]) for line in found) for column in range(3)]
    right = sum(column + 2 for column in columns if column)
    longest = max(line.left.cell_len for line in found)
    left = max(_NARROWEST, min(longest, width - right if width < UNLIMITED else _WIDEST))
    return [_joined(line, left, columns) for line in found]


def _joined(line: Line, left: int, columns: list[int]) -> Text:
    if not any(line.right):
        return line.left
    text = line.left.copy()
    text.truncate(left, overflow="ellipsis", pad=True)
    for column, figure in zip(columns, line.right, strict=True):
        if column:
            text.append(f"  {figure:>{column}}", "dim")
    text.rstrip()
    return text
