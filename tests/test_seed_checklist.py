"""The checklist of the system that came before, one test a line, worded as it stood there."""

from __future__ import annotations

import importlib
import logging
from collections.abc import Iterator
from typing import Annotated, Any

import pytest
from sqlalchemy import Engine, text

import cmbagent_otel as otel
from cmbagent_otel.instrumentation.autogen import AutogenInstrumentor
from cmbagent_otel.testing import ScriptedModelServer, call_tool, say
from tests.invariants import check_invariants


@pytest.fixture(autouse=True)
def _hooks_are_taken_off_again() -> Iterator[None]:
    yield
    if AutogenInstrumentor().is_instrumented_by_opentelemetry:
        AutogenInstrumentor().uninstrument()


@pytest.fixture
def database(migrated_url: str, engine: Engine) -> Engine:
    """The configured database; tests read it after a flush."""
    assert otel.configure(database_url=migrated_url)
    return engine


def rows(engine: Engine, statement: str, **parameters: object) -> list[tuple[Any, ...]]:
    with engine.connect() as connection:
        return [tuple(row) for row in connection.execute(text(statement), parameters)]


def one(engine: Engine, statement: str, **parameters: object) -> Any:
    ((value,),) = rows(engine, statement, **parameters)
    return value


def simple_workflow(**workflow: str) -> str:
    """Two agents and a tool, inside a workflow with one step; returns the run's id."""
    autogen = importlib.import_module("autogen")
    with ScriptedModelServer([call_tool("add", {"left": 1, "right": 2}), say("3. TERMINATE")]) as server:
        assistant = autogen.ConversableAgent("assistant", llm_config=server.llm_config())
        person = autogen.ConversableAgent(
            "person",
            llm_config=False,
            human_input_mode="NEVER",
            is_termination_msg=lambda message: "TERMINATE" in (message.get("content") or ""),
        )

        def add(left: Annotated[int, "left"], right: Annotated[int, "right"]) -> str:
            return str(left + right)

        autogen.register_function(add, caller=assistant, executor=person, description="Add two numbers.")
        with otel.workflow("one_shot", **workflow) as run, otel.phase("one_shot"), otel.step(1, goal="add"):
            person.initiate_chat(assistant, message="What is 1 + 2?", max_turns=4, silent=True)
        assert len(server.requests) == 2
    assert otel.flush()
    assert run.run_id is not None
    return run.run_id


# -- hooks -------------------------------------------------------------------------------------------------


def test_events_have_rows_after_a_simple_workflow(database: Engine) -> None:
    simple_workflow()
    counts = dict(rows(database, "SELECT event_type, count(*) FROM execution_events GROUP BY event_type"))
    assert counts["llm_call"] == 2
    assert counts["tool_call"] == 1
    assert counts["agent_call"] >= 3
    check_invariants(database)


def test_the_first_install_says_installed_the_second_already_installed(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    hooks = AutogenInstrumentor()
    hooks.instrument(skip_dep_check=True)
    assert "AG2 hooks installed successfully" in caplog.text
    caplog.clear()
    hooks.instrument(skip_dep_check=True)
    assert "already" in caplog.text
    assert "installed successfully" not in caplog.text


def test_no_duplicate_events(database: Engine) -> None:
    simple_workflow()
    repeated = """
        SELECT node_id, event_type, event_subtype, timestamp, count(*) FROM execution_events
        GROUP BY node_id, event_type, event_subtype, timestamp HAVING count(*) > 1
    """
    assert rows(database, repeated) == []
    assert one(database, "SELECT count(*) - count(DISTINCT execution_order) FROM execution_events") == 0


def test_events_carry_the_right_run_node_and_agent(database: Engine) -> None:
    run_id = simple_workflow()
    assert rows(database, "SELECT DISTINCT run_id FROM execution_events") == [(run_id,)]
    nodes = """
        SELECT e.event_type, n.node_type, e.agent_name = n.agent
        FROM execution_events e JOIN dag_nodes n ON n.id = e.node_id
        WHERE e.event_type IN ('llm_call', 'tool_call')
           OR (e.event_type = 'agent_call' AND e.event_subtype = 'complete')
    """
    for event_type, node_type, same_agent in rows(database, nodes):
        assert (event_type, node_type) in {("llm_call", "llm"), ("tool_call", "tool"), ("agent_call", "agent")}
        assert same_agent
    assert rows(database, "SELECT DISTINCT agent_name FROM execution_events WHERE event_type = 'llm_call'") == [
        ("assistant",)
    ]


# -- managed mode ------------------------------------------------------------------------------------------


def test_a_nested_workflow_opens_no_session_of_its_own(database: Engine) -> None:
    with otel.workflow("outer", session_id="the-session"), otel.phase("control"):
        simple_workflow()
    assert otel.flush()
    assert rows(database, "SELECT id FROM sessions") == [("the-session",)]


@pytest.mark.usefixtures("database")
def test_no_database_handle_of_ours_enters_the_programs_shared_state() -> None:
    shared_state: dict[str, object] = {"task": "add"}
    with otel.workflow("outer"):
        simple_workflow()
    assert shared_state == {"task": "add"}
    from autogen.agentchat.group import ContextVariables

    variables = ContextVariables(data={"current_plan_step_number": 1})
    with otel.workflow("with variables"):
        simple_workflow()
    assert variables.to_dict() == {"current_plan_step_number": 1}


def test_only_the_parents_session_exists(database: Engine) -> None:
    with otel.workflow("outer") as outer, otel.workflow("inner") as inner:
        pass
    assert otel.flush()
    assert inner.run_id == outer.run_id
    assert rows(database, "SELECT count(*) FROM sessions") == [(1,)]
    assert rows(database, "SELECT id FROM workflow_runs") == [(outer.run_id,)]
    check_invariants(database)


def test_events_are_still_captured_in_managed_mode(database: Engine) -> None:
    with otel.workflow("outer") as outer, otel.phase("control"), otel.step(1):
        inner_run = simple_workflow()
    assert otel.flush()
    assert inner_run == outer.run_id
    assert one(database, "SELECT count(*) FROM execution_events WHERE event_type = 'llm_call'") == 2
    check_invariants(database)


# -- branching ---------------------------------------------------------------------------------------------


def branched_workflow() -> None:
    with otel.workflow("w"), otel.phase("control", max_redos=1):
        with otel.step(1, goal="fit") as step:
            pass
        with step.redo(hypothesis="The prior is too narrow", reason="feedback"):
            pass
        with pytest.raises(otel.RedoLimitExceeded):
            step.redo()
    assert otel.flush()


def test_a_redo_makes_a_branch_point_node_with_branch_name_hypothesis_and_source(database: Engine) -> None:
    branched_workflow()
    from cmbagent_otel.store.schema import dag_nodes

    with database.connect() as connection:
        (branch,) = connection.execute(dag_nodes.select().where(dag_nodes.c.node_type == "branch_point"))
        (source,) = connection.execute(dag_nodes.select().where(dag_nodes.c.node_type == "step"))
    assert branch.agent == "branch_redo_1"
    assert branch.meta["branch_name"] == "redo_1"
    assert branch.meta["hypothesis"] == "The prior is too narrow"
    assert branch.meta["source_node_id"] == source.id
    assert (branch.parent_node_id, branch.depth, branch.order_index) == (
        source.parent_node_id,
        source.depth,
        source.order_index,
    )


def test_a_redo_makes_a_conditional_edge(database: Engine) -> None:
    branched_workflow()
    edges = """
        SELECT f.node_type, t.node_type, e.dependency_type, e.condition FROM dag_edges e
        JOIN dag_nodes f ON f.id = e.from_node_id JOIN dag_nodes t ON t.id = e.to_node_id
    """
    assert rows(database, edges) == [("step", "branch_point", "conditional", "branch_redo_1")]


def test_the_configured_max_redos_is_respected(database: Engine) -> None:
    branched_workflow()
    assert one(database, "SELECT count(*) FROM dag_nodes WHERE node_type = 'branch_point'") == 1


def test_a_recursive_query_returns_the_full_execution_tree(database: Engine) -> None:
    run_id = simple_workflow()
    tree = """
        WITH RECURSIVE node_tree(id, node_type, level) AS (
            SELECT id, node_type, 0 FROM dag_nodes WHERE run_id = :run AND parent_node_id IS NULL
            UNION ALL
            SELECT n.id, n.node_type, t.level + 1 FROM dag_nodes n JOIN node_tree t ON n.parent_node_id = t.id
        )
        SELECT t.node_type, t.level, n.depth FROM node_tree t JOIN dag_nodes n ON n.id = t.id ORDER BY t.level
    """
    found = rows(database, tree, run=run_id)
    assert len(found) == one(database, "SELECT count(*) FROM dag_nodes")
    assert [node_type for node_type, _, _ in found][:3] == ["workflow", "one_shot", "step"]
    assert {"agent", "llm", "tool"} <= {node_type for node_type, _, _ in found}
    assert all(level == depth for _, level, depth in found)
    assert one(database, "SELECT count(*) FROM dag_tree WHERE run_id = :run", run=run_id) == len(found)
