"""The tables: CMBAgent's words and types, and beside them our own columns, all of them nullable.

A CMBAgent or MARS database can be adopted in place, so ids are ``VARCHAR(36)``, times are UTC without a
zone, and the names of its foreign keys, indexes and checks are kept. Two things differ: ``dag_nodes.depth`` is NULL
until all ancestors are in, and JSON is JSONB on PostgreSQL.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    JSON,
    TIMESTAMP,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    Numeric,
    String,
    Table,
    Text,
    text,
)
from sqlalchemy.dialects import postgresql

# CMBAgent's defaults are Python's, so its database may know none of them: they stand on both sides, and the writer
# leaves none to the database.
metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_name)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "ck": "%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)

OURS = {"ours": True}
"""Marks the tables, columns and indexes that CMBAgent does not have."""

Json = JSON(none_as_null=True).with_variant(postgresql.JSONB(none_as_null=True), "postgresql")


def _id(name: str, target: str | None = None, on_delete: str = "CASCADE", **options: Any) -> Column[str]:
    reference = () if target is None else (ForeignKey(f"{target}.id", ondelete=on_delete),)
    return Column(name, String(36), *reference, **options)


def _key() -> Column[int]:
    return Column("id", Integer, primary_key=True, autoincrement=True)


sessions = Table(
    "sessions",
    metadata,
    _id("id", primary_key=True),
    _id("user_id", index=True),
    Column("name", String(255), nullable=False),
    Column("created_at", TIMESTAMP, nullable=False),
    Column("last_active_at", TIMESTAMP, nullable=False),
    Column("status", String(50), nullable=False, index=True, server_default="active"),
    Column("meta", Json),
    Column("resource_limits", Json),
    Index("idx_sessions_user_status", "user_id", "status"),
)

workflow_runs = Table(
    "workflow_runs",
    metadata,
    _id("id", primary_key=True),
    _id("session_id", "sessions", nullable=False, index=True),
    # CMBAgent's projects are not ours to make; where they exist the column has its foreign key already.
    _id("project_id"),
    Column("mode", String(50), nullable=False, index=True),
    Column("agent", String(100), nullable=False, index=True),
    Column("model", String(100), nullable=False),
    Column("status", String(50), nullable=False, index=True, server_default="draft"),
    Column("started_at", TIMESTAMP),
    Column("completed_at", TIMESTAMP),
    Column("last_heartbeat_at", TIMESTAMP),
    Column("checkpoint_frequency_minutes", Integer, nullable=False, default=10, server_default=text("10")),
    Column("task_description", Text),
    Column("meta", Json),
    _id("branch_parent_id", "workflow_runs", "SET NULL", index=True),
    Column("is_branch", Boolean, nullable=False, default=False, server_default=text("false")),
    Column("branch_depth", Integer, nullable=False, default=0, server_default=text("0")),
    _id("parent_run_id", "workflow_runs", "SET NULL", index=True),
    Column("stage_number", Integer),
    Column("stage_name", String(100)),
    Index("idx_workflow_runs_session_status", "session_id", "status"),
    Index("idx_workflow_runs_agent_status", "agent", "status"),
)

workflow_steps = Table(
    "workflow_steps",
    metadata,
    _id("id", primary_key=True),
    _id("run_id", "workflow_runs", nullable=False, index=True),
    _id("session_id", "sessions", nullable=False, index=True),
    Column("step_number", Integer, nullable=False),
    Column("goal", Text, nullable=False),
    Column("summary", Text),
    Column("status", String(50), nullable=False, index=True, server_default="pending"),
    Column("started_at", TIMESTAMP),
    Column("completed_at", TIMESTAMP),
    Column("progress_percentage", Integer, nullable=False, server_default=text("0")),
    Column("inputs", Json),
    Column("outputs", Json),
    Column("error_message", Text),
    Column("meta", Json),
    Index("idx_workflow_steps_run_number", "run_id", "step_number"),
    Index("idx_workflow_steps_session_status", "session_id", "status"),
    CheckConstraint("progress_percentage >= 0 AND progress_percentage <= 100", name="check_progress_range"),
)

dag_nodes = Table(
    "dag_nodes",
    metadata,
    _id("id", primary_key=True),
    _id("run_id", "workflow_runs", nullable=False, index=True),
    _id("session_id", "sessions", nullable=False, index=True),
    Column("parent_node_id", String(36), ForeignKey("dag_nodes.id", name="fk_parent_node", ondelete="CASCADE")),
    Column("node_type", String(50), nullable=False, index=True),
    Column("agent", String(100)),
    Column("status", String(50), nullable=False, index=True, server_default="pending"),
    Column("order_index", Integer, nullable=False),
    Column("depth", Integer),
    Column("meta", Json),
    # ours
    Column("trace_id", String(32), info=OURS),
    Column("span_id", String(16), info=OURS),
    Column("name", Text, info=OURS),
    Column("start_time_unix_nano", BigInteger, info=OURS),
    Column("end_time_unix_nano", BigInteger, info=OURS),
    Column("input_tokens", BigInteger, info=OURS),
    Column("output_tokens", BigInteger, info=OURS),
    Column("cost_usd", Float(53), info=OURS),
    Column("attempt", Integer, info=OURS),
    Index("idx_dag_nodes_run_order", "run_id", "order_index"),
    Index("idx_dag_nodes_type_status", "node_type", "status"),
    Index("idx_dag_nodes_parent", "parent_node_id"),
    # The siblings of a node in their order: settling order_index reads only those that start later.
    Index("idx_dag_nodes_siblings", "parent_node_id", "start_time_unix_nano"),
    # Small ones: the tops of a run, and its steps with their redos.
    Index(
        "idx_dag_nodes_tops",
        "run_id",
        "start_time_unix_nano",
        sqlite_where=text("parent_node_id IS NULL"),
        postgresql_where=text("parent_node_id IS NULL"),
    ),
    Index(
        "idx_dag_nodes_steps",
        "run_id",
        "start_time_unix_nano",
        sqlite_where=text("node_type IN ('step', 'branch_point')"),
        postgresql_where=text("node_type IN ('step', 'branch_point')"),
    ),
)

dag_edges = Table(
    "dag_edges",
    metadata,
    _key(),
    _id("from_node_id", "dag_nodes", nullable=False, index=True),
    _id("to_node_id", "dag_nodes", nullable=False, index=True),
    Column("dependency_type", String(50), nullable=False, server_default="sequential"),
    Column("condition", Text),
    # ours
    _id("run_id", "workflow_runs", info=OURS),
    Index("idx_dag_edges_from_to", "from_node_id", "to_node_id"),
    # Only edges of ours name their run: those of CMBAgent may stand twice.
    Index(
        "uq_dag_edges_to_from_type",
        "to_node_id",
        "from_node_id",
        "dependency_type",
        unique=True,
        sqlite_where=text("run_id IS NOT NULL"),
        postgresql_where=text("run_id IS NOT NULL"),
        info=OURS,
    ),
    Index("ix_dag_edges_run_id", "run_id"),
)

execution_events = Table(
    "execution_events",
    metadata,
    _id("id", primary_key=True),
    _id("run_id", "workflow_runs", nullable=False, index=True),
    _id("node_id", "dag_nodes", index=True),
    _id("step_id", "workflow_steps", "SET NULL", index=True),
    _id("session_id", "sessions", nullable=False, index=True),
    _id("parent_event_id", "execution_events", "SET NULL", index=True),
    Column("event_type", String(50), nullable=False, index=True),
    Column("event_subtype", String(50)),
    Column("agent_name", String(100), index=True),
    Column("agent_role", String(50)),
    Column("timestamp", TIMESTAMP, nullable=False, index=True),
    Column("started_at", TIMESTAMP),
    Column("completed_at", TIMESTAMP),
    Column("duration_ms", Integer),
    Column("inputs", Json),
    Column("outputs", Json),
    Column("error_message", Text),
    Column("meta", Json),
    Column("execution_order", Integer, nullable=False),
    Column("depth", Integer, nullable=False, server_default=text("0")),
    Column("status", String(50), nullable=False, server_default="completed"),
    # ours
    Column("trace_id", String(32), info=OURS),
    Column("span_id", String(16), info=OURS),
    Index("idx_events_run_order", "run_id", "execution_order"),
    Index("idx_events_node_order", "node_id", "execution_order"),
    Index("idx_events_type_subtype", "event_type", "event_subtype"),
    Index("idx_events_session_timestamp", "session_id", "timestamp"),
    Index("idx_events_parent", "parent_event_id"),
)

messages = Table(
    "messages",  # CMBAgent's; here so that its readers find it, and not written: the event is.
    metadata,
    _key(),
    _id("run_id", "workflow_runs", nullable=False, index=True),
    _id("step_id", "workflow_steps", index=True),
    _id("event_id", "execution_events", "SET NULL", index=True),
    _id("node_id", "dag_nodes", index=True),
    Column("sender", String(100), nullable=False, index=True),
    Column("recipient", String(100), nullable=False, index=True),
    Column("content", Text, nullable=False),
    Column("timestamp", TIMESTAMP, nullable=False),
    Column("tokens", Integer),
    Column("meta", Json),
    Index("idx_messages_run_timestamp", "run_id", "timestamp"),
    Index("idx_messages_sender_recipient", "sender", "recipient"),
)

cost_records = Table(
    "cost_records",
    metadata,
    _key(),
    _id("run_id", "workflow_runs", nullable=False, index=True),
    _id("step_id", "workflow_steps", index=True),
    _id("session_id", "sessions", nullable=False, index=True),
    Column("model", String(100), nullable=False, index=True),
    Column("agent_name", String(200), index=True),
    _id("parent_run_id", "workflow_runs", "SET NULL", index=True),
    Column("prompt_tokens", Integer, nullable=False, server_default=text("0")),
    Column("completion_tokens", Integer, nullable=False, server_default=text("0")),
    Column("total_tokens", Integer, nullable=False, server_default=text("0")),
    Column("cost_usd", Numeric(10, 6), nullable=False, server_default=text("0.0")),
    Column("timestamp", TIMESTAMP, nullable=False),
    # ours
    _id("source_id", info=OURS),
    Index("idx_cost_records_run_timestamp", "run_id", "timestamp"),
    Index("idx_cost_records_session_timestamp", "session_id", "timestamp"),
    Index("uq_cost_records_source_id", "source_id", unique=True),
)

files = Table(
    "files",
    metadata,
    _id("id", primary_key=True),
    _id("run_id", "workflow_runs", nullable=False, index=True),
    _id("session_id", "sessions", index=True),
    _id("step_id", "workflow_steps", index=True),
    _id("event_id", "execution_events", "SET NULL", index=True),
    _id("node_id", "dag_nodes", index=True),
    Column("file_path", String(1000), nullable=False),
    Column("file_type", String(50), nullable=False, index=True),
    Column("size_bytes", BigInteger),
    Column("created_at", TIMESTAMP, nullable=False),
    Column("workflow_phase", String(50), index=True),
    Column("is_final_output", Boolean, nullable=False, server_default=text("false")),
    Column("content_hash", String(64)),
    Column("generating_agent", String(100)),
    Column("generating_code_hash", String(64)),
    Column("priority", String(20)),
    Column("meta", Json),
    # ours
    _id("source_id", info=OURS),
    Index("idx_files_run_type", "run_id", "file_type"),
    Index("idx_files_created", "created_at"),
    Index("idx_files_phase", "run_id", "workflow_phase"),
    Index("idx_files_final_output", "run_id", "is_final_output"),
    Index("uq_files_source_id", "source_id", unique=True),
)

run_traces = Table(
    "run_traces",
    metadata,
    Column("trace_id", String(32), primary_key=True),
    _id("run_id", "workflow_runs", primary_key=True, index=True),
    # The earliest span of the trace that names this run: the earliest of all claims what names none.
    Column("start_time_unix_nano", BigInteger),
    Column("span_id", String(16)),
    info=OURS,
)

rejected_records = Table(
    "rejected_records",
    metadata,
    _key(),
    Column("digest", String(64), nullable=False, unique=True),
    Column("rejected_at", TIMESTAMP, nullable=False),
    Column("reason", Text, nullable=False),
    Column("trace_id", Text),
    Column("span_id", Text),
    Column("name", Text),
    Column("record", Text),
    info=OURS,
)
