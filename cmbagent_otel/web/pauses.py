"""Stretches of a run in which nothing was done: the timeline shortens them."""

from __future__ import annotations

from cmbagent_otel.query.view import RunView
from cmbagent_otel.semconv import NodeKind

SHORTENED_AFTER_SECONDS = 900.0


def pauses(view: RunView) -> list[tuple[int, int, str]]:
    """Start and end of each long pause, and whether it was a ``wait`` for a person or ``idle``.

    A pause is where no leaf of the tree was busy; a human who was asked is not busy, but waited for.
    """
    shortest = int(SHORTENED_AFTER_SECONDS * 1e9)
    busy: list[tuple[int, int]] = []
    asked: list[tuple[int, int]] = []
    last = view.news_unix_nano or view.now_unix_nano
    for node in view.walk():
        if node.start is None or any(not child.hidden for child in node.children):
            continue
        end = node.end if node.end is not None else last if node.is_open else node.start
        (asked if node.kind == NodeKind.APPROVAL else busy).append((node.start, max(node.start, end)))
    moments = [moment for span in (*busy, *asked) for moment in span]
    if not moments:
        return []
    found = []
    until = min(moments)
    for start, end in (*sorted(busy), (max(moments), max(moments))):
        if start - until >= shortest:
            kind = "wait" if any(begun < start and ended > until for begun, ended in asked) else "idle"
            found.append((until, start, kind))
        until = max(until, end)
    return found
