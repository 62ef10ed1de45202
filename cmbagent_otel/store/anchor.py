"""Depths that become known: those of all that lies below a node whose last missing ancestor has come in.

Spans end children first, so this is often a whole run. The database follows it down; of its rows only what
changes comes into memory.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from sqlalchemy import Connection

from cmbagent_otel.store.fragment import Fragment
from cmbagent_otel.store.select import pairs, select

# In nodes that were settled in memory the right depth is stored by now: this goes round them. A planner that knows
# little of the tables must not begin with all nodes without a depth, nor with all of a trace.
_CHILDREN = {
    "postgresql": "CROSS JOIN LATERAL (SELECT * FROM dag_nodes WHERE parent_node_id = below.id OFFSET 0) n",
    "sqlite": "CROSS JOIN dag_nodes n ON n.parent_node_id = below.id",
}
_BELOW = {
    dialect: f"""
, below(id, run_id, depth, event_depth) AS (
  SELECT CAST(id AS varchar(36)), CAST('' AS varchar(36)), a, b FROM {{pairs}} s
   UNION ALL
  SELECT n.id, n.run_id, below.depth + 1,
         below.event_depth + CAST((SELECT count(*) FROM execution_events e WHERE e.id = n.id) AS integer)
    FROM below {children}
   WHERE n.depth IS NULL AND (n.trace_id IN (SELECT id FROM ids)) IS TRUE)
SELECT id, run_id, depth, event_depth FROM below WHERE run_id <> ''"""
    for dialect, children in _CHILDREN.items()
}


class Anchored(NamedTuple):
    """A node that is not in memory, and what its depth is now."""

    id: str
    run_id: str
    depth: int
    event_depth: int
    """The depth of the nearest main event, of its own or above it; -1 where there is none."""


def find(connection: Connection, fragment: Fragment) -> list[Anchored]:
    """The nodes below those of ``fragment`` whose depth has become known; these are written already."""
    known: Mapping[str, tuple[int, int]] = {
        node.id: (node.after.depth, node.after.event_depth)
        for node in fragment.nodes.values()
        if node.before is not None and node.after is not None
        if node.before.depth is None and node.after.depth is not None
    }
    if not known:
        return []
    statement = _BELOW[connection.dialect.name]
    return [Anchored._make(row) for row in select(connection, fragment.trace_ids, statement, pairs=pairs(known))]
