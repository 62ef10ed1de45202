-- Every node of a run with its path from the root; also right while depth is not settled yet.
-- Lateral, so that a condition on run_id reaches the recursion.
CREATE VIEW dag_tree AS
SELECT r.id AS run_id, t.id AS node_id, t.root_node_id, t.level, t.path, n.parent_node_id, n.node_type, n.agent, n.name,
       n.status, n.depth, n.order_index, n.attempt, n.start_time_unix_nano, n.end_time_unix_nano, n.input_tokens,
       n.output_tokens, n.cost_usd, n.meta
  FROM workflow_runs r
 CROSS JOIN LATERAL (
  WITH RECURSIVE tree(id, root_node_id, level, path) AS (
    SELECT n.id, n.id, 0, CAST(n.id AS text)
      FROM dag_nodes n LEFT JOIN dag_nodes p ON p.id = n.parent_node_id AND p.run_id = r.id
     WHERE n.run_id = r.id AND p.id IS NULL
    UNION ALL
    SELECT n.id, t.root_node_id, t.level + 1, t.path || '/' || n.id
      FROM tree t JOIN dag_nodes n ON n.parent_node_id = t.id AND n.run_id = r.id
  )
  SELECT * FROM tree
 ) t
  JOIN dag_nodes n ON n.id = t.id;
