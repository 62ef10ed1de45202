"""``diff A B``: two runs or two attempts, side by side; only what differs, unless all is asked for."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rich.table import Table
from rich.text import Text

from cmbagent_otel.cli.commands import opened
from cmbagent_otel.cli.render import mark, title
from cmbagent_otel.cli.terminal import out, print_json
from cmbagent_otel.errors import SettingsError
from cmbagent_otel.query import words
from cmbagent_otel.query.compare import Comparison, Pair, Side, agent_of, compare, find_node
from cmbagent_otel.query.database import Reader
from cmbagent_otel.query.document import SCHEMA
from cmbagent_otel.query.load import code_and_output, load_view
from cmbagent_otel.query.view import Node
from cmbagent_otel.query.words import one_line

_SIGNS = {"same": (" ", "dim"), "changed": ("~", "yellow"), "removed": ("-", "red"), "added": ("+", "green")}


def show(database: str | None, first: str, second: str | None, *, everything: bool, json: bool) -> None:
    """``diff``."""
    with opened(database) as reader:
        left, right = _sides(reader, first, second)
        found = compare(left, right, code_and_output(reader))
    if json:
        print_json(document(found))
        return
    for block in _blocks(found, everything=everything):
        out().print(block, no_wrap=True, overflow="ellipsis")


def _sides(reader: Reader, first: str, second: str | None) -> tuple[Side, Side]:
    left = _side(reader, first)
    if second is not None:
        return left, _side(reader, second)
    step = None if left.node is None else left.node.step
    if step is None or len(step.attempts) < 2:
        raise SettingsError("Name a second run or attempt; one is enough only for a step that was redone (RUN:2).")
    return Side(left.view, step.attempts[-2]), Side(left.view, step.attempts[-1])


def _side(reader: Reader, name: str) -> Side:
    run, colon, node = name.partition(":")
    view = load_view(reader, run)
    return Side(view, find_node(view, node) if colon else None)


def _blocks(found: Comparison, *, everything: bool) -> Iterator[Table | Text]:
    table = Table(box=None, pad_edge=False, padding=(0, 1), header_style="bold")
    for heading in ("", one_line(found.left.title, 50), one_line(found.right.title, 50)):
        table.add_column(heading, overflow="ellipsis", no_wrap=True)
    for fact in found.facts:
        if fact.differs or everything:
            table.add_row(Text(fact.name, "dim"), fact.left, Text(fact.right, "bold yellow" if fact.differs else ""))
    yield table
    if found.plan:
        yield from _section("plan", (_pair(pair, attempts=True) for pair in found.plan))
    kept = [pair for pair in found.calls if everything or pair.change != "same"]
    yield from _section("calls", (_pair(pair) for pair in kept))
    same = len(found.calls) - len(kept)
    if same:
        yield Text(f"  {words.plural(same, 'call')} the same", "dim")
    for text in found.texts:
        yield Text(f"\n{text.title}", "bold")
        for line in text.lines[2:]:
            style = {"+": "green", "-": "red", "@": "cyan"}.get(line[:1], "")
            yield Text(f"  {line}", style)


def _section(name: str, lines: Iterator[Text]) -> Iterator[Text]:
    for number, line in enumerate(lines):
        if number == 0:
            yield Text(f"\n{name}", "bold")
        yield line


def _pair(pair: Pair, *, attempts: bool = False) -> Text:
    sign, style = _SIGNS[pair.change]
    node = pair.right or pair.left
    if node is None:  # pragma: no cover - a pair has at least one side
        return Text()
    line = Text.assemble("  ", (sign, style), " ")
    agent = "" if node.step is not None else agent_of(node)
    line.append(f"{one_line(agent)}: " if agent else "", "cyan").append_text(title(node)).append("  ")
    sides = [_outcome(side, attempts=attempts) for side in (pair.left, pair.right) if side is not None]
    if len(sides) == 2 and sides[0].plain == sides[1].plain:
        sides = sides[:1]
    return line.append_text(Text(" → ").join(sides))


def _outcome(node: Node, *, attempts: bool) -> Text:
    text = mark(node.status)
    exit_code = node.meta.get("exit_code")
    if exit_code is not None:
        text.append(f" exit {one_line(exit_code)}", "")
    if attempts and node.step is not None:
        text.append(f" in {words.plural(len(node.step.attempts), 'attempt')}", "")
    return text


def document(found: Comparison) -> dict[str, Any]:
    """The comparison for programs."""
    return {
        "schema": SCHEMA,
        "left": _side_document(found.left),
        "right": _side_document(found.right),
        "facts": [{**fact._asdict(), "differs": fact.differs} for fact in found.facts],
        "plan": [_pair_document(pair) for pair in found.plan],
        "calls": [_pair_document(pair) for pair in found.calls],
        "texts": [text._asdict() for text in found.texts],
    }


def _side_document(side: Side) -> dict[str, Any]:
    return {"run": side.view.id, "node": None if side.node is None else side.node.id, "title": side.title}


def _pair_document(pair: Pair) -> dict[str, Any]:
    return {
        "change": pair.change,
        "left": None if pair.left is None else pair.left.id,
        "right": None if pair.right is None else pair.right.id,
    }
