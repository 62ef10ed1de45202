-- One row a run: what it was, how it went, what it took. An error counts once, where it happened.
-- COALESCE keeps the index of status out: a node has few children, a database many failures.
CREATE VIEW run_summary AS
SELECT r.id AS run_id, r.session_id, r.mode, r.task_description, r.status, r.started_at, r.completed_at,
       COUNT(n.id) AS nodes,
       SUM(CASE WHEN n.node_type = 'step' THEN 1 ELSE 0 END) AS steps,
       SUM(CASE WHEN n.node_type = 'branch_point' THEN 1 ELSE 0 END) AS redos,
       SUM(CASE WHEN n.status = 'failed' AND NOT EXISTS (
             SELECT 1 FROM dag_nodes c WHERE c.parent_node_id = n.id AND COALESCE(c.status, '') = 'failed'
           ) THEN 1 ELSE 0 END) AS errors,
       SUM(CASE WHEN n.node_type = 'llm' THEN 1 ELSE 0 END) AS llm_calls,
       SUM(CASE WHEN n.node_type = 'tool' THEN 1 ELSE 0 END) AS tool_calls,
       SUM(CASE WHEN n.node_type = 'code_exec' THEN 1 ELSE 0 END) AS code_executions,
       SUM(n.input_tokens) AS input_tokens,
       SUM(n.output_tokens) AS output_tokens,
       SUM(n.cost_usd) AS cost_usd,
       @run_wall_seconds AS wall_seconds
  FROM workflow_runs r LEFT JOIN dag_nodes n ON n.run_id = r.id
 GROUP BY r.id;
