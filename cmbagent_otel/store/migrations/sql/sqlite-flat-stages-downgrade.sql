-- For a database that held CMBAgent's tables; workflow_runs.stage_number, but no dag_nodes.parent_node_id.
-- Run by: sqlite3 -bail FILE < sqlite-flat-stages-downgrade.sql
-- Copy the file first.

BEGIN IMMEDIATE;

DROP VIEW IF EXISTS redo_chain;

DROP VIEW IF EXISTS run_summary;

DROP VIEW IF EXISTS step_events;

DROP VIEW IF EXISTS dag_steps;

DROP VIEW IF EXISTS dag_tree;

DROP INDEX IF EXISTS uq_cost_records_source_id;

DROP INDEX IF EXISTS ix_dag_edges_run_id;

DROP INDEX IF EXISTS uq_dag_edges_to_from_type;

DROP INDEX IF EXISTS idx_dag_nodes_parent;

DROP INDEX IF EXISTS idx_dag_nodes_siblings;

DROP INDEX IF EXISTS idx_dag_nodes_steps;

DROP INDEX IF EXISTS idx_dag_nodes_tops;

DROP INDEX IF EXISTS uq_files_source_id;

ALTER TABLE cost_records DROP COLUMN source_id;

ALTER TABLE dag_edges DROP COLUMN run_id;

ALTER TABLE dag_nodes DROP COLUMN attempt;

ALTER TABLE dag_nodes DROP COLUMN cost_usd;

ALTER TABLE dag_nodes DROP COLUMN depth;

ALTER TABLE dag_nodes DROP COLUMN end_time_unix_nano;

ALTER TABLE dag_nodes DROP COLUMN input_tokens;

ALTER TABLE dag_nodes DROP COLUMN name;

ALTER TABLE dag_nodes DROP COLUMN output_tokens;

ALTER TABLE dag_nodes DROP COLUMN parent_node_id;

ALTER TABLE dag_nodes DROP COLUMN span_id;

ALTER TABLE dag_nodes DROP COLUMN start_time_unix_nano;

ALTER TABLE dag_nodes DROP COLUMN trace_id;

ALTER TABLE execution_events DROP COLUMN span_id;

ALTER TABLE execution_events DROP COLUMN trace_id;

ALTER TABLE files DROP COLUMN source_id;

DROP TABLE run_traces;

DROP TABLE rejected_records;

DROP TABLE cmbagent_otel_added;

DROP TABLE cmbagent_otel_version;

COMMIT;
