-- Events under the phase or step that they belong to, whatever deeper node they are of.
-- json_each is SQLite's LATERAL: through it a condition on run_id reaches the recursion; likelihood and plus as in dag_tree.
CREATE VIEW step_events AS
SELECT e.id, r.id AS run_id, json_extract(o.value, '$[1]') AS node_id, e.node_id AS own_node_id, e.step_id,
       e.session_id, e.parent_event_id, e.event_type, e.event_subtype, e.agent_name, e.agent_role, e.timestamp,
       e.started_at, e.completed_at, e.duration_ms, e.inputs, e.outputs, e.error_message, e.meta, e.execution_order,
       e.depth, e.status
  FROM workflow_runs r
 CROSS JOIN json_each((
  WITH RECURSIVE owner(node_id, step_node_id) AS (
    SELECT n.id, n.id FROM dag_nodes n WHERE n.run_id = r.id AND @meta_kind IN ('phase', 'step')
    UNION ALL
    SELECT n.id, o.step_node_id FROM owner o CROSS JOIN dag_nodes n ON n.parent_node_id = o.node_id AND +n.run_id = r.id
     WHERE likelihood(o.step_node_id <> '', 0.00001) AND COALESCE(@meta_kind, '') NOT IN ('phase', 'step')
  )
  SELECT json_group_array(json_array(node_id, step_node_id)) FROM owner
 )) o
  JOIN execution_events e ON e.node_id = json_extract(o.value, '$[0]');
