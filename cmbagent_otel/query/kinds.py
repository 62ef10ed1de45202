"""What a node is, and what people call it, from its row."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from cmbagent_otel.query.rows import NodeRow
from cmbagent_otel.semconv import NodeKind, NodeType, Operation

OTHER = "other"
"""The kind of a node whose type this version does not know; it is drawn as a call, with its first letter."""
PLACEHOLDER = NodeType.PLACEHOLDER

KIND_OF_TYPE: Mapping[str, str] = {
    NodeType.WORKFLOW: NodeKind.WORKFLOW,
    NodeType.STEP: NodeKind.STEP,
    NodeType.BRANCH_POINT: NodeKind.STEP,
    NodeType.AGENT: NodeKind.AGENT,
    NodeType.SUB_AGENT: NodeKind.AGENT,
    NodeType.LLM: NodeKind.LLM,
    NodeType.TOOL: NodeKind.TOOL,
    NodeType.CODE_EXEC: NodeKind.CODE,
    NodeType.APPROVAL: NodeKind.APPROVAL,
    NodeType.SPEAKER_SELECTION: NodeKind.SPEAKER_SELECTION,
    NodeType.CHAT: NodeKind.CHAT,
    NodeType.SPAN: NodeKind.SPAN,
    NodeType.PLACEHOLDER: PLACEHOLDER,
}

PLAIN_TYPES = (
    NodeType.AGENT,
    NodeType.SUB_AGENT,
    NodeType.LLM,
    NodeType.TOOL,
    NodeType.SPEAKER_SELECTION,
    NodeType.CHAT,
    NodeType.SPAN,
    NodeType.PLACEHOLDER,
)
"""Types of which a picture needs no ``meta``: the many. It is read only where one has failed."""

CALLS = frozenset({NodeKind.LLM, NodeKind.TOOL, NodeKind.CODE, NodeKind.APPROVAL, OTHER})
"""Kinds that are calls: the leaves of the picture, though another node may hang under one."""

# Phases of CMBAgent's own rows, which state no kind.
_PHASES = frozenset({"planning", "control", "hitl_planning", "hitl_control", "one_shot", "copilot", "idea_generation"})

_PREFIXES = tuple(
    f"{operation} "
    for operation in (
        Operation.INVOKE_WORKFLOW,
        Operation.INVOKE_AGENT,
        Operation.EXECUTE_TOOL,
        Operation.EXECUTE_CODE,
        Operation.AWAIT_HUMAN_INPUT,
        NodeKind.PHASE,
    )
)
_STEP_ID = re.compile(r"step_(\d+)")


def kind_of(row: NodeRow, meta: Mapping[str, Any]) -> str:
    """The node's kind: a :class:`~cmbagent_otel.semconv.NodeKind`, ``placeholder`` or ``other``."""
    known = KIND_OF_TYPE.get(row.node_type)
    if row.trace_id is None and known is not PLACEHOLDER:
        if row.node_type in _PHASES:
            return NodeKind.PHASE
        if _STEP_ID.fullmatch(str(meta.get("id"))):
            return NodeKind.STEP
    if known is None:
        return NodeKind.PHASE if meta.get("kind") == NodeKind.PHASE else OTHER
    return known


def label_of(row: NodeRow, kind: str, meta: Mapping[str, Any]) -> str:
    """What people call the node; never empty."""
    if kind == NodeKind.STEP:
        label = meta.get("goal") or meta.get("label")
    elif kind == NodeKind.AGENT:
        label = row.agent or meta.get("label")
    elif kind == NodeKind.CODE:
        label = meta.get("language") or meta.get("label")
    elif kind in (NodeKind.WORKFLOW, NodeKind.PHASE):
        label = meta.get("label") or _short(row.name)
    elif kind == PLACEHOLDER:
        label = "not arrived yet"
    else:
        label = _short(row.name) or meta.get("label")
    return str(label or row.name or row.agent or row.node_type or row.id)


def step_number(meta: Mapping[str, Any]) -> int | None:
    """The step's number in the plan, where it is known."""
    stated = meta.get("step_number")
    if isinstance(stated, int):
        return stated
    found = _STEP_ID.match(str(meta.get("id")))
    return int(found.group(1)) if found else None


def _short(name: str | None) -> str | None:
    if name is not None:
        for prefix in _PREFIXES:
            if name.startswith(prefix):
                return name[len(prefix) :]
    return name
