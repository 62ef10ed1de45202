-- All attempts of each step, in order, with why and with what hypothesis it was done again.
CREATE VIEW redo_chain AS
SELECT n.run_id, COALESCE(s.step_id, @meta_source, n.id) AS step_id, n.id AS node_id, COALESCE(n.attempt, 1) AS attempt,
       @meta_step_number AS step_number, @meta_goal AS goal, n.status, @meta_branch_name AS branch_name,
       @meta_hypothesis AS hypothesis, @meta_reason AS reason, e.from_node_id AS previous_node_id,
       n.start_time_unix_nano, n.end_time_unix_nano
  FROM dag_nodes n LEFT JOIN execution_events s ON s.id = n.id
  LEFT JOIN dag_edges e ON e.to_node_id = n.id AND e.dependency_type = 'conditional'
 WHERE n.node_type IN ('step', 'branch_point');
