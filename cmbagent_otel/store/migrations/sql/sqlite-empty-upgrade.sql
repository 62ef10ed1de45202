-- For a database that holds nothing.
-- Run by: sqlite3 -bail FILE < sqlite-empty-upgrade.sql
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

CREATE TABLE sessions (
  id VARCHAR(36) NOT NULL,
  user_id VARCHAR(36),
  name VARCHAR(255) NOT NULL,
  created_at TIMESTAMP NOT NULL,
  last_active_at TIMESTAMP NOT NULL,
  status VARCHAR(50) DEFAULT 'active' NOT NULL,
  meta JSON,
  resource_limits JSON,
  CONSTRAINT pk_sessions PRIMARY KEY (id)
);

CREATE INDEX idx_sessions_user_status ON sessions (user_id, status);

CREATE INDEX ix_sessions_status ON sessions (status);

CREATE INDEX ix_sessions_user_id ON sessions (user_id);

INSERT INTO cmbagent_otel_added VALUES ('table', 'sessions', '');

CREATE TABLE workflow_runs (
  id VARCHAR(36) NOT NULL,
  session_id VARCHAR(36) NOT NULL,
  project_id VARCHAR(36),
  mode VARCHAR(50) NOT NULL,
  agent VARCHAR(100) NOT NULL,
  model VARCHAR(100) NOT NULL,
  status VARCHAR(50) DEFAULT 'draft' NOT NULL,
  started_at TIMESTAMP,
  completed_at TIMESTAMP,
  last_heartbeat_at TIMESTAMP,
  checkpoint_frequency_minutes INTEGER DEFAULT 10 NOT NULL,
  task_description TEXT,
  meta JSON,
  branch_parent_id VARCHAR(36),
  is_branch BOOLEAN DEFAULT false NOT NULL,
  branch_depth INTEGER DEFAULT 0 NOT NULL,
  parent_run_id VARCHAR(36),
  stage_number INTEGER,
  stage_name VARCHAR(100),
  CONSTRAINT pk_workflow_runs PRIMARY KEY (id),
  CONSTRAINT fk_workflow_runs_session_id FOREIGN KEY(session_id) REFERENCES sessions (id) ON DELETE CASCADE,
  CONSTRAINT fk_workflow_runs_branch_parent_id FOREIGN KEY(branch_parent_id) REFERENCES workflow_runs (id) ON DELETE SET NULL,
  CONSTRAINT fk_workflow_runs_parent_run_id FOREIGN KEY(parent_run_id) REFERENCES workflow_runs (id) ON DELETE SET NULL
);

CREATE INDEX idx_workflow_runs_agent_status ON workflow_runs (agent, status);

CREATE INDEX idx_workflow_runs_session_status ON workflow_runs (session_id, status);

CREATE INDEX ix_workflow_runs_agent ON workflow_runs (agent);

CREATE INDEX ix_workflow_runs_branch_parent_id ON workflow_runs (branch_parent_id);

CREATE INDEX ix_workflow_runs_mode ON workflow_runs (mode);

CREATE INDEX ix_workflow_runs_parent_run_id ON workflow_runs (parent_run_id);

CREATE INDEX ix_workflow_runs_session_id ON workflow_runs (session_id);

CREATE INDEX ix_workflow_runs_status ON workflow_runs (status);

INSERT INTO cmbagent_otel_added VALUES ('table', 'workflow_runs', '');

CREATE TABLE dag_nodes (
  id VARCHAR(36) NOT NULL,
  run_id VARCHAR(36) NOT NULL,
  session_id VARCHAR(36) NOT NULL,
  parent_node_id VARCHAR(36),
  node_type VARCHAR(50) NOT NULL,
  agent VARCHAR(100),
  status VARCHAR(50) DEFAULT 'pending' NOT NULL,
  order_index INTEGER NOT NULL,
  depth INTEGER,
  meta JSON,
  trace_id VARCHAR(32),
  span_id VARCHAR(16),
  name TEXT,
  start_time_unix_nano BIGINT,
  end_time_unix_nano BIGINT,
  input_tokens BIGINT,
  output_tokens BIGINT,
  cost_usd FLOAT,
  attempt INTEGER,
  CONSTRAINT pk_dag_nodes PRIMARY KEY (id),
  CONSTRAINT fk_dag_nodes_run_id FOREIGN KEY(run_id) REFERENCES workflow_runs (id) ON DELETE CASCADE,
  CONSTRAINT fk_dag_nodes_session_id FOREIGN KEY(session_id) REFERENCES sessions (id) ON DELETE CASCADE,
  CONSTRAINT fk_parent_node FOREIGN KEY(parent_node_id) REFERENCES dag_nodes (id) ON DELETE CASCADE
);

CREATE INDEX idx_dag_nodes_parent ON dag_nodes (parent_node_id);

CREATE INDEX idx_dag_nodes_run_order ON dag_nodes (run_id, order_index);

CREATE INDEX idx_dag_nodes_siblings ON dag_nodes (parent_node_id, start_time_unix_nano);

CREATE INDEX idx_dag_nodes_steps ON dag_nodes (run_id, start_time_unix_nano) WHERE node_type IN ('step', 'branch_point');

CREATE INDEX idx_dag_nodes_tops ON dag_nodes (run_id, start_time_unix_nano) WHERE parent_node_id IS NULL;

CREATE INDEX idx_dag_nodes_type_status ON dag_nodes (node_type, status);

CREATE INDEX ix_dag_nodes_node_type ON dag_nodes (node_type);

CREATE INDEX ix_dag_nodes_run_id ON dag_nodes (run_id);

CREATE INDEX ix_dag_nodes_session_id ON dag_nodes (session_id);

CREATE INDEX ix_dag_nodes_status ON dag_nodes (status);

INSERT INTO cmbagent_otel_added VALUES ('table', 'dag_nodes', '');

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

CREATE TABLE workflow_steps (
  id VARCHAR(36) NOT NULL,
  run_id VARCHAR(36) NOT NULL,
  session_id VARCHAR(36) NOT NULL,
  step_number INTEGER NOT NULL,
  goal TEXT NOT NULL,
  summary TEXT,
  status VARCHAR(50) DEFAULT 'pending' NOT NULL,
  started_at TIMESTAMP,
  completed_at TIMESTAMP,
  progress_percentage INTEGER DEFAULT 0 NOT NULL,
  inputs JSON,
  outputs JSON,
  error_message TEXT,
  meta JSON,
  CONSTRAINT pk_workflow_steps PRIMARY KEY (id),
  CONSTRAINT check_progress_range CHECK (progress_percentage >= 0 AND progress_percentage <= 100),
  CONSTRAINT fk_workflow_steps_run_id FOREIGN KEY(run_id) REFERENCES workflow_runs (id) ON DELETE CASCADE,
  CONSTRAINT fk_workflow_steps_session_id FOREIGN KEY(session_id) REFERENCES sessions (id) ON DELETE CASCADE
);

CREATE INDEX idx_workflow_steps_run_number ON workflow_steps (run_id, step_number);

CREATE INDEX idx_workflow_steps_session_status ON workflow_steps (session_id, status);

CREATE INDEX ix_workflow_steps_run_id ON workflow_steps (run_id);

CREATE INDEX ix_workflow_steps_session_id ON workflow_steps (session_id);

CREATE INDEX ix_workflow_steps_status ON workflow_steps (status);

INSERT INTO cmbagent_otel_added VALUES ('table', 'workflow_steps', '');

CREATE TABLE cost_records (
  id INTEGER NOT NULL,
  run_id VARCHAR(36) NOT NULL,
  step_id VARCHAR(36),
  session_id VARCHAR(36) NOT NULL,
  model VARCHAR(100) NOT NULL,
  agent_name VARCHAR(200),
  parent_run_id VARCHAR(36),
  prompt_tokens INTEGER DEFAULT 0 NOT NULL,
  completion_tokens INTEGER DEFAULT 0 NOT NULL,
  total_tokens INTEGER DEFAULT 0 NOT NULL,
  cost_usd NUMERIC(10, 6) DEFAULT (0.0) NOT NULL,
  timestamp TIMESTAMP NOT NULL,
  source_id VARCHAR(36),
  CONSTRAINT pk_cost_records PRIMARY KEY (id),
  CONSTRAINT fk_cost_records_run_id FOREIGN KEY(run_id) REFERENCES workflow_runs (id) ON DELETE CASCADE,
  CONSTRAINT fk_cost_records_step_id FOREIGN KEY(step_id) REFERENCES workflow_steps (id) ON DELETE CASCADE,
  CONSTRAINT fk_cost_records_session_id FOREIGN KEY(session_id) REFERENCES sessions (id) ON DELETE CASCADE,
  CONSTRAINT fk_cost_records_parent_run_id FOREIGN KEY(parent_run_id) REFERENCES workflow_runs (id) ON DELETE SET NULL
);

CREATE INDEX idx_cost_records_run_timestamp ON cost_records (run_id, timestamp);

CREATE INDEX idx_cost_records_session_timestamp ON cost_records (session_id, timestamp);

CREATE INDEX ix_cost_records_agent_name ON cost_records (agent_name);

CREATE INDEX ix_cost_records_model ON cost_records (model);

CREATE INDEX ix_cost_records_parent_run_id ON cost_records (parent_run_id);

CREATE INDEX ix_cost_records_run_id ON cost_records (run_id);

CREATE INDEX ix_cost_records_session_id ON cost_records (session_id);

CREATE INDEX ix_cost_records_step_id ON cost_records (step_id);

CREATE UNIQUE INDEX uq_cost_records_source_id ON cost_records (source_id);

INSERT INTO cmbagent_otel_added VALUES ('table', 'cost_records', '');

CREATE TABLE dag_edges (
  id INTEGER NOT NULL,
  from_node_id VARCHAR(36) NOT NULL,
  to_node_id VARCHAR(36) NOT NULL,
  dependency_type VARCHAR(50) DEFAULT 'sequential' NOT NULL,
  condition TEXT,
  run_id VARCHAR(36),
  CONSTRAINT pk_dag_edges PRIMARY KEY (id),
  CONSTRAINT fk_dag_edges_from_node_id FOREIGN KEY(from_node_id) REFERENCES dag_nodes (id) ON DELETE CASCADE,
  CONSTRAINT fk_dag_edges_to_node_id FOREIGN KEY(to_node_id) REFERENCES dag_nodes (id) ON DELETE CASCADE,
  CONSTRAINT fk_dag_edges_run_id FOREIGN KEY(run_id) REFERENCES workflow_runs (id) ON DELETE CASCADE
);

CREATE INDEX idx_dag_edges_from_to ON dag_edges (from_node_id, to_node_id);

CREATE INDEX ix_dag_edges_from_node_id ON dag_edges (from_node_id);

CREATE INDEX ix_dag_edges_run_id ON dag_edges (run_id);

CREATE INDEX ix_dag_edges_to_node_id ON dag_edges (to_node_id);

CREATE UNIQUE INDEX uq_dag_edges_to_from_type ON dag_edges (to_node_id, from_node_id, dependency_type) WHERE run_id IS NOT NULL;

INSERT INTO cmbagent_otel_added VALUES ('table', 'dag_edges', '');

CREATE TABLE execution_events (
  id VARCHAR(36) NOT NULL,
  run_id VARCHAR(36) NOT NULL,
  node_id VARCHAR(36),
  step_id VARCHAR(36),
  session_id VARCHAR(36) NOT NULL,
  parent_event_id VARCHAR(36),
  event_type VARCHAR(50) NOT NULL,
  event_subtype VARCHAR(50),
  agent_name VARCHAR(100),
  agent_role VARCHAR(50),
  timestamp TIMESTAMP NOT NULL,
  started_at TIMESTAMP,
  completed_at TIMESTAMP,
  duration_ms INTEGER,
  inputs JSON,
  outputs JSON,
  error_message TEXT,
  meta JSON,
  execution_order INTEGER NOT NULL,
  depth INTEGER DEFAULT 0 NOT NULL,
  status VARCHAR(50) DEFAULT 'completed' NOT NULL,
  trace_id VARCHAR(32),
  span_id VARCHAR(16),
  CONSTRAINT pk_execution_events PRIMARY KEY (id),
  CONSTRAINT fk_execution_events_run_id FOREIGN KEY(run_id) REFERENCES workflow_runs (id) ON DELETE CASCADE,
  CONSTRAINT fk_execution_events_node_id FOREIGN KEY(node_id) REFERENCES dag_nodes (id) ON DELETE CASCADE,
  CONSTRAINT fk_execution_events_step_id FOREIGN KEY(step_id) REFERENCES workflow_steps (id) ON DELETE SET NULL,
  CONSTRAINT fk_execution_events_session_id FOREIGN KEY(session_id) REFERENCES sessions (id) ON DELETE CASCADE,
  CONSTRAINT fk_execution_events_parent_event_id FOREIGN KEY(parent_event_id) REFERENCES execution_events (id) ON DELETE SET NULL
);

CREATE INDEX idx_events_node_order ON execution_events (node_id, execution_order);

CREATE INDEX idx_events_parent ON execution_events (parent_event_id);

CREATE INDEX idx_events_run_order ON execution_events (run_id, execution_order);

CREATE INDEX idx_events_session_timestamp ON execution_events (session_id, timestamp);

CREATE INDEX idx_events_type_subtype ON execution_events (event_type, event_subtype);

CREATE INDEX ix_execution_events_agent_name ON execution_events (agent_name);

CREATE INDEX ix_execution_events_event_type ON execution_events (event_type);

CREATE INDEX ix_execution_events_node_id ON execution_events (node_id);

CREATE INDEX ix_execution_events_parent_event_id ON execution_events (parent_event_id);

CREATE INDEX ix_execution_events_run_id ON execution_events (run_id);

CREATE INDEX ix_execution_events_session_id ON execution_events (session_id);

CREATE INDEX ix_execution_events_step_id ON execution_events (step_id);

CREATE INDEX ix_execution_events_timestamp ON execution_events (timestamp);

INSERT INTO cmbagent_otel_added VALUES ('table', 'execution_events', '');

CREATE TABLE files (
  id VARCHAR(36) NOT NULL,
  run_id VARCHAR(36) NOT NULL,
  session_id VARCHAR(36),
  step_id VARCHAR(36),
  event_id VARCHAR(36),
  node_id VARCHAR(36),
  file_path VARCHAR(1000) NOT NULL,
  file_type VARCHAR(50) NOT NULL,
  size_bytes BIGINT,
  created_at TIMESTAMP NOT NULL,
  workflow_phase VARCHAR(50),
  is_final_output BOOLEAN DEFAULT false NOT NULL,
  content_hash VARCHAR(64),
  generating_agent VARCHAR(100),
  generating_code_hash VARCHAR(64),
  priority VARCHAR(20),
  meta JSON,
  source_id VARCHAR(36),
  CONSTRAINT pk_files PRIMARY KEY (id),
  CONSTRAINT fk_files_run_id FOREIGN KEY(run_id) REFERENCES workflow_runs (id) ON DELETE CASCADE,
  CONSTRAINT fk_files_session_id FOREIGN KEY(session_id) REFERENCES sessions (id) ON DELETE CASCADE,
  CONSTRAINT fk_files_step_id FOREIGN KEY(step_id) REFERENCES workflow_steps (id) ON DELETE CASCADE,
  CONSTRAINT fk_files_event_id FOREIGN KEY(event_id) REFERENCES execution_events (id) ON DELETE SET NULL,
  CONSTRAINT fk_files_node_id FOREIGN KEY(node_id) REFERENCES dag_nodes (id) ON DELETE CASCADE
);

CREATE INDEX idx_files_created ON files (created_at);

CREATE INDEX idx_files_final_output ON files (run_id, is_final_output);

CREATE INDEX idx_files_phase ON files (run_id, workflow_phase);

CREATE INDEX idx_files_run_type ON files (run_id, file_type);

CREATE INDEX ix_files_event_id ON files (event_id);

CREATE INDEX ix_files_file_type ON files (file_type);

CREATE INDEX ix_files_node_id ON files (node_id);

CREATE INDEX ix_files_run_id ON files (run_id);

CREATE INDEX ix_files_session_id ON files (session_id);

CREATE INDEX ix_files_step_id ON files (step_id);

CREATE INDEX ix_files_workflow_phase ON files (workflow_phase);

CREATE UNIQUE INDEX uq_files_source_id ON files (source_id);

INSERT INTO cmbagent_otel_added VALUES ('table', 'files', '');

CREATE TABLE messages (
  id INTEGER NOT NULL,
  run_id VARCHAR(36) NOT NULL,
  step_id VARCHAR(36),
  event_id VARCHAR(36),
  node_id VARCHAR(36),
  sender VARCHAR(100) NOT NULL,
  recipient VARCHAR(100) NOT NULL,
  content TEXT NOT NULL,
  timestamp TIMESTAMP NOT NULL,
  tokens INTEGER,
  meta JSON,
  CONSTRAINT pk_messages PRIMARY KEY (id),
  CONSTRAINT fk_messages_run_id FOREIGN KEY(run_id) REFERENCES workflow_runs (id) ON DELETE CASCADE,
  CONSTRAINT fk_messages_step_id FOREIGN KEY(step_id) REFERENCES workflow_steps (id) ON DELETE CASCADE,
  CONSTRAINT fk_messages_event_id FOREIGN KEY(event_id) REFERENCES execution_events (id) ON DELETE SET NULL,
  CONSTRAINT fk_messages_node_id FOREIGN KEY(node_id) REFERENCES dag_nodes (id) ON DELETE CASCADE
);

CREATE INDEX idx_messages_run_timestamp ON messages (run_id, timestamp);

CREATE INDEX idx_messages_sender_recipient ON messages (sender, recipient);

CREATE INDEX ix_messages_event_id ON messages (event_id);

CREATE INDEX ix_messages_node_id ON messages (node_id);

CREATE INDEX ix_messages_recipient ON messages (recipient);

CREATE INDEX ix_messages_run_id ON messages (run_id);

CREATE INDEX ix_messages_sender ON messages (sender);

CREATE INDEX ix_messages_step_id ON messages (step_id);

INSERT INTO cmbagent_otel_added VALUES ('table', 'messages', '');

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
