-- Events under the phase or step that they belong to, whatever deeper node they are of.
CREATE VIEW step_events AS
WITH RECURSIVE owner(node_id, step_node_id) AS (
  SELECT n.id, n.id FROM dag_nodes n WHERE @meta_kind IN ('phase', 'step')
  UNION ALL
  SELECT n.id, o.step_node_id FROM owner o JOIN dag_nodes n ON n.parent_node_id = o.node_id
   WHERE COALESCE(@meta_kind, '') NOT IN ('phase', 'step')
)
SELECT e.id, e.run_id, o.step_node_id AS node_id, e.node_id AS own_node_id, e.step_id, e.session_id, e.parent_event_id,
       e.event_type, e.event_subtype, e.agent_name, e.agent_role, e.timestamp, e.started_at, e.completed_at,
       e.duration_ms, e.inputs, e.outputs, e.error_message, e.meta, e.execution_order, e.depth, e.status
  FROM execution_events e JOIN owner o ON o.node_id = e.node_id;
