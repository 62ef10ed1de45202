"""The visual grammar of the terminal: the words of one node, and a mark for each colour."""

from __future__ import annotations

from collections.abc import Mapping

from rich.text import Text

from cmbagent_otel.query import words
from cmbagent_otel.query.kinds import OTHER, PLACEHOLDER
from cmbagent_otel.query.totals import Totals
from cmbagent_otel.query.view import STALE, Node, RunView
from cmbagent_otel.query.words import one_line
from cmbagent_otel.semconv import NodeKind, Status

MARKS: Mapping[str, tuple[str, str]] = {
    Status.COMPLETED: ("✓", "green"),
    Status.FAILED: ("✗", "bold red"),
    "error": ("✗", "bold red"),
    Status.RUNNING: ("●", "blue"),
    "executing": ("●", "blue"),
    "planning": ("●", "blue"),
    "retrying": ("●", "blue"),
    Status.WAITING_APPROVAL: ("‖", "magenta"),
    "paused": ("‖", "magenta"),
    Status.PENDING: ("·", "dim"),
    "draft": ("·", "dim"),
    Status.INTERRUPTED: ("!", "yellow"),
    "skipped": ("/", "dim"),
    "cancelled": ("/", "dim"),
    STALE: ("○", "blue"),
}
"""Status to mark and style; any other is a ``?`` with its text."""

_UNKNOWN_MARK = ("?", "dim")
_QUIET = "dim"


def mark(status: str) -> Text:
    """The status mark."""
    sign, style = MARKS.get(status, _UNKNOWN_MARK)
    return Text(sign, style)


def status_words(status: str, silent_seconds: float = 0.0) -> str:
    """The status as words: ``waiting for approval``, ``no news for 7 m``."""
    if status == STALE:
        return f"no news for {words.duration(silent_seconds)}"
    if status == Status.WAITING_APPROVAL:
        return "waiting for approval"
    return one_line(status)


def title(node: Node) -> Text:
    """What the node is and is called."""
    text = Text()
    label = one_line(node.label)
    kind = node.kind
    if kind == NodeKind.STEP:
        number = node.step.number if node.step is not None else None
        text.append("step" if number is None else f"step {number}", "bold")
        if label.lower() != f"step {number}":
            text.append(f"  {label}")
    elif kind == NodeKind.PHASE:
        text.append(label, "bold")
    elif kind in (NodeKind.WORKFLOW, NodeKind.AGENT):
        text.append(label, "bold" if kind == NodeKind.WORKFLOW else "cyan")
    elif kind in _KIND_WORDS:
        text.append(f"{_KIND_WORDS[kind]} ", _QUIET)
        text.append(label)
    elif kind == OTHER:
        text.append(f"{one_line(node.row.node_type)} ", _QUIET)
        text.append(label)
    else:
        text.append(label, _QUIET if kind == PLACEHOLDER else "")
    return text


_KIND_WORDS = {
    NodeKind.TOOL: "tool",
    NodeKind.CODE: "code",
    NodeKind.APPROVAL: "human",
    NodeKind.CHAT: "group",
    NodeKind.SPAN: "span",
}


def remarks(node: Node, view: RunView) -> Text:
    """What stands behind the title: exit code, attempt, handoff, status where the mark alone would not do, notes."""
    text = Text()
    exit_code = node.meta.get("exit_code")
    if exit_code is not None:
        text.append(f"  exit {one_line(exit_code)}", "bold red" if exit_code else _QUIET)
    if node.step is not None and (len(node.step.attempts) > 1 or node.attempt > 1):
        text.append(f"  attempt {node.attempt}", "yellow")
        if node.is_replaced:
            text.append(", replaced", _QUIET)
    if node.meta.get("over_limit"):
        text.append("  over the limit of redos", "yellow")
    if node.handed_over_by is not None:
        giver = view.nodes.get(node.handed_over_by)
        text.append(f"  ← {one_line(giver.label) if giver is not None else 'handed over'}", _QUIET)
    if node.meta.get("cached"):
        text.append("  from the cache", _QUIET)
    error = node.meta.get("error_type")
    if error and not node.children and exit_code is None:
        text.append(f"  {one_line(error)}", "red")
    if node.status not in (Status.COMPLETED, Status.FAILED, Status.RUNNING, Status.PENDING):
        text.append(f"  {status_words(node.status, view.silent_seconds)}", MARKS.get(node.status, _UNKNOWN_MARK)[1])
    for note in node.notes:
        text.append(f"  ({note})", "yellow")
    return text


def figures(node: Node, now_unix_nano: int) -> tuple[str, str, str]:
    """Duration, tokens and cost of the node and all below it; empty where there is nothing to say."""
    totals = node.totals
    seconds = node.seconds(now_unix_nano)
    return (
        "" if seconds is None else words.duration(seconds),
        tokens(totals) if totals.llm_calls else "",
        cost(totals) if totals.llm_calls else "",
    )


def tokens(totals: Totals) -> str:
    """The tokens of some calls, "at least" where some state none."""
    figure = words.tokens(totals.input_tokens, totals.output_tokens)
    return f"at least {figure}" if totals.unknown_tokens and figure != words.UNKNOWN else figure


def cost(totals: Totals) -> str:
    """The cost of some calls, "at least" where the price of some is not known; a dash before the first has ended."""
    if not totals.cost_usd and not totals.input_tokens and not totals.output_tokens:
        return words.UNKNOWN
    return words.cost(totals.cost_usd, at_least=totals.unknown_costs > 0)


def head(view: RunView) -> list[Text]:
    """The lines above the picture: what, how long, how much, and where it is now."""
    first = Text.assemble(mark(view.status), " ", (one_line(view.run.title), "bold"))
    if view.run.title != view.run.mode:
        first.append(f"  {one_line(view.run.mode)}", _QUIET)
    lines = [first, Text(f"run {view.id}  started {words.moment(view.start)}", _QUIET)]
    facts = [status_words(view.status, view.silent_seconds), words.duration(view.seconds)]
    if view.waiting_seconds >= 1:
        facts[-1] += f" ({words.duration(view.active_seconds)} without waiting for people)"
    totals = view.totals
    if totals.llm_calls:
        spent = cost(totals)
        if view.replaced.cost_usd:
            spent += f" ({words.cost(view.replaced.cost_usd)} in replaced attempts)"
        facts += [spent, tokens(totals), words.plural(totals.llm_calls, "model call")]
    for number, word in (
        (totals.tool_calls, "tool call"),
        (totals.code_runs, "code run"),
        (totals.redos, "redo"),
        (totals.errors, "error"),
    ):
        if number:
            facts.append(words.plural(number, word))
    lines.append(Text(" · ".join(facts)))
    if view.is_open and view.now:
        path = " > ".join(_short(node) for node in view.now[1:] or view.now if not node.hidden)
        lines.append(Text(f"now: {path}  {words.duration(view.now[-1].seconds(view.now_unix_nano))}", "blue"))
    return lines


def _short(node: Node) -> str:
    if node.step is None:
        return one_line(node.label, 40)
    number = "step" if node.step.number is None else f"step {node.step.number}"
    return number if node.attempt < 2 else f"{number}, attempt {node.attempt}"
