"""The place of a node among its siblings: by start, then span id, from 0."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import orjson
from sqlalchemy import Connection, Row, TextClause, text

from cmbagent_otel.semconv import NodeType
from cmbagent_otel.store.arrays import ARRAYS
from cmbagent_otel.store.fragment import Fragment, Moment, Node

Group = tuple[str, str]

_BOUNDS = {
    "postgresql": "WITH b(id, start) AS (SELECT * FROM unnest(CAST(:ids AS text[]), CAST(:starts AS bigint[])))",
    "sqlite": "WITH b(id, start) AS (SELECT i.value, s.value FROM json_each(:ids) i JOIN json_each(:starts) s"
    " ON s.key = i.key)",
}
_OF = {"parent": "n.parent_node_id = b.id", "run": "n.run_id = b.id AND n.parent_node_id IS NULL"}
_IN_PLACE = f"n.node_type NOT IN ('{NodeType.BRANCH_POINT}', '{NodeType.PLACEHOLDER}')"
_LATER = {
    kind: f"""
SELECT b.id AS group_id, n.id, n.start_time_unix_nano, n.span_id, n.order_index, n.node_type
  FROM b JOIN dag_nodes n ON {members} AND n.start_time_unix_nano >= b.start WHERE {_IN_PLACE}"""
    for kind, members in _OF.items()
}
_LAST_BEFORE = {
    kind: f"""
SELECT b.id AS group_id, (SELECT n.order_index FROM dag_nodes n
    WHERE {members} AND n.start_time_unix_nano < b.start AND {_IN_PLACE}
    ORDER BY n.start_time_unix_nano DESC, n.order_index DESC LIMIT 1) AS place FROM b"""
    for kind, members in _OF.items()
}


def settle_siblings(fragment: Fragment) -> dict[str, tuple[int, str]]:
    """Number anew the siblings of nodes that have come, gone or moved, from the first of these on.

    Returns:
        The new place and the type of siblings that are not in memory.
    """
    shifted: dict[str, tuple[int, str]] = {}
    for kind in _OF:
        first: dict[Group, Moment] = {}
        members: dict[Group, list[Node]] = {}
        for node in fragment.nodes.values():
            old = node.stored.sibling_group if node.stored is not None else None
            new = node.sibling_group
            if new is not None and new[0] == kind:
                members.setdefault(new, []).append(node)
            if old != new and node.start is not None:
                for group in (old, new):
                    if group is not None and group[0] == kind:
                        first[group] = min(first.get(group, node.start), node.start)
        if first:
            _number(fragment, kind, first, members, shifted)
    return shifted


def _number(
    fragment: Fragment,
    kind: str,
    first: dict[Group, Moment],
    members: dict[Group, list[Node]],
    shifted: dict[str, tuple[int, str]],
) -> None:
    # Nothing is stored under a parent that is not stored itself.
    asked = [group for group in first if kind == "run" or fragment.nodes[group[1]].stored is not None]
    later: dict[Group, list[tuple[Moment, str, int, str]]] = {}
    base: dict[Group, int] = {}
    if asked:
        bounds = {group[1]: first[group][0] for group in asked}
        for row in _query(fragment.connection, bounds, _LATER[kind]):
            if row.id not in fragment.nodes:
                moment = (row.start_time_unix_nano, row.span_id)
                later.setdefault((kind, row.group_id), []).append((moment, row.id, row.order_index, row.node_type))
        for row in _query(fragment.connection, bounds, _LAST_BEFORE[kind]):
            base[kind, row.group_id] = 0 if row.place is None else row.place + 1
    for group, moment in first.items():
        after = [node for node in members.get(group, ()) if node.start is not None and node.start[0] >= moment[0]]
        in_memory = [(node.start or moment, node.id, node.order_index, node.node_type) for node in after]
        everyone = sorted([*in_memory, *later.get(group, ())])
        for place, (_, node_id, stored, node_type) in enumerate(everyone, start=base.get(group, 0)):
            if node_id in fragment.nodes:
                fragment.nodes[node_id].order_index = place
            elif stored != place:
                shifted[node_id] = (place, node_type)


def _query(connection: Connection, bounds: dict[str, int], statement: str) -> Sequence[Row[Any]]:
    dialect = connection.dialect.name
    ids, starts = list(bounds), list(bounds.values())
    parameters = (
        {"ids": ARRAYS["text"](ids), "starts": ARRAYS["bigint"](starts)}
        if dialect == "postgresql"
        else {"ids": orjson.dumps(ids).decode(), "starts": orjson.dumps(starts).decode()}
    )
    return connection.execute(_bounded(dialect, statement), parameters).all()


@functools.cache
def _bounded(dialect: str, statement: str) -> TextClause:
    return text(_BOUNDS[dialect] + statement)
