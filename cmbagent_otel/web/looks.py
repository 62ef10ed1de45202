"""The visual grammar: shape says what a node is, colour and mark say how it went."""

from __future__ import annotations

from collections.abc import Mapping

from cmbagent_otel.query import words
from cmbagent_otel.query.kinds import PLACEHOLDER
from cmbagent_otel.query.totals import Totals
from cmbagent_otel.query.view import STALE, Node
from cmbagent_otel.semconv import NodeKind, RedoReason, Status

LOOKS: Mapping[str, str] = {
    Status.COMPLETED: "completed",
    Status.FAILED: "failed",
    "error": "failed",
    Status.RUNNING: "running",
    "executing": "running",
    "planning": "running",
    "retrying": "running",
    Status.WAITING_APPROVAL: "waiting",
    "paused": "waiting",
    Status.PENDING: "pending",
    "draft": "pending",
    Status.INTERRUPTED: "interrupted",
    "skipped": "skipped",
    "cancelled": "skipped",
    STALE: "stale",
}
"""Status to look; a status of any other name has the look ``other`` and is shown with its text."""

SHAPES: Mapping[str, str] = {
    NodeKind.LLM: "llm",
    NodeKind.TOOL: "tool",
    NodeKind.CODE: "code",
    NodeKind.APPROVAL: "human",
    NodeKind.AGENT: "agent",
}
"""Kind to shape; a kind of any other name is a circle with its first letter."""

KIND_WORDS: Mapping[str, str] = {
    NodeKind.WORKFLOW: "Workflow",
    NodeKind.PHASE: "Phase",
    NodeKind.STEP: "Step",
    NodeKind.AGENT: "Agent turn",
    NodeKind.LLM: "Model call",
    NodeKind.TOOL: "Tool call",
    NodeKind.CODE: "Code run",
    NodeKind.APPROVAL: "Human input",
    NodeKind.SPEAKER_SELECTION: "Choice of speaker",
    NodeKind.CHAT: "Chat",
    NodeKind.SPAN: "Span of a library",
    PLACEHOLDER: "Not arrived yet",
}

_PHASES: Mapping[str, str] = {
    "hitl_planning": "Human review",
    "hitl_control": "Control with a person",
    "one_shot": "One shot",
}
"""Phase types whose own word says little."""


def look_of(status: str) -> str:
    """The look of a status."""
    return LOOKS.get(status, "other")


def shape_of(node: Node) -> str:
    """The shape of a node: a name, or the one letter that stands in its circle."""
    return SHAPES.get(node.kind) or (node.row.node_type or "?")[:1].upper()


def status_words(status: str, silent_seconds: float = 0.0) -> str:
    """The status as words: ``waiting for a person``, ``no news for 7 m 02 s``."""
    if status == STALE:
        return f"no news for {words.duration(silent_seconds)}" if silent_seconds else "no news"
    if status == Status.WAITING_APPROVAL:
        return "waiting for a person"
    return words.one_line(status).replace("_", " ")


def title_of(node: Node) -> str:
    """What people call the node."""
    label = words.one_line(node.label)
    if node.kind == NodeKind.PHASE:
        return _PHASES.get(label) or capital(label.replace("_", " "))
    if node.kind == NodeKind.CODE and node.row.name:
        return f"{capital(label)} code"
    return label


def capital(text: str) -> str:
    """``text`` with its first letter a capital."""
    return text[:1].upper() + text[1:]


def why(attempt: Node) -> str:
    """``redo after failure``; empty for a first attempt."""
    if attempt.attempt < 2:
        return ""
    reason = words.one_line(attempt.meta.get("reason") or "")
    return f"redo after {reason}" if reason in (RedoReason.FAILURE, RedoReason.FEEDBACK) else "redo"


def short(node: Node) -> str:
    """The node in a path: ``step 7, attempt 2``, ``engineer``."""
    if node.step is None:
        return words.one_line(title_of(node), 40)
    number = "step" if node.step.number is None else f"step {node.step.number}"
    return number if node.attempt < 2 else f"{number}, attempt {node.attempt}"


def hypothesis(attempt: Node) -> str:
    """What the attempt tried differently, as far as it is known."""
    said = attempt.meta.get("hypothesis")
    if said is None and attempt.attempt > 1:
        said = attempt.meta.get("description")
    return words.one_line(said or "")


def cost(totals: Totals) -> str:
    """What some calls cost: "at least" where the price of some is not known, a dash where nothing is."""
    if not totals.cost_usd and not totals.input_tokens and not totals.output_tokens:
        return words.UNKNOWN
    return words.cost(totals.cost_usd, at_least=totals.unknown_costs > 0)


def tokens(totals: Totals) -> str:
    """The tokens of some calls, "at least" where some state none."""
    figure = words.tokens(totals.input_tokens, totals.output_tokens)
    return f"at least {figure}" if totals.unknown_tokens and figure != words.UNKNOWN else figure


def calls(totals: Totals) -> str:
    """``17 model calls, 6 tool calls, 8 code runs``."""
    figures = (
        (totals.llm_calls, "model call"),
        (totals.tool_calls, "tool call"),
        (totals.code_runs, "code run"),
        (totals.approvals, "human input"),
    )
    return ", ".join(words.plural(number, word) for number, word in figures if number)
