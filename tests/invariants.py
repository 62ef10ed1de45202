"""The invariants of the graph, for every test that writes rows."""

from __future__ import annotations

from sqlalchemy import Engine, text

_ANCESTORS = """
    WITH RECURSIVE up(node_id, ancestor_id, level) AS (
      SELECT id, id, 0 FROM dag_nodes
       UNION ALL
      SELECT up.node_id, n.parent_node_id, up.level + 1 FROM up JOIN dag_nodes n ON n.id = up.ancestor_id
       WHERE n.parent_node_id IS NOT NULL)
"""

_BROKEN = {
    # Rows that are not ours have no span.
    "a trace has more than one root": """
        SELECT trace_id FROM dag_nodes WHERE parent_node_id IS NULL AND span_id IS NOT NULL
         GROUP BY trace_id HAVING COUNT(*) > 1
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
    "siblings stand in another order than they began": """
        SELECT id FROM (
          SELECT id, start_time_unix_nano,
                 LAG(start_time_unix_nano) OVER (PARTITION BY run_id, parent_node_id ORDER BY order_index) AS before
            FROM dag_nodes WHERE node_type NOT IN ('branch_point', 'placeholder') AND parent_node_id IS NOT NULL
        ) siblings WHERE before > start_time_unix_nano
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
         WHERE (e.trace_id IS NOT NULL AND n.id IS NULL) OR n.run_id <> e.run_id OR n.session_id <> e.session_id
    """,
    "a parent event is not that of the nearest ancestor": f"""
        {_ANCESTORS} SELECT e.id FROM execution_events e LEFT JOIN execution_events p ON p.id = e.parent_event_id
         WHERE COALESCE(e.parent_event_id, '') <> COALESCE((
                 SELECT a.id FROM up JOIN execution_events a ON a.id = up.ancestor_id
                  WHERE up.node_id = e.node_id AND a.id <> e.id ORDER BY up.level LIMIT 1), '')
            OR e.depth <> COALESCE(p.depth + 1, 0)
    """,
    "an event stands under another step than its node": f"""
        {_ANCESTORS} SELECT e.id FROM execution_events e
         WHERE COALESCE(e.step_id, '') <> COALESCE((
                 SELECT s.step_id FROM up JOIN redo_chain s ON s.node_id = up.ancestor_id
                  WHERE up.node_id = e.node_id ORDER BY up.level LIMIT 1), '')
    """,
    "a step is of no attempt, or an attempt of no step": """
        SELECT s.id FROM workflow_steps s WHERE NOT EXISTS (SELECT 1 FROM redo_chain r WHERE r.step_id = s.id)
         UNION ALL
        SELECT r.node_id FROM redo_chain r LEFT JOIN workflow_steps s ON s.id = r.step_id AND s.run_id = r.run_id
         WHERE s.id IS NULL
    """,
    "a run that is over does not tell its events in the order of their time": """
        SELECT e.id FROM execution_events e JOIN execution_events f ON f.run_id = e.run_id
          JOIN workflow_runs r ON r.id = e.run_id
         WHERE r.status IN ('completed', 'failed') AND e.timestamp < f.timestamp
           AND e.execution_order >= f.execution_order
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
    "a cost or a file is of another run than its node": """
        SELECT c.source_id FROM cost_records c LEFT JOIN dag_nodes n ON n.id = c.source_id
         WHERE c.source_id IS NOT NULL AND (n.id IS NULL OR n.run_id <> c.run_id OR n.session_id <> c.session_id)
         UNION ALL
        SELECT f.source_id FROM files f LEFT JOIN dag_nodes n ON n.id = f.node_id
         WHERE f.source_id IS NOT NULL AND (n.id IS NULL OR n.run_id <> f.run_id OR n.session_id <> f.session_id)
    """,
    "a cost or a file stands twice": """
        SELECT source_id FROM cost_records WHERE source_id IS NOT NULL GROUP BY source_id HAVING COUNT(*) > 1
         UNION ALL
        SELECT source_id FROM files WHERE source_id IS NOT NULL GROUP BY source_id HAVING COUNT(*) > 1
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
