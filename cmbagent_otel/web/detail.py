"""All that is known of one node, in the order of a scientist's questions: what, how it went, why, what was said."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from cmbagent_otel.query import words
from cmbagent_otel.query.compare import as_text as code_text
from cmbagent_otel.query.rows import EventRow, FileRow
from cmbagent_otel.query.view import Node, RunView
from cmbagent_otel.semconv import CONTENT_GATE_VARIABLE, EventSubtype, EventType, NodeKind, Status
from cmbagent_otel.web import highlight, looks
from cmbagent_otel.web.messages import Said, as_text, said

SHOWN_CHARACTERS = 65_536
"""Of one text, unless all of it is asked for."""

_CONTENT_KINDS = (NodeKind.LLM, NodeKind.TOOL, NodeKind.CODE, NodeKind.APPROVAL)
_KNOWN_META = frozenset({"kind", "label", "goal", "description", "task"})


@dataclass(frozen=True)
class Fact:
    """A figure with its name."""

    name: str
    value: str
    look: str = ""


@dataclass(frozen=True)
class Text:
    """A text with line numbers: code, output, arguments."""

    title: str
    note: str
    lines: list[highlight.Line]
    left_out: int = 0
    """Characters that are not shown here."""
    full: str = ""
    """The text as it is copied."""


@dataclass(frozen=True)
class Attempts:
    """The attempts of the step that a node is one of, or stands in."""

    here: Node
    all: list[Node]

    @property
    def pair(self) -> tuple[Node, Node]:
        """What to compare, the earlier one first: this attempt and the one before, or the one after the first."""
        place = self.all.index(self.here)
        return (self.all[place - 1], self.here) if place else (self.here, self.all[1])

    @property
    def next(self) -> Node | None:
        """The attempt that replaced this one."""
        place = self.all.index(self.here) + 1
        return self.all[place] if place < len(self.all) else None


@dataclass
class Detail:
    """One node."""

    node: Node
    kind: str
    title: str
    look: str
    status: str
    path: list[tuple[str, str]]
    """Id and name of what it stands in, from the run down."""
    facts: list[Fact]
    error: str = ""
    error_type: str = ""
    texts: list[Text] = field(default_factory=list)
    messages: list[Said] = field(default_factory=list)
    events: list[EventRow] = field(default_factory=list)
    files: list[FileRow] = field(default_factory=list)
    attributes: list[tuple[str, str]] = field(default_factory=list)
    inside: list[Node] = field(default_factory=list)
    not_recorded: str = ""
    """Why nothing that was said is here."""
    left_out: int = 0
    """Characters of the messages that are not shown here."""
    attempts: Attempts | None = None
    """Where the step has more than one."""


def detail(
    view: RunView,
    node: Node,
    meta: Mapping[str, Any],
    events: list[EventRow],
    files: list[FileRow],
    *,
    full: bool = False,
) -> Detail:
    """All that is known of ``node``.

    Args:
        view: the run.
        node: one of its nodes.
        meta: its whole ``meta``.
        events: its events.
        files: the files that it made.
        full: show texts however long they are.
    """
    limit = None if full else SHOWN_CHARACTERS
    main = next((event for event in events if event.id == node.id), None)
    made = Detail(
        node,
        looks.KIND_WORDS.get(node.kind, words.one_line(node.row.node_type)),
        looks.title_of(node),
        looks.look_of(node.status),
        looks.status_words(node.status, view.silent_seconds),
        _path(node),
        _facts(view, node, meta),
        events=events,
        files=files,
        attributes=_attributes(node, meta),
        inside=node.visible_children(),
        attempts=_attempts_of(node),
    )
    _say_error(made, meta, events)
    _say_content(made, main, events, limit)
    if main is not None and node.kind in _CONTENT_KINDS and not made.texts and not made.messages and not node.is_open:
        made.not_recorded = CONTENT_GATE_VARIABLE
    return made


def _attempts_of(node: Node) -> Attempts | None:
    here: Node | None = node
    while here is not None and here.step is None:
        here = here.parent
    if here is None or here.step is None or len(here.step.attempts) < 2:
        return None
    return Attempts(here, here.step.attempts)


def _path(node: Node) -> list[tuple[str, str]]:
    path = []
    above = node.parent
    while above is not None:
        if not above.hidden:
            name = looks.short(above)
            path.append((above.id, looks.capital(name) if above.step is not None else name))
        above = above.parent
    return path[::-1]


def _facts(view: RunView, node: Node, meta: Mapping[str, Any]) -> list[Fact]:
    facts = []
    exit_code = meta.get("exit_code")
    if node.kind == NodeKind.CODE:
        shown = "none yet" if node.is_open else words.UNKNOWN if exit_code is None else words.one_line(exit_code)
        facts.append(Fact("Exit code", shown, "failed" if exit_code else ""))
    facts.append(Fact("Duration", words.duration(node.seconds(view.now_unix_nano))))
    totals = node.totals
    if totals.llm_calls:
        facts.append(Fact("Tokens", looks.tokens(totals)))
        facts.append(Fact("Cost", looks.cost(totals)))
    if node.kind == NodeKind.LLM and meta.get("cached"):
        facts.append(Fact("Answer", "from the cache"))
    facts.append(Fact("Started", words.moment(node.start)))
    return facts


def _say_error(made: Detail, meta: Mapping[str, Any], events: list[EventRow]) -> None:
    if made.node.row.status != Status.FAILED:
        return
    made.error_type = words.one_line(meta.get("error_type") or "")
    told = [event.error_message for event in events if event.error_message]
    made.error = words.plain(told[0]) if told else ""
    if not made.error and not made.error_type:
        made.error = "It failed, and did not say why."


def _say_content(made: Detail, main: EventRow | None, events: list[EventRow], limit: int | None) -> None:
    inputs = (main.inputs or {}) if main is not None else {}
    outputs = (main.outputs or {}) if main is not None else {}
    kind = made.node.kind
    if kind == NodeKind.CODE:
        language = words.one_line(inputs.get("language") or made.node.meta.get("language") or "").lower()
        source, output = code_text(inputs.get("code")), as_text(outputs.get("result"))
        failed = made.node.row.status == Status.FAILED
        hit = highlight.failing_line(source, output) if failed else None
        _add(made, "Code", source, limit, language=language, hit=hit)
        told = highlight.error_line(output) if failed else None
        _add(made, "Output", output, limit, hit=told)
        if told is not None and not made.error:
            # What the program itself said of its end tells more than that it ended.
            made.error, made.error_type = words.one_line(output.splitlines()[told - 1], 500), ""
    elif kind == NodeKind.TOOL:
        _add(made, "Arguments", as_text(inputs.get("arguments")), limit, language="json")
        result = as_text(outputs.get("result"))
        _add(made, "Result", result, limit, language="json" if result[:1] in ("{", "[") else "")
    elif kind == NodeKind.APPROVAL:
        made.messages += [Said("asked", as_text(inputs["prompt"]))] if inputs.get("prompt") else []
        made.messages += [Said("answer", as_text(outputs["response"]))] if outputs.get("response") else []
    else:
        made.messages += [Said("system", part.text) for part in said(inputs.get("system_instructions"))]
        made.messages += said(inputs.get("messages"))
        made.messages += said(outputs.get("messages"))
        made.messages += [
            Said(_between(event.inputs or {}), as_text((event.inputs or {})["content"]))
            for event in events
            if event.event_type == EventType.AGENT_CALL
            and event.event_subtype == EventSubtype.MESSAGE
            and (event.inputs or {}).get("content") is not None
        ]
    made.messages, made.left_out = _cut(made.messages, limit)


def _between(inputs: Mapping[str, Any]) -> str:
    sender, recipient = inputs.get("sender"), inputs.get("recipient")
    return f"{sender} to {recipient}" if sender and recipient else str(sender or "")


def _add(made: Detail, title: str, text: str, limit: int | None, *, language: str = "", hit: int | None = None) -> None:
    text = words.plain(text)
    if not text.strip():
        return
    shown = text if limit is None else text[:limit]
    lines = highlight.lines(shown, language, hit)
    made.texts.append(Text(title, words.plural(len(text.splitlines()), "line"), lines, len(text) - len(shown), text))


def _cut(messages: list[Said], limit: int | None) -> tuple[list[Said], int]:
    """The messages with their texts cut so that together they keep to the limit, the last ones kept whole."""
    cleaned = [Said(words.one_line(one.speaker), words.plain(one.text), one.kind) for one in messages]
    if limit is None:
        return cleaned, 0
    room, left_out = limit, 0
    kept = []
    for one in reversed(cleaned):
        text = one.text[: max(room, 0)]
        left_out += len(one.text) - len(text)
        room -= len(text)
        if text or not one.text:
            kept.append(Said(one.speaker, text, one.kind))
    return kept[::-1], left_out


def _attributes(node: Node, meta: Mapping[str, Any]) -> list[tuple[str, str]]:
    row = node.row
    columns: dict[str, Any] = {
        "node": row.id,
        "type": row.node_type,
        "name": row.name,
        "agent": row.agent,
        "stored status": row.status,
        "started": words.moment(row.start_time_unix_nano, zone=True),
        "ended": words.moment(row.end_time_unix_nano, zone=True),
        "parent": row.parent_node_id,
        "trace": row.trace_id,
        "span": row.span_id,
    }
    shown = {**columns, **{key: value for key, value in sorted(meta.items()) if key not in _KNOWN_META}}
    return [(words.one_line(name), words.plain(as_text(value))) for name, value in shown.items() if value is not None]
