-- For a database that holds CMBAgent's tables; no dag_nodes.parent_node_id, no workflow_runs.stage_number.
-- Run by: sqlite3 -bail FILE < sqlite-flat-upgrade.sql
-- Copy the file first.

BEGIN IMMEDIATE;

CREATE TABLE cmbagent_otel_added (
  kind VARCHAR(20) NOT NULL,
  table_name VARCHAR(63) NOT NULL,
  name VARCHAR(63) NOT NULL,
  PRIMARY KEY (kind, table_name, name)
);

CREATE TABLE rejected_records (
  id INTEGER NOT NULL,
  digest VARCHAR(64) NOT NULL,
  rejected_at TIMESTAMP NOT NULL,
  reason TEXT NOT NULL,
  trace_id TEXT,
  span_id TEXT,
  name TEXT,
  record TEXT,
  CONSTRAINT pk_rejected_records PRIMARY KEY (id),
  CONSTRAINT uq_rejected_records_digest UNIQUE (digest)
);

INSERT INTO cmbagent_otel_added VALUES ('table', 'rejected_records', '');

ALTER TABLE workflow_runs ADD COLUMN parent_run_id VARCHAR(36) REFERENCES workflow_runs (id) ON DELETE SET NULL;

INSERT INTO cmbagent_otel_added VALUES ('column', 'workflow_runs', 'parent_run_id');

ALTER TABLE workflow_runs ADD COLUMN stage_number INTEGER;

INSERT INTO cmbagent_otel_added VALUES ('column', 'workflow_runs', 'stage_number');

ALTER TABLE workflow_runs ADD COLUMN stage_name VARCHAR(100);

INSERT INTO cmbagent_otel_added VALUES ('column', 'workflow_runs', 'stage_name');

ALTER TABLE dag_nodes ADD COLUMN parent_node_id VARCHAR(36) REFERENCES dag_nodes (id) ON DELETE CASCADE;

INSERT INTO cmbagent_otel_added VALUES ('column', 'dag_nodes', 'parent_node_id');

ALTER TABLE dag_nodes ADD COLUMN depth INTEGER;

INSERT INTO cmbagent_otel_added VALUES ('column', 'dag_nodes', 'depth');

ALTER TABLE dag_nodes ADD COLUMN trace_id VARCHAR(32);

INSERT INTO cmbagent_otel_added VALUES ('column', 'dag_nodes', 'trace_id');

ALTER TABLE dag_nodes ADD COLUMN span_id VARCHAR(16);

INSERT INTO cmbagent_otel_added VALUES ('column', 'dag_nodes', 'span_id');

ALTER TABLE dag_nodes ADD COLUMN name TEXT;

INSERT INTO cmbagent_otel_added VALUES ('column', 'dag_nodes', 'name');

ALTER TABLE dag_nodes ADD COLUMN start_time_unix_nano BIGINT;

INSERT INTO cmbagent_otel_added VALUES ('column', 'dag_nodes', 'start_time_unix_nano');

ALTER TABLE dag_nodes ADD COLUMN end_time_unix_nano BIGINT;

INSERT INTO cmbagent_otel_added VALUES ('column', 'dag_nodes', 'end_time_unix_nano');

ALTER TABLE dag_nodes ADD COLUMN input_tokens BIGINT;

INSERT INTO cmbagent_otel_added VALUES ('column', 'dag_nodes', 'input_tokens');

ALTER TABLE dag_nodes ADD COLUMN output_tokens BIGINT;

INSERT INTO cmbagent_otel_added VALUES ('column', 'dag_nodes', 'output_tokens');

ALTER TABLE dag_nodes ADD COLUMN cost_usd FLOAT;

INSERT INTO cmbagent_otel_added VALUES ('column', 'dag_nodes', 'cost_usd');

ALTER TABLE dag_nodes ADD COLUMN attempt INTEGER;

INSERT INTO cmbagent_otel_added VALUES ('column', 'dag_nodes', 'attempt');

CREATE TABLE run_traces (
  trace_id VARCHAR(32) NOT NULL,
  run_id VARCHAR(36) NOT NULL,
  start_time_unix_nano BIGINT,
  span_id VARCHAR(16),
  CONSTRAINT pk_run_traces PRIMARY KEY (trace_id, run_id),
  CONSTRAINT fk_run_traces_run_id FOREIGN KEY(run_id) REFERENCES workflow_runs (id) ON DELETE CASCADE
);

CREATE INDEX ix_run_traces_run_id ON run_traces (run_id);

INSERT INTO cmbagent_otel_added VALUES ('table', 'run_traces', '');

ALTER TABLE cost_records ADD COLUMN agent_name VARCHAR(200);

INSERT INTO cmbagent_otel_added VALUES ('column', 'cost_records', 'agent_name');

ALTER TABLE cost_records ADD COLUMN parent_run_id VARCHAR(36) REFERENCES workflow_runs (id) ON DELETE SET NULL;

INSERT INTO cmbagent_otel_added VALUES ('column', 'cost_records', 'parent_run_id');

ALTER TABLE cost_records ADD COLUMN source_id VARCHAR(36);

INSERT INTO cmbagent_otel_added VALUES ('column', 'cost_records', 'source_id');

ALTER TABLE dag_edges ADD COLUMN run_id VARCHAR(36) REFERENCES workflow_runs (id) ON DELETE CASCADE;

INSERT INTO cmbagent_otel_added VALUES ('column', 'dag_edges', 'run_id');

ALTER TABLE execution_events ADD COLUMN trace_id VARCHAR(32);

INSERT INTO cmbagent_otel_added VALUES ('column', 'execution_events', 'trace_id');

ALTER TABLE execution_events ADD COLUMN span_id VARCHAR(16);

INSERT INTO cmbagent_otel_added VALUES ('column', 'execution_events', 'span_id');

ALTER TABLE files ADD COLUMN session_id VARCHAR(36) REFERENCES sessions (id) ON DELETE CASCADE;

INSERT INTO cmbagent_otel_added VALUES ('column', 'files', 'session_id');

ALTER TABLE files ADD COLUMN source_id VARCHAR(36);

INSERT INTO cmbagent_otel_added VALUES ('column', 'files', 'source_id');

CREATE INDEX ix_workflow_runs_parent_run_id ON workflow_runs (parent_run_id);

INSERT INTO cmbagent_otel_added VALUES ('index', 'workflow_runs', 'ix_workflow_runs_parent_run_id');

CREATE INDEX idx_dag_nodes_parent ON dag_nodes (parent_node_id);

INSERT INTO cmbagent_otel_added VALUES ('index', 'dag_nodes', 'idx_dag_nodes_parent');

CREATE INDEX idx_dag_nodes_siblings ON dag_nodes (parent_node_id, start_time_unix_nano);

INSERT INTO cmbagent_otel_added VALUES ('index', 'dag_nodes', 'idx_dag_nodes_siblings');

CREATE INDEX idx_dag_nodes_steps ON dag_nodes (run_id, start_time_unix_nano) WHERE node_type IN ('step', 'branch_point');

INSERT INTO cmbagent_otel_added VALUES ('index', 'dag_nodes', 'idx_dag_nodes_steps');

CREATE INDEX idx_dag_nodes_tops ON dag_nodes (run_id, start_time_unix_nano) WHERE parent_node_id IS NULL;

INSERT INTO cmbagent_otel_added VALUES ('index', 'dag_nodes', 'idx_dag_nodes_tops');

CREATE INDEX ix_cost_records_agent_name ON cost_records (agent_name);

INSERT INTO cmbagent_otel_added VALUES ('index', 'cost_records', 'ix_cost_records_agent_name');

CREATE INDEX ix_cost_records_parent_run_id ON cost_records (parent_run_id);

INSERT INTO cmbagent_otel_added VALUES ('index', 'cost_records', 'ix_cost_records_parent_run_id');

CREATE UNIQUE INDEX uq_cost_records_source_id ON cost_records (source_id);

INSERT INTO cmbagent_otel_added VALUES ('index', 'cost_records', 'uq_cost_records_source_id');

CREATE INDEX ix_dag_edges_run_id ON dag_edges (run_id);

INSERT INTO cmbagent_otel_added VALUES ('index', 'dag_edges', 'ix_dag_edges_run_id');

CREATE UNIQUE INDEX uq_dag_edges_to_from_type ON dag_edges (to_node_id, from_node_id, dependency_type) WHERE run_id IS NOT NULL;

INSERT INTO cmbagent_otel_added VALUES ('index', 'dag_edges', 'uq_dag_edges_to_from_type');

CREATE INDEX ix_files_session_id ON files (session_id);

INSERT INTO cmbagent_otel_added VALUES ('index', 'files', 'ix_files_session_id');

CREATE UNIQUE INDEX uq_files_source_id ON files (source_id);

INSERT INTO cmbagent_otel_added VALUES ('index', 'files', 'uq_files_source_id');

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

INSERT INTO cmbagent_otel_added VALUES ('view', '', 'dag_tree');

-- Phases and steps (with their redos) in run order: what CMBAgent's own pages expect of a DAG.
CREATE VIEW dag_steps AS
SELECT n.id, n.run_id, n.session_id, n.parent_node_id, n.node_type, n.agent, n.status,
       CAST(ROW_NUMBER() OVER (PARTITION BY n.run_id ORDER BY n.start_time_unix_nano, n.span_id) - 1 AS integer)
         AS order_index,
       n.depth, n.meta, n.attempt, n.start_time_unix_nano, n.end_time_unix_nano
  FROM dag_nodes n
 WHERE json_extract(n.meta, '$.kind') IN ('phase', 'step');

INSERT INTO cmbagent_otel_added VALUES ('view', '', 'dag_steps');

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
    SELECT n.id, n.id FROM dag_nodes n WHERE n.run_id = r.id AND json_extract(n.meta, '$.kind') IN ('phase', 'step')
    UNION ALL
    SELECT n.id, o.step_node_id FROM owner o CROSS JOIN dag_nodes n ON n.parent_node_id = o.node_id AND +n.run_id = r.id
     WHERE likelihood(o.step_node_id <> '', 0.00001) AND COALESCE(json_extract(n.meta, '$.kind'), '') NOT IN ('phase', 'step')
  )
  SELECT json_group_array(json_array(node_id, step_node_id)) FROM owner
 )) o
  JOIN execution_events e ON e.node_id = json_extract(o.value, '$[0]');

INSERT INTO cmbagent_otel_added VALUES ('view', '', 'step_events');

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
       CAST((MAX(n.end_time_unix_nano) - MIN(n.start_time_unix_nano)) AS REAL) / 1000000000 AS wall_seconds
  FROM workflow_runs r LEFT JOIN dag_nodes n ON n.run_id = r.id
 GROUP BY r.id;

INSERT INTO cmbagent_otel_added VALUES ('view', '', 'run_summary');

-- All attempts of each step, in order, with why and with what hypothesis it was done again.
CREATE VIEW redo_chain AS
SELECT n.run_id, COALESCE(s.step_id, json_extract(n.meta, '$.source_node_id'), n.id) AS step_id, n.id AS node_id, COALESCE(n.attempt, 1) AS attempt,
       json_extract(n.meta, '$.step_number') AS step_number, json_extract(n.meta, '$.goal') AS goal, n.status, json_extract(n.meta, '$.branch_name') AS branch_name,
       json_extract(n.meta, '$.hypothesis') AS hypothesis, json_extract(n.meta, '$.reason') AS reason, e.from_node_id AS previous_node_id,
       n.start_time_unix_nano, n.end_time_unix_nano
  FROM dag_nodes n LEFT JOIN execution_events s ON s.id = n.id
  LEFT JOIN dag_edges e ON e.to_node_id = n.id AND e.dependency_type = 'conditional'
 WHERE n.node_type IN ('step', 'branch_point');

INSERT INTO cmbagent_otel_added VALUES ('view', '', 'redo_chain');

CREATE TABLE IF NOT EXISTS cmbagent_otel_version (
  version_num VARCHAR(32) NOT NULL,
  CONSTRAINT cmbagent_otel_version_pkc PRIMARY KEY (version_num)
);

INSERT INTO cmbagent_otel_version SELECT '0001' WHERE NOT EXISTS (SELECT 1 FROM cmbagent_otel_version);

UPDATE cmbagent_otel_version SET version_num = '0001';

COMMIT;
