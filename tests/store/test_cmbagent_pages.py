"""CMBAgent's own pages show our run, in a database of theirs that was adopted."""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Iterator
from typing import Any

import pytest

from cmbagent_otel import semconv
from cmbagent_otel.semconv import Operation
from cmbagent_otel.spans.record import SpanRecord
from cmbagent_otel.store import migrate
from cmbagent_otel.store.engine import open_engine
from cmbagent_otel.store.writer import Writer
from tests.postgresql import Server
from tests.query.stored import Recorder, node_of
from tests.store import cmbagent_database
from tests.store.cmbagent_pages import Pages

PLOT = {"path": "/results/plot.png", "type": "plot", "size": 4, "sha256": hashlib.sha256(b"plot").hexdigest()}
TABLE = {"path": "/results/table.csv", "type": "data", "size": 2, "sha256": hashlib.sha256(b"12").hexdigest()}


class Story(Recorder):
    """Planning; then a step that fails and is redone, and a second step."""

    def tell(self) -> None:
        root = self.workflow(to=100)
        planning = self.phase(root, "planning", at=1, to=10)
        self.turn(planning, "planner", at=2)
        control = self.phase(root, "control", at=11, to=99)
        self.first = self.step(control, 1, "Simulate", at=12, to=30, error="execution_failed")
        self.turn(self.first, "engineer", at=13)
        self.run_code(self.first, at=20, exit_code=1)
        self.again = self.redo(control, self.first, "Deconvolve", at=31, to=60)
        self.turn(self.again, "engineer", at=32)
        self.run_code(self.again, at=40, exit_code=0, files=[PLOT, TABLE])
        self.second = self.step(control, 2, "Interpret", at=61, to=90)
        self.turn(self.second, "researcher", at=62, calls=2)
        self.second.attributes[semconv.DAG_DEPENDS_ON] = (node_of(self.again),)  # type: ignore[index]

    def turn(self, parent: SpanRecord, name: str, *, at: float, calls: int = 1) -> None:
        turn = self.agent(parent, name, at=at, to=at + 5)
        for call in range(calls):
            attributes: dict[str, Any] = {
                semconv.OPERATION_NAME: Operation.CHAT,
                semconv.PROVIDER_NAME: "openai",
                semconv.REQUEST_MODEL: "gpt-4.1",
                semconv.AGENT_NAME: name,
                semconv.USAGE_INPUT_TOKENS: 1000,
                semconv.USAGE_OUTPUT_TOKENS: 200,
            }
            self.span("chat gpt-4.1", "llm", "llm", turn, at=at + call, to=at + call + 1, attributes=attributes)

    def run_code(self, parent: SpanRecord, *, at: float, exit_code: int, files: list[Any] | None = None) -> None:
        turn = self.agent(parent, "executor", at=at, to=at + 3)
        code = self.code(turn, exit_code, at=at + 1, to=at + 2)
        code.attributes[semconv.AGENT_NAME] = "executor"  # type: ignore[index]
        if files:
            code.attributes[semconv.CODE_FILES] = [json.dumps(file) for file in files]  # type: ignore[index]


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module", params=["once", "in another order, and again"])
def story(
    request: pytest.FixtureRequest, database: str, tmp_path_factory: pytest.TempPathFactory, postgresql_server: Server
) -> Iterator[Story]:
    """Written once: the tests only read."""
    if database == "postgresql":
        url = postgresql_server.create_database()
    else:
        url = f"sqlite:///{tmp_path_factory.mktemp('adopted') / 'adopted.db'}"
    engine = open_engine(url)
    cmbagent_database.make(engine, "flat")
    migrate.upgrade(engine)
    story = Story(engine)
    story.tell()
    if request.param == "once":
        Writer(engine).write(story.spans)
    else:
        begun = [span._replace(end_time_unix_nano=None) for span in story.spans]
        delivered = [*begun, *story.spans, *story.spans]
        random.Random(7).shuffle(delivered)
        writer = Writer(engine)
        for start in range(0, len(delivered), 5):
            assert not writer.write(delivered[start : start + 5]).rejected
    yield story
    engine.dispose()
    if database == "postgresql":
        postgresql_server.drop_database(url)


@pytest.fixture
def pages(story: Story) -> Pages:
    return Pages(story.engine, story.run_id, nodes="dag_steps", events="step_events")


def test_graph_has_the_phases_and_steps_in_their_order(pages: Pages) -> None:
    assert pages.dag() == {
        "nodes": [
            ("planning", "planning", "planning", "completed", 1),
            ("control", "control", "control", "completed", 2),
            ("step_1", "Simulate", "step", "failed", 3),
            ("step_1_redo_1", "Simulate", "branch_point", "completed", 4),
            ("step_2", "Interpret", "step", "completed", 5),
        ],
        "edges": [("step_1", "step_1_redo_1", "conditional"), ("step_1_redo_1", "step_2", "sequential")],
    }


def test_history_has_each_call_once_in_the_order_of_their_beginning(pages: Pages) -> None:
    calls = ("agent_call", "llm_call", "code_exec", "file_gen")
    history = [event for event in pages.history() if event["event_type"] in calls]
    assert [(event["event_type"], event["event_subtype"], event["agent_name"]) for event in history] == [
        ("agent_call", "complete", "planner"),
        ("llm_call", "complete", "planner"),
        ("agent_call", "complete", "engineer"),
        ("llm_call", "complete", "engineer"),
        ("agent_call", "complete", "executor"),
        ("code_exec", "error", "executor"),
        ("agent_call", "complete", "engineer"),
        ("llm_call", "complete", "engineer"),
        ("agent_call", "complete", "executor"),
        ("code_exec", "complete", "executor"),
        ("file_gen", "create", "executor"),
        ("file_gen", "create", "executor"),
        ("agent_call", "complete", "researcher"),
        ("llm_call", "complete", "researcher"),
        ("llm_call", "complete", "researcher"),
    ]


def test_summary_of_a_step_counts_its_calls_tokens_and_cost_once(pages: Pages, story: Story) -> None:
    summary = pages.execution_summary(node_of(story.second))
    assert summary == {
        "event_types": {"agent_call": 1, "llm_call": 2, "state_transition": 1},
        "agent_calls": {"researcher": 1},
        "duration_seconds": 28,
        "tokens": {"researcher": 2400},
        "cost_usd": {"researcher": 0.0072},
        "seconds": {"researcher": 7.0},
        "statuses": {"completed": 4},
    }


def test_summary_of_a_failed_step_counts_what_failed(pages: Pages, story: Story) -> None:
    summary = pages.execution_summary(node_of(story.first))
    assert summary["agent_calls"] == {"engineer": 1, "executor": 1}
    assert summary["event_types"] == {"agent_call": 2, "llm_call": 1, "code_exec": 1, "state_transition": 1}
    assert summary["statuses"]["failed"] == 2


def test_costs_are_those_of_the_calls(pages: Pages) -> None:
    assert pages.costs() == {
        "records": 5,
        "by_model": {"gpt-4.1": (5000, 1000, 6000, 0.018)},
        "by_agent": {"planner": 1, "engineer": 2, "researcher": 2},
    }


def test_files_are_those_of_the_code_that_made_them(pages: Pages) -> None:
    assert pages.files() == [
        ("/results/plot.png", "plot", 4, PLOT["sha256"], "executor", 1),
        ("/results/table.csv", "data", 2, TABLE["sha256"], "executor", 1),
    ]


def test_same_pages_read_the_plain_tables_without_error(story: Story) -> None:
    plain = Pages(story.engine, story.run_id)
    assert len(plain.dag()["nodes"]) == len(story.spans)
    assert len(plain.history()) >= 15
    assert plain.execution_summary(node_of(story.second))["statuses"] == {"completed": 1}
    for span in story.spans:
        plain.execution_summary(node_of(span))


def test_pages_of_cmbagents_own_run_are_as_before(story: Story) -> None:
    theirs = Pages(story.engine, "r1")
    assert theirs.dag()["nodes"] == [
        ("planning", "planner", "planning", "completed", 1),
        ("step_1", "engineer", "agent", "completed", 2),
    ]
    assert [event["id"] for event in theirs.history()] == ["e1"]
    assert theirs.execution_summary("n2")["event_types"] == {"agent_call": 1}
    assert theirs.costs() == {"records": 1, "by_model": {"gpt-4o": (3, 2, 5, 0.25)}, "by_agent": {None: 1}}
