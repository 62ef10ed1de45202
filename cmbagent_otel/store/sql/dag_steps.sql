-- Phases and steps (with their redos) in run order: what CMBAgent's own pages expect of a DAG.
CREATE VIEW dag_steps AS
SELECT n.id, n.run_id, n.session_id, n.parent_node_id, n.node_type, n.agent, n.status,
       CAST(ROW_NUMBER() OVER (PARTITION BY n.run_id ORDER BY n.start_time_unix_nano, n.span_id) - 1 AS integer)
         AS order_index,
       n.depth, n.meta, n.attempt, n.start_time_unix_nano, n.end_time_unix_nano
  FROM dag_nodes n
 WHERE @meta_kind IN ('phase', 'step');
