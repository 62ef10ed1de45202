-- Every node of a run with its path from the root; also right while depth is not settled yet.
-- json_each is SQLite's LATERAL: through it a condition on run_id reaches the recursion. Told that few nodes wait in it
-- at a time, the planner looks their children up; else it first makes a filter out of the whole table. The plus keeps
-- it from reading the whole run for each of them.
CREATE VIEW dag_tree AS
SELECT r.id AS run_id, n.id AS node_id, json_extract(t.value, '$[1]') AS root_node_id,
       json_extract(t.value, '$[2]') AS level, json_extract(t.value, '$[3]') AS path, n.parent_node_id, n.node_type,
       n.agent, n.name, n.status, n.depth, n.order_index, n.attempt, n.start_time_unix_nano, n.end_time_unix_nano,
       n.input_tokens, n.output_tokens, n.cost_usd, n.meta
  FROM workflow_runs r
 CROSS JOIN json_each((
  WITH RECURSIVE tree(id, root_node_id, level, path) AS (
    SELECT n.id, n.id, 0, n.id
      FROM dag_nodes n LEFT JOIN dag_nodes p ON p.id = n.parent_node_id AND p.run_id = r.id
     WHERE n.run_id = r.id AND p.id IS NULL
    UNION ALL
    SELECT n.id, t.root_node_id, t.level + 1, t.path || '/' || n.id
      FROM tree t CROSS JOIN dag_nodes n ON n.parent_node_id = t.id AND +n.run_id = r.id
     WHERE likelihood(t.level >= 0, 0.00001)
  )
  SELECT json_group_array(json_array(id, root_node_id, level, path)) FROM tree
 )) t
  JOIN dag_nodes n ON n.id = json_extract(t.value, '$[0]');
