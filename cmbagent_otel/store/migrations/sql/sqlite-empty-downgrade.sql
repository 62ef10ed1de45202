-- For a database that held nothing.
-- Run by: sqlite3 -bail FILE < sqlite-empty-downgrade.sql
-- Copy the file first.

BEGIN IMMEDIATE;

DROP VIEW IF EXISTS redo_chain;

DROP VIEW IF EXISTS run_summary;

DROP VIEW IF EXISTS step_events;

DROP VIEW IF EXISTS dag_steps;

DROP VIEW IF EXISTS dag_tree;

DROP TABLE messages;

DROP TABLE files;

DROP TABLE execution_events;

DROP TABLE dag_edges;

DROP TABLE cost_records;

DROP TABLE workflow_steps;

DROP TABLE run_traces;

DROP TABLE dag_nodes;

DROP TABLE workflow_runs;

DROP TABLE sessions;

DROP TABLE rejected_records;

DROP TABLE cmbagent_otel_added;

DROP TABLE cmbagent_otel_version;

COMMIT;
