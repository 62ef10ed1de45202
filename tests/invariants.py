"""The invariants of the graph, for every test that writes rows."""

from __future__ import annotations

from sqlalchemy import Engine, text

_BROKEN = {
    "a trace has more than one root": """
        SELECT trace_id FROM dag_nodes WHERE parent_node_id IS NULL AND node_type <> 'placeholder'
           AND trace_id IS NOT NULL GROUP BY trace_id HAVING COUNT(*) > 1
    """,
    "a node hangs under nothing": """
        SELECT n.id FROM dag_nodes n LEFT JOIN dag_nodes p ON p.id = n.parent_node_id
         WHERE n.parent_node_id IS NOT NULL AND p.id IS NULL
    """,
    "a placeholder was never filled": "SELECT id FROM dag_nodes WHERE node_type = 'placeholder'",
    "a depth is wrong": """
        SELECT n.id FROM dag_nodes n LEFT JOIN dag_nodes p ON p.id = n.parent_node_id
         WHERE n.depth IS NULL OR n.depth <> COALESCE(p.depth + 1, 0)
    """,
    "order_index has a hole or a double": """
        SELECT parent_node_id, run_id FROM dag_nodes WHERE node_type NOT IN ('branch_point', 'placeholder')
         GROUP BY parent_node_id, run_id
        HAVING MIN(order_index) <> 0 OR MAX(order_index) <> COUNT(*) - 1 OR COUNT(DISTINCT order_index) <> COUNT(*)
    """,
    # A redo of another day stands in the tree of its own trace.
    "a redo has another place than its source": """
        SELECT r.node_id FROM redo_chain r JOIN dag_nodes n ON n.id = r.node_id
          JOIN dag_nodes s ON s.id = r.step_id AND s.trace_id = n.trace_id
         WHERE n.order_index <> s.order_index OR n.depth <> s.depth
            OR COALESCE(n.parent_node_id, '') <> COALESCE(s.parent_node_id, '')
    """,
    "an edge leads to or from nowhere": """
        SELECT e.id FROM dag_edges e LEFT JOIN dag_nodes f ON f.id = e.from_node_id
          LEFT JOIN dag_nodes t ON t.id = e.to_node_id WHERE f.id IS NULL OR t.id IS NULL OR e.run_id IS NULL
    """,
    "an edge stands twice": """
        SELECT from_node_id, to_node_id FROM dag_edges GROUP BY from_node_id, to_node_id, dependency_type
        HAVING COUNT(*) > 1
    """,
    "an event belongs to nothing": """
        SELECT e.id FROM execution_events e LEFT JOIN dag_nodes n ON n.id = e.node_id
         WHERE n.id IS NULL OR n.run_id <> e.run_id OR n.session_id <> e.session_id
    """,
    "a parent event is of no ancestor": """
        SELECT e.id FROM execution_events e LEFT JOIN execution_events p ON p.id = e.parent_event_id
         WHERE e.parent_event_id IS NOT NULL AND (p.id IS NULL OR p.depth <> e.depth - 1)
    """,
    "execution_order has a hole or a double in a run that is over": """
        SELECT e.run_id FROM execution_events e JOIN workflow_runs r ON r.id = e.run_id
         WHERE r.status IN ('completed', 'failed') GROUP BY e.run_id
        HAVING MIN(e.execution_order) <> 0 OR MAX(e.execution_order) <> COUNT(*) - 1
            OR COUNT(DISTINCT e.execution_order) <> COUNT(*)
    """,
    "something is open in a run that is over": """
        SELECT n.id FROM dag_nodes n JOIN workflow_runs r ON r.id = n.run_id
         WHERE r.status IN ('completed', 'failed') AND n.status NOT IN ('completed', 'failed', 'interrupted')
    """,
    "a node is in another session than its run": """
        SELECT n.id FROM dag_nodes n JOIN workflow_runs r ON r.id = n.run_id WHERE n.session_id <> r.session_id
    """,
    "a session or a run is empty": """
        SELECT s.id FROM sessions s WHERE NOT EXISTS (SELECT 1 FROM workflow_runs r WHERE r.session_id = s.id)
         UNION ALL
        SELECT r.id FROM workflow_runs r WHERE NOT EXISTS (SELECT 1 FROM dag_nodes n WHERE n.run_id = r.id)
    """,
    "a cost was counted twice or for nothing": """
        SELECT c.source_id FROM cost_records c LEFT JOIN dag_nodes n ON n.id = c.source_id
         WHERE n.id IS NULL OR n.run_id <> c.run_id
    """,
    "a record was put aside": "SELECT reason FROM rejected_records",
}


def broken_invariants(engine: Engine) -> dict[str, list[object]]:
    """What is wrong, each with the ids that it is wrong of."""
    with engine.connect() as connection:
        found = {name: list(connection.scalars(text(statement))) for name, statement in _BROKEN.items()}
    return {name: ids for name, ids in found.items() if ids}


def check_invariants(engine: Engine, *, except_for: frozenset[str] = frozenset()) -> None:
    """Fail where anything is wrong but what is named in ``except_for``."""
    assert {name: ids for name, ids in broken_invariants(engine).items() if name not in except_for} == {}
