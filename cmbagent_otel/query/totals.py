"""What a node and all below it come to."""

from __future__ import annotations

from dataclasses import dataclass

from cmbagent_otel.query.rows import NodeRow
from cmbagent_otel.semconv import NodeKind, Status


@dataclass(slots=True)
class Totals:
    """Sums over a node and all below it."""

    nodes: int = 0
    llm_calls: int = 0
    tool_calls: int = 0
    code_runs: int = 0
    approvals: int = 0
    errors: int = 0
    """Failed nodes below which nothing has failed: one error is counted once, however far it was raised."""
    redos: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cost_usd: float = 0.0
    unknown_tokens: int = 0
    """Ended model calls that state no tokens: the token sums are "at least"."""
    unknown_costs: int = 0
    """Ended model calls with no known price: the cost is "at least"."""

    def add(self, other: Totals) -> None:
        """Add what another node and all below it come to."""
        self.nodes += other.nodes
        self.llm_calls += other.llm_calls
        self.tool_calls += other.tool_calls
        self.code_runs += other.code_runs
        self.approvals += other.approvals
        self.errors += other.errors
        self.redos += other.redos
        self.input_tokens += other.input_tokens
        self.output_tokens += other.output_tokens
        self.cost_usd += other.cost_usd
        self.unknown_tokens += other.unknown_tokens
        self.unknown_costs += other.unknown_costs

    def count(self, kind: str, row: NodeRow) -> None:
        """Add what one row itself comes to."""
        self.nodes += 1
        if kind == NodeKind.LLM:
            self.llm_calls += 1
            self.input_tokens += row.input_tokens or 0
            self.output_tokens += row.output_tokens or 0
            self.cost_usd += row.cost_usd or 0.0
            if row.status == Status.COMPLETED:
                self.unknown_tokens += row.input_tokens is None or row.output_tokens is None
                self.unknown_costs += row.cost_usd is None
        elif kind == NodeKind.TOOL:
            self.tool_calls += 1
        elif kind == NodeKind.CODE:
            self.code_runs += 1
        elif kind == NodeKind.APPROVAL:
            self.approvals += 1
