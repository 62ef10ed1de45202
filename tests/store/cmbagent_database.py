"""A database as CMBAgent (MARS) makes it, in plain SQL: its columns, keys and indexes, and a few rows."""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import Engine

_NODES = """
CREATE TABLE dag_nodes (id VARCHAR(36) PRIMARY KEY,
  run_id VARCHAR(36) NOT NULL REFERENCES workflow_runs (id) ON DELETE CASCADE,
  session_id VARCHAR(36) NOT NULL REFERENCES sessions (id) ON DELETE CASCADE, {parent}
  node_type VARCHAR(50) NOT NULL, agent VARCHAR(100), status VARCHAR(50) NOT NULL,
  order_index INTEGER NOT NULL, {depth} meta JSON);
"""
_PARENT = "parent_node_id VARCHAR(36) REFERENCES dag_nodes (id) ON DELETE CASCADE,"
_DEPTH = "depth INTEGER NOT NULL DEFAULT 0,"

_BEFORE = """
CREATE TABLE projects (id VARCHAR(36) PRIMARY KEY, name VARCHAR(255) NOT NULL);
CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL PRIMARY KEY);
CREATE TABLE sessions (id VARCHAR(36) PRIMARY KEY, user_id VARCHAR(36), name VARCHAR(255) NOT NULL,
  created_at TIMESTAMP NOT NULL, last_active_at TIMESTAMP NOT NULL, status VARCHAR(50) NOT NULL, meta JSON,
  resource_limits JSON);
CREATE TABLE workflow_runs (id VARCHAR(36) PRIMARY KEY,
  session_id VARCHAR(36) NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
  project_id VARCHAR(36) REFERENCES projects (id) ON DELETE SET NULL, mode VARCHAR(50) NOT NULL,
  agent VARCHAR(100) NOT NULL, model VARCHAR(100) NOT NULL, status VARCHAR(50) NOT NULL, started_at TIMESTAMP,
  completed_at TIMESTAMP, last_heartbeat_at TIMESTAMP, checkpoint_frequency_minutes INTEGER NOT NULL{ten},
  task_description TEXT, meta JSON,
  branch_parent_id VARCHAR(36) REFERENCES workflow_runs (id) ON DELETE SET NULL, is_branch BOOLEAN NOT NULL{false},
  branch_depth INTEGER NOT NULL{zero}{runs});
CREATE TABLE workflow_steps (id VARCHAR(36) PRIMARY KEY,
  run_id VARCHAR(36) NOT NULL REFERENCES workflow_runs (id) ON DELETE CASCADE,
  session_id VARCHAR(36) NOT NULL REFERENCES sessions (id) ON DELETE CASCADE, step_number INTEGER NOT NULL,
  goal TEXT NOT NULL, summary TEXT, status VARCHAR(50) NOT NULL, started_at TIMESTAMP, completed_at TIMESTAMP,
  progress_percentage INTEGER NOT NULL{zero}
    CONSTRAINT check_progress_range CHECK (progress_percentage BETWEEN 0 AND 100),
  inputs JSON, outputs JSON, error_message TEXT, meta JSON);
"""
_AFTER = """
CREATE TABLE dag_edges (id {key}, from_node_id VARCHAR(36) NOT NULL REFERENCES dag_nodes (id) ON DELETE CASCADE,
  to_node_id VARCHAR(36) NOT NULL REFERENCES dag_nodes (id) ON DELETE CASCADE, dependency_type VARCHAR(50) NOT NULL,
  condition TEXT);
CREATE TABLE execution_events (id VARCHAR(36) PRIMARY KEY,
  run_id VARCHAR(36) NOT NULL REFERENCES workflow_runs (id) ON DELETE CASCADE,
  node_id VARCHAR(36) REFERENCES dag_nodes (id) ON DELETE CASCADE,
  step_id VARCHAR(36) REFERENCES workflow_steps (id) ON DELETE SET NULL,
  session_id VARCHAR(36) NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
  parent_event_id VARCHAR(36) REFERENCES execution_events (id) ON DELETE SET NULL, event_type VARCHAR(50) NOT NULL,
  event_subtype VARCHAR(50), agent_name VARCHAR(100), agent_role VARCHAR(50), timestamp TIMESTAMP NOT NULL,
  started_at TIMESTAMP, completed_at TIMESTAMP, duration_ms INTEGER, inputs JSON, outputs JSON, error_message TEXT,
  meta JSON, execution_order INTEGER NOT NULL, depth INTEGER NOT NULL, status VARCHAR(50) NOT NULL);
CREATE TABLE messages (id {key}, run_id VARCHAR(36) NOT NULL REFERENCES workflow_runs (id) ON DELETE CASCADE,
  step_id VARCHAR(36) REFERENCES workflow_steps (id) ON DELETE CASCADE,
  event_id VARCHAR(36) REFERENCES execution_events (id) ON DELETE SET NULL,
  node_id VARCHAR(36) REFERENCES dag_nodes (id) ON DELETE CASCADE, sender VARCHAR(100) NOT NULL,
  recipient VARCHAR(100) NOT NULL, content TEXT NOT NULL, timestamp TIMESTAMP NOT NULL, tokens INTEGER, meta JSON);
CREATE TABLE cost_records (id {key}, run_id VARCHAR(36) NOT NULL REFERENCES workflow_runs (id) ON DELETE CASCADE,
  step_id VARCHAR(36) REFERENCES workflow_steps (id) ON DELETE CASCADE,
  session_id VARCHAR(36) NOT NULL REFERENCES sessions (id) ON DELETE CASCADE, model VARCHAR(100) NOT NULL,
  {costs} prompt_tokens INTEGER NOT NULL, completion_tokens INTEGER NOT NULL, total_tokens INTEGER NOT NULL,
  cost_usd NUMERIC(10, 6) NOT NULL, timestamp TIMESTAMP NOT NULL);
CREATE TABLE files (id VARCHAR(36) PRIMARY KEY,
  run_id VARCHAR(36) NOT NULL REFERENCES workflow_runs (id) ON DELETE CASCADE, {files}
  step_id VARCHAR(36) REFERENCES workflow_steps (id) ON DELETE CASCADE,
  event_id VARCHAR(36) REFERENCES execution_events (id) ON DELETE SET NULL,
  node_id VARCHAR(36) REFERENCES dag_nodes (id) ON DELETE CASCADE, file_path VARCHAR(1000) NOT NULL,
  file_type VARCHAR(50) NOT NULL, size_bytes BIGINT, created_at TIMESTAMP NOT NULL, workflow_phase VARCHAR(50),
  is_final_output BOOLEAN NOT NULL{false}, content_hash VARCHAR(64), generating_agent VARCHAR(100),
  generating_code_hash VARCHAR(64), priority VARCHAR(20), meta JSON);
"""
_RUNS = """, parent_run_id VARCHAR(36) REFERENCES workflow_runs (id) ON DELETE SET NULL, stage_number INTEGER,
  stage_name VARCHAR(100)"""
_COSTS = """agent_name VARCHAR(200), parent_run_id VARCHAR(36) REFERENCES workflow_runs (id) ON DELETE SET NULL,"""
_FILES = "session_id VARCHAR(36) REFERENCES sessions (id) ON DELETE CASCADE,"

_INDEXED = {
    "sessions": "user_id status",
    "workflow_runs": "session_id mode agent status branch_parent_id parent_run_id",
    "workflow_steps": "run_id session_id status",
    "dag_nodes": "run_id session_id parent_node_id node_type status",
    "dag_edges": "from_node_id to_node_id",
    "execution_events": "run_id node_id step_id session_id parent_event_id event_type agent_name timestamp",
    "messages": "run_id step_id event_id node_id sender recipient",
    "cost_records": "run_id step_id session_id model agent_name parent_run_id",
    "files": "run_id session_id step_id event_id node_id file_type workflow_phase",
}
_NAMED = """
idx_sessions_user_status ON sessions (user_id, status)
idx_workflow_runs_session_status ON workflow_runs (session_id, status)
idx_workflow_runs_agent_status ON workflow_runs (agent, status)
idx_workflow_steps_run_number ON workflow_steps (run_id, step_number)
idx_workflow_steps_session_status ON workflow_steps (session_id, status)
idx_dag_nodes_run_order ON dag_nodes (run_id, order_index)
idx_dag_nodes_type_status ON dag_nodes (node_type, status)
idx_dag_nodes_parent ON dag_nodes (parent_node_id)
idx_dag_edges_from_to ON dag_edges (from_node_id, to_node_id)
idx_events_run_order ON execution_events (run_id, execution_order)
idx_events_node_order ON execution_events (node_id, execution_order)
idx_events_type_subtype ON execution_events (event_type, event_subtype)
idx_events_session_timestamp ON execution_events (session_id, timestamp)
idx_events_parent ON execution_events (parent_event_id)
idx_messages_run_timestamp ON messages (run_id, timestamp)
idx_messages_sender_recipient ON messages (sender, recipient)
idx_messages_event ON messages (event_id)
idx_messages_node ON messages (node_id)
idx_cost_records_run_timestamp ON cost_records (run_id, timestamp)
idx_cost_records_session_timestamp ON cost_records (session_id, timestamp)
idx_cost_records_model ON cost_records (model)
idx_files_run_type ON files (run_id, file_type)
idx_files_created ON files (created_at)
idx_files_phase ON files (run_id, workflow_phase)
idx_files_final_output ON files (run_id, is_final_output)
idx_files_event ON files (event_id)
idx_files_node ON files (node_id)
idx_files_session ON files (session_id)
"""
_CAME_LATER = {
    "tree": (("dag_nodes", "parent_node_id"),),
    "stages": (
        ("workflow_runs", "parent_run_id"),
        ("cost_records", "agent_name"),
        ("cost_records", "parent_run_id"),
        ("files", "session_id"),
    ),
}

_AT = "'2026-01-02 03:04:05.000000'"
_ROWS = f"""
INSERT INTO projects VALUES ('p1', 'a project');
INSERT INTO alembic_version VALUES ('theirs');
INSERT INTO sessions VALUES ('s1', NULL, 'a session', {_AT}, {_AT}, 'active', '{{"a": 1}}', NULL);
INSERT INTO workflow_runs (id, session_id, project_id, mode, agent, model, status, checkpoint_frequency_minutes,
  is_branch, branch_depth) VALUES ('r1', 's1', 'p1', 'one_shot', 'engineer', 'gpt-4o', 'completed', 10, false, 0);
INSERT INTO workflow_steps (id, run_id, session_id, step_number, goal, status, progress_percentage)
  VALUES ('w1', 'r1', 's1', 1, 'plot', 'completed', 100);
INSERT INTO dag_nodes (id, run_id, session_id, node_type, agent, status, order_index, meta)
  VALUES ('n1', 'r1', 's1', 'planning', 'planner', 'completed', 0, '{{"id": "planning"}}'),
         ('n2', 'r1', 's1', 'agent', 'engineer', 'completed', 1, '{{"id": "step_1"}}');
INSERT INTO dag_edges (from_node_id, to_node_id, dependency_type)
  VALUES ('n1', 'n2', 'sequential'), ('n1', 'n2', 'sequential');
INSERT INTO execution_events (id, run_id, node_id, step_id, session_id, event_type, event_subtype, timestamp, meta,
  execution_order, depth, status) VALUES ('e1', 'r1', 'n2', 'w1', 's1', 'agent_call', 'complete', {_AT},
  '{{"tokens": 5}}', 0, 0, 'completed');
INSERT INTO messages (run_id, step_id, event_id, node_id, sender, recipient, content, timestamp)
  VALUES ('r1', 'w1', 'e1', 'n2', 'engineer', 'control', 'done', {_AT});
INSERT INTO cost_records (run_id, step_id, session_id, model, prompt_tokens, completion_tokens, total_tokens, cost_usd,
  timestamp) VALUES ('r1', 'w1', 's1', 'gpt-4o', 3, 2, 5, 0.25, {_AT});
INSERT INTO files (id, run_id, step_id, event_id, node_id, file_path, file_type, created_at, is_final_output)
  VALUES ('f1', 'r1', 'w1', 'e1', 'n2', 'plot.png', 'plot', {_AT}, true);
"""

TABLES = (
    "projects", "alembic_version", "sessions", "workflow_runs", "workflow_steps", "dag_nodes", "dag_edges",
    "execution_events", "messages", "cost_records", "files",
)  # fmt: skip


SHAPES = ("flat", "tree", "flat-stages", "tree-stages")


def make(engine: Engine, shape: str = "tree-stages", *, defaults: bool = True) -> None:
    """CMBAgent's tables with rows.

    Args:
        shape: with the parent and depth of nodes (``tree``) or without (``flat``), and with the few columns that
            came with its ``stages``.
        defaults: the database knows the defaults of columns, not CMBAgent's models alone.
    """
    stated = {"ten": " DEFAULT 10", "zero": " DEFAULT 0", "false": " DEFAULT false"}
    if not defaults:
        stated = dict.fromkeys(stated, "")
    key = "SERIAL PRIMARY KEY" if engine.dialect.name == "postgresql" else "INTEGER PRIMARY KEY AUTOINCREMENT"
    tree, stages = "tree" in shape, "stages" in shape
    script = (
        _BEFORE.format(runs=_RUNS if stages else "", **stated)
        + _NODES.format(parent=_PARENT if tree else "", depth=_DEPTH if tree else "")
        + _AFTER.format(key=key, costs=_COSTS if stages else "", files=_FILES if stages else "", **stated)
        + _ROWS
    )
    with engine.begin() as connection:
        for statement in (*script.split(";\n"), *_indexes(shape)):
            if statement.strip():
                connection.exec_driver_sql(statement.strip())


def _indexes(shape: str) -> Iterator[str]:
    absent = {column for part, columns in _CAME_LATER.items() if part not in shape.split("-") for column in columns}
    for table, columns in _INDEXED.items():
        for column in columns.split():
            if (table, column) not in absent:
                yield f"CREATE INDEX ix_{table}_{column} ON {table} ({column})"
    for named in _NAMED.strip().splitlines():
        table, columns = named.split(" ON ")[1].rstrip(")").split(" (")
        if not absent & {(table, column) for column in columns.split(", ")}:
            yield f"CREATE INDEX {named}"
