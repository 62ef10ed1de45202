"""``watch RUN``: a run as it goes on. A terminal is redrawn; anything else gets one line for each change."""

from __future__ import annotations

import time
from collections.abc import Iterator

from rich.console import Group
from rich.live import Live
from rich.text import Text

from cmbagent_otel.cli.commands import aligned, opened
from cmbagent_otel.cli.render import head, mark, remarks, status_words, title
from cmbagent_otel.cli.show import Filter, lines
from cmbagent_otel.cli.terminal import out, say, tell
from cmbagent_otel.errors import StoreUnavailableError
from cmbagent_otel.query import words
from cmbagent_otel.query.build import build_view
from cmbagent_otel.query.database import Reader
from cmbagent_otel.query.graph import fetch_graph
from cmbagent_otel.query.runs import resolve_run
from cmbagent_otel.query.view import Node, RunView

_SHORTEST_PAUSE = 0.5
_LOOKS = 20
"""A look may take this part of the time: ``1 / _LOOKS``."""
_HEADROOM = 2


def watch(database: str | None, name: str, wanted: Filter, *, interval: float) -> None:
    """Follow a run until it ends."""
    with opened(database) as reader:
        with reader.reading() as connection:
            run_id = resolve_run(connection, name)
        views = _views(reader, run_id, max(interval, _SHORTEST_PAUSE))
        if out().is_terminal:
            _live(views, wanted)
        else:
            _plain(views)


def _views(reader: Reader, run_id: str, pause: float) -> Iterator[RunView]:
    """The run again and again, until it has ended; a database that is away for a while is waited for."""
    away = False
    while True:
        begun = time.monotonic()
        try:
            with reader.reading() as connection:
                graph = fetch_graph(connection, run_id)
        except StoreUnavailableError as error:
            if not away:
                tell(f"cmbagent-otel: {error} Still trying.")
            away = True
        else:
            away = False
            view = build_view(graph, now_unix_nano=time.time_ns())
            yield view
            if not view.is_open:
                return
        time.sleep(max(pause, (time.monotonic() - begun) * _LOOKS))


def _live(views: Iterator[RunView], wanted: Filter) -> None:
    with Live(console=out(), auto_refresh=False, screen=False, vertical_overflow="crop") as live:
        for view in views:
            live.update(_picture(view, wanted), refresh=True)


def _picture(view: RunView, wanted: Filter) -> Group:
    """The head, and of the tree as much as fits, around what runs now."""
    top = head(view)
    tree = aligned(list(lines(view, wanted)), out().width)
    room = max(3, out().height - len(top) - _HEADROOM)
    if len(tree) > room and view.is_open:
        kept = tree[-(room - 1) :]
        tree = [Text(f"… {len(tree) - len(kept):,} lines above; `cmbagent-otel show` has all", "dim"), *kept]
    return Group(*top, *tree)


def _plain(views: Iterator[RunView]) -> None:
    shown: dict[str, str] = {}
    first = True
    for view in views:
        if first:
            for line in head(view)[:2]:
                say(line)
            first = False
        for node in view.walk():
            if not node.hidden and shown.get(node.id) != node.status:
                shown[node.id] = node.status
                say(_change(node, view))
        if not view.is_open:
            say(Text(f"{words.moment(view.end)}  ").append_text(head(view)[2]))
        out().file.flush()  # a pipe would hold the news back


def _change(node: Node, view: RunView) -> Text:
    moment = node.end if node.end is not None else node.start
    text = Text(f"{words.moment(moment)}  {'  ' * min(node.depth, 12)}")
    text.append_text(mark(node.status)).append(" ").append_text(title(node)).append_text(remarks(node, view))
    seconds = node.seconds(view.now_unix_nano)
    if node.end is not None and seconds is not None:
        text.append(f"  {words.duration(seconds)}")
    elif node.is_open:
        text.append(f"  {status_words(node.status, view.silent_seconds)}", "dim")
    return text
