"""Programs with other people's instrumentation, through the real Collector, become sound graphs."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import pytest
from sqlalchemy import Engine, func, select

from cmbagent_otel import settings
from cmbagent_otel.store.engine import open_engine
from cmbagent_otel.store.schema import cost_records, dag_nodes
from cmbagent_otel.testing import ScriptedModelServer
from cmbagent_otel.testing.__main__ import read_script
from tests.invariants import check_invariants
from tests.stack.binaries import ROOT
from tests.stack.environments import python_with
from tests.stack.jaeger_api import spans_at, trace_ids_at
from tests.stack.processes import Collector, Jaeger, Sink

FOREIGN = Path(__file__).parent / "foreign"
EXPORTER = "opentelemetry-exporter-otlp-proto-http~=1.43"


class Program(NamedTuple):
    """A program under ``foreign/``, what it needs, and what it does."""

    service: str
    replies: str
    requirements: tuple[str, ...]
    kinds: dict[str, int]


PROGRAMS = {
    "ag2_classic": Program(
        "ag2-classic",
        "classic_replies.json",
        (),  # what the tests themselves have
        {"workflow": 1, "agent": 6, "llm": 3, "tool": 1, "code_exec": 1, "approval": 1},
    ),
    "ag2_next": Program(
        "ag2",
        "ag2_next_replies.json",
        ("ag2[openai]==1.2.1", "opentelemetry-sdk~=1.43", EXPORTER),
        {"agent": 2, "llm": 5, "tool": 2, "code_exec": 1, "span": 6},
    ),
    "openinference_ag2": Program(
        "openinference",
        "classic_replies.json",
        (
            "autogen[openai]==0.14.1",
            "openinference-instrumentation-ag2==0.1.12",
            "openinference-instrumentation-openai==0.1.66",
            "opentelemetry-sdk~=1.43",
            EXPORTER,
        ),
        {"workflow": 1, "agent": 6, "llm": 3, "tool": 1},
    ),
}


@pytest.mark.parametrize("name", PROGRAMS)
@pytest.mark.timeout(600)  # the first time an environment is made
def test_a_foreign_run_becomes_a_sound_graph_with_the_tokens_that_were_billed(
    name: str,
    *,
    sink: Sink,
    collector: Collector,
    jaeger: Jaeger,
    migrated_postgres_url: str,
    tmp_path: Path,
) -> None:
    program = PROGRAMS[name]
    python = python_with(name, program.requirements) if program.requirements else Path(sys.executable)
    with ScriptedModelServer(read_script((FOREIGN / program.replies).read_text())) as model:
        said = subprocess.run(
            [python, "-m", f"tests.stack.foreign.{name}"],
            env=settings.child_environment(
                {
                    "OPENAI_BASE_URL": model.base_url,
                    "OPENAI_API_KEY": "sk-scripted",
                    "OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint,
                    "TMPDIR": str(tmp_path),
                }
            ),
            cwd=ROOT,
            check=False,
            capture_output=True,
            text=True,
        )
        billed = model.billed
    assert said.returncode == 0, said.stderr
    (trace_id,) = trace_ids_at(jaeger, program.service)
    assert len(spans_at(jaeger, trace_id, sum(program.kinds.values()))) == sum(program.kinds.values())
    collector.stop()
    sink.stop()
    engine = open_engine(migrated_postgres_url)
    check_invariants(engine)
    _check_graph(engine, program, (billed.input_tokens, billed.output_tokens))
    engine.dispose()


def _check_graph(engine: Engine, program: Program, billed: tuple[int, int]) -> None:
    nodes, costs = dag_nodes.c, cost_records.c
    with engine.connect() as connection:
        assert Counter(connection.scalars(select(nodes.node_type))) == program.kinds
        summed = connection.execute(select(func.sum(nodes.input_tokens), func.sum(nodes.output_tokens))).one()
        charged = connection.execute(select(func.sum(costs.prompt_tokens), func.sum(costs.completion_tokens))).one()
    assert tuple(summed) == tuple(charged) == billed
