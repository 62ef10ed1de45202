"""Two runs, or two attempts, side by side: outcome, plan, calls, and the text of code and output."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from cmbagent_otel.errors import UnknownRunError
from cmbagent_otel.query import words
from cmbagent_otel.query.document import to_json
from cmbagent_otel.query.kinds import CALLS
from cmbagent_otel.query.view import Node, RunView, Step
from cmbagent_otel.query.words import one_line
from cmbagent_otel.semconv import NodeKind

_ALIGN_LIMIT = 4_000_000
"""Product of two lengths up to which calls are aligned; longer ones are paired by their place."""


class Side(NamedTuple):
    """A run, or one node of it with all that is below."""

    view: RunView
    node: Node | None = None

    @property
    def title(self) -> str:
        """What people call it."""
        if self.node is None:
            return f"{self.view.run.title} ({self.view.id[:8]})"
        if self.node.step is None:
            return one_line(self.node.label)
        number = self.node.step.number
        return f"step {'?' if number is None else number}, attempt {self.node.attempt}"

    def calls(self) -> list[Node]:
        """The calls in it, in drawing order."""
        nodes = self.view.walk() if self.node is None else self.node.subtree()
        return [node for node in nodes if node.kind in CALLS and not node.hidden]


class Fact(NamedTuple):
    """A figure of both sides, as people write it."""

    name: str
    left: str
    right: str

    @property
    def differs(self) -> bool:
        """Whether the sides differ in it."""
        return self.left != self.right


class Pair(NamedTuple):
    """Two things that stand at the same place; None where one side has nothing there."""

    left: Node | None
    right: Node | None

    @property
    def change(self) -> str:
        """``same``, ``changed``, ``removed`` or ``added``."""
        if self.left is None:
            return "added"
        if self.right is None:
            return "removed"
        return "same" if _outcome(self.left) == _outcome(self.right) else "changed"


class TextDiff(NamedTuple):
    """A unified diff of what two calls said."""

    title: str
    lines: tuple[str, ...]


class Comparison(NamedTuple):
    """What is to be shown of two sides."""

    left: Side
    right: Side
    facts: tuple[Fact, ...]
    plan: tuple[Pair, ...]
    """Current attempts of the steps, by number; empty where attempts are compared."""
    calls: tuple[Pair, ...]
    texts: tuple[TextDiff, ...]


def find_node(view: RunView, name: str) -> Node:
    """The node of a run that ``name`` means.

    Args:
        view: the run.
        name: a node's id or the beginning of one, CMBAgent's short id (``step_2``), a step's number (``2``: its
            last attempt), or step and attempt (``2.1``).

    Raises:
        UnknownRunError: none answers to it, or more than one does.
    """
    by_number = re.fullmatch(r"(\d+)(?:\.(\d+))?", name)
    if by_number is not None:
        number, attempt = int(by_number[1]), by_number[2]
        found = [step for step in view.steps if step.number == number]
        attempts = [one for step in found for one in step.attempts if attempt is None or one.attempt == int(attempt)]
        if attempts:
            return attempts[-1]
    if name in view.nodes:
        return view.nodes[name]
    named = [node for node in view.nodes.values() if node.meta.get("id") == name]
    begun = named or [node for identifier, node in view.nodes.items() if name and identifier.startswith(name)]
    if len(begun) == 1:
        return begun[0]
    steps = ", ".join(str(step.number) for step in view.steps if step.number is not None)
    hint = f"Its steps are {steps}; `cmbagent-otel show {view.id[:8]} --json` has all ids."
    raise UnknownRunError(f"{'More than one node' if begun else 'No node'} of the run answers to {name!r}. {hint}")


def compare(left: Side, right: Side, read: Callable[[Node], Mapping[str, Any]]) -> Comparison:
    """Compare two sides.

    Args:
        left: what was before.
        right: what came after.
        read: what a call said: its texts by name, such as ``code`` and ``output``; empty where nothing is recorded.
    """
    plan: tuple[Pair, ...] = ()
    if left.node is None and right.node is None and (left.view.steps or right.view.steps):
        plan = _plan(left.view.steps, right.view.steps)
        calls = [pair for steps in plan for pair in _align(_below(steps.left), _below(steps.right))]
    else:
        calls = _align(left.calls(), right.calls())
    texts = [text for pair in calls for text in _text_diffs(pair, read)]
    return Comparison(left, right, tuple(_facts(left, right)), plan, tuple(calls), tuple(texts))


def _plan(left: Sequence[Step], right: Sequence[Step]) -> tuple[Pair, ...]:
    mine = {(step.number, number): step for number, step in _numbered(left)}
    theirs = {(step.number, number): step for number, step in _numbered(right)}
    keys = sorted({*mine, *theirs}, key=lambda key: (key[0] is None, key[0] or 0, key[1]))
    return tuple(
        Pair(mine[key].current if key in mine else None, theirs[key].current if key in theirs else None) for key in keys
    )


def _numbered(steps: Sequence[Step]) -> Iterable[tuple[int, Step]]:
    seen: dict[int | None, int] = {}
    for step in steps:
        seen[step.number] = seen.get(step.number, 0) + 1
        yield seen[step.number], step


def _below(node: Node | None) -> list[Node]:
    return [] if node is None else [one for one in node.subtree() if one.kind in CALLS and not one.hidden]


def _align(left: Sequence[Node], right: Sequence[Node]) -> list[Pair]:
    if len(left) * len(right) > _ALIGN_LIMIT:
        longest = max(len(left), len(right))
        padded = ([*nodes, *[None] * (longest - len(nodes))] for nodes in (left, right))
        return [Pair(*both) for both in zip(*padded, strict=True)]
    keys = [_key(node) for node in left], [_key(node) for node in right]
    matcher = difflib.SequenceMatcher(None, *keys, autojunk=False)
    pairs: list[Pair] = []
    for tag, left_from, left_to, right_from, right_to in matcher.get_opcodes():
        if tag == "equal":
            pairs += [Pair(*both) for both in zip(left[left_from:left_to], right[right_from:right_to], strict=True)]
        else:
            pairs += [Pair(node, None) for node in left[left_from:left_to]]
            pairs += [Pair(None, node) for node in right[right_from:right_to]]
    return pairs


def _key(node: Node) -> tuple[str, str, str]:
    return (agent_of(node), node.kind, node.label)


def agent_of(node: Node) -> str:
    """The agent whose turn the call stands in; empty where there is none."""
    here: Node | None = node
    while here is not None:
        if here.kind == NodeKind.AGENT:
            return here.label
        here = here.parent
    return node.row.agent or ""


def _outcome(node: Node) -> tuple[object, ...]:
    return (node.row.status, node.meta.get("exit_code"), node.label)


def _facts(left: Side, right: Side) -> Iterable[Fact]:
    def fact(name: str, of: Callable[[Side], str]) -> Fact:
        return Fact(name, of(left), of(right))

    yield fact("status", lambda side: side.view.status if side.node is None else side.node.status)
    yield fact("duration", lambda side: words.duration(_seconds(side)))
    for name, read in _FIGURES.items():
        yield fact(name, read)
    if left.node is not None or right.node is not None:
        yield fact("hypothesis", lambda side: one_line(side.node.meta.get("hypothesis") or "") if side.node else "")


def _seconds(side: Side) -> float | None:
    return side.view.seconds if side.node is None else side.node.seconds(side.view.now_unix_nano)


def _totals(side: Side) -> Any:
    return side.view.totals if side.node is None else side.node.totals


_FIGURES: Mapping[str, Callable[[Side], str]] = {
    "cost": lambda side: words.cost(_totals(side).cost_usd, at_least=_totals(side).unknown_costs > 0),
    "tokens": lambda side: words.tokens(_totals(side).input_tokens, _totals(side).output_tokens),
    "model calls": lambda side: str(_totals(side).llm_calls),
    "tool calls": lambda side: str(_totals(side).tool_calls),
    "code runs": lambda side: str(_totals(side).code_runs),
    "redos": lambda side: str(_totals(side).redos),
    "errors": lambda side: str(_totals(side).errors),
}


def _text_diffs(pair: Pair, read: Callable[[Node], Mapping[str, Any]]) -> Iterable[TextDiff]:
    if pair.left is None or pair.right is None:
        return
    before, after = read(pair.left), read(pair.right)
    for name in dict.fromkeys([*before, *after]):
        old, new = as_text(before.get(name, "")), as_text(after.get(name, ""))
        if old != new:
            title = f"{agent_of(pair.right) or 'no agent'}, {one_line(pair.right.label)}: {name}"
            lines = difflib.unified_diff(old.splitlines(), new.splitlines(), "before", "after", lineterm="", n=3)
            yield TextDiff(title, tuple(words.plain(line) for line in lines))


def as_text(value: object) -> str:
    """Content as text: code blocks one after another, anything else that is no text as JSON."""
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        blocks = [block.get("code") if isinstance(block, dict) else None for block in value]
        if all(isinstance(block, str) for block in blocks):
            return "\n".join(map(str, blocks))
    return to_json({"value": value}) if value is not None else ""
