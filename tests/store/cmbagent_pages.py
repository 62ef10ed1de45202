"""What CMBAgent's own pages read of its database, and what they make of it."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from datetime import datetime
from typing import Any

from sqlalchemy import Engine, RowMapping, text


class Pages:
    """The pages of a run.

    Args:
        engine: a database that CMBAgent's pages may read.
        run_id: the run that is looked at.
        nodes: the table or view of the nodes.
        events: the table or view of the events.
    """

    def __init__(
        self, engine: Engine, run_id: str, *, nodes: str = "dag_nodes", events: str = "execution_events"
    ) -> None:
        self.engine, self.run_id, self.nodes, self.events = engine, run_id, nodes, events

    def dag(self) -> dict[str, list[Any]]:
        """The graph: nodes by ``order_index``, and the edges that leave them."""
        nodes = self._read(f"SELECT * FROM {self.nodes} WHERE run_id = :run ORDER BY order_index")
        short = {node["id"]: _json(node["meta"]).get("id", node["id"]) for node in nodes}
        edges = [edge for edge in self._read("SELECT * FROM dag_edges ORDER BY id") if edge["from_node_id"] in short]
        return {
            "nodes": [
                (
                    short[node["id"]],
                    _json(node["meta"]).get("label", node["agent"]),
                    node["node_type"],
                    node["status"],
                    node["order_index"] + 1,
                )
                for node in nodes
            ],
            "edges": [
                (short[edge["from_node_id"]], short.get(edge["to_node_id"]), edge["dependency_type"]) for edge in edges
            ],
        }

    def history(self, node_id: str | None = None) -> list[RowMapping]:
        """The events of the run, or of one node, in their order; those that are only begun are left out."""
        condition = "" if node_id is None else " AND node_id = :node"
        events = self._read(
            f"SELECT * FROM {self.events} WHERE run_id = :run{condition} ORDER BY execution_order", node=node_id
        )
        return [event for event in events if event["event_subtype"] != "start"]

    def execution_summary(self, node_id: str) -> dict[str, Any]:
        """What happened in one node."""
        events = self.history(node_id)
        tokens: dict[str, int] = defaultdict(int)
        costs: dict[str, float] = defaultdict(float)
        seconds: dict[str, float] = defaultdict(float)
        for event in events:
            meta = _json(event["meta"])
            if event["agent_name"]:
                tokens[event["agent_name"]] += meta.get("tokens", 0)
                costs[event["agent_name"]] += meta.get("cost_usd", 0.0)
                seconds[event["agent_name"]] += (event["duration_ms"] or 0) / 1000
        times = [datetime.fromisoformat(str(event["timestamp"])) for event in events]
        return {
            "event_types": dict(Counter(event["event_type"] for event in events)),
            "agent_calls": dict(
                Counter(event["agent_name"] for event in events if event["event_type"] == "agent_call")
            ),
            "duration_seconds": (max(times) - min(times)).total_seconds() if times else 0,
            "tokens": dict(tokens),
            "cost_usd": {agent: round(cost, 6) for agent, cost in costs.items()},
            "seconds": dict(seconds),
            "statuses": dict(Counter(event["status"] for event in events)),
        }

    def costs(self) -> dict[str, Any]:
        """What the run cost, by model and by agent."""
        records = self._read("SELECT * FROM cost_records WHERE run_id = :run ORDER BY timestamp")
        by_model: dict[str, list[float]] = defaultdict(lambda: [0, 0, 0, 0.0])
        for record in records:
            found = by_model[record["model"]]
            for index, column in enumerate(("prompt_tokens", "completion_tokens", "total_tokens", "cost_usd")):
                found[index] += float(record[column]) if column == "cost_usd" else record[column]
        return {
            "records": len(records),
            "by_model": {model: (*map(int, values[:3]), round(values[3], 6)) for model, values in by_model.items()},
            "by_agent": dict(Counter(record["agent_name"] for record in records)),
        }

    def files(self) -> list[tuple[Any, ...]]:
        """The files of the run, with the step that they belong to."""
        return [
            tuple(file.values())
            for file in self._read(
                "SELECT f.file_path, f.file_type, f.size_bytes, f.content_hash, f.generating_agent, w.step_number "
                "FROM files f JOIN dag_nodes n ON n.id = f.node_id JOIN execution_events e ON e.id = f.event_id "
                "LEFT JOIN workflow_steps w ON w.id = f.step_id "
                "WHERE f.run_id = :run ORDER BY f.created_at, f.file_path"
            )
        ]

    def _read(self, query: str, **values: Any) -> list[RowMapping]:
        with self.engine.connect() as connection:
            named = {name: value for name, value in {"run": self.run_id, **values}.items() if f":{name}" in query}
            return list(connection.execute(text(query), named).mappings())


def _json(value: Any) -> dict[str, Any]:
    """JSON of PostgreSQL comes as what it is, that of SQLite as text."""
    found: dict[str, Any] = json.loads(value) if isinstance(value, str) else value or {}
    return found
