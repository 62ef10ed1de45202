-- Every node of a run with its path from the root; also right while depth is not settled yet.
CREATE VIEW dag_tree AS
WITH RECURSIVE tree(id, run_id, root_node_id, level, path) AS (
  SELECT n.id, n.run_id, n.id, 0, n.id
    FROM dag_nodes n LEFT JOIN dag_nodes p ON p.id = n.parent_node_id
   WHERE p.id IS NULL
  UNION ALL
  SELECT n.id, n.run_id, t.root_node_id, t.level + 1, t.path || '/' || n.id
    FROM tree t JOIN dag_nodes n ON n.parent_node_id = t.id
)
SELECT t.run_id, t.id AS node_id, t.root_node_id, t.level, t.path, n.parent_node_id, n.node_type, n.agent, n.name,
       n.status, n.depth, n.order_index, n.attempt, n.start_time_unix_nano, n.end_time_unix_nano, n.input_tokens,
       n.output_tokens, n.cost_usd, n.meta
  FROM tree t JOIN dag_nodes n ON n.id = t.id;
