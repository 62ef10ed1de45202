"""Unchanged programs of CMBAgent under ``cmbagent-otel run``: the same output, and the rows of their run."""

from __future__ import annotations

import hashlib
import json
import os
import pickle
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import DatabaseError

from cmbagent_otel.store.engine import open_engine
from cmbagent_otel.store.sweep import sweep
from cmbagent_otel.testing import ScriptedModelServer, call_tool, say
from tests.cmbagent import scripts
from tests.cmbagent.stage import TASK, Replies
from tests.invariants import check_invariants

pytestmark = pytest.mark.timeout(600)
pytest.importorskip("cmbagent", reason="stock CMBAgent is not installed here: make test-cmbagent")

PROGRAMS = Path(__file__).parent / "programs"
EXAMPLE = Path(__file__).parents[2] / "examples" / "cmbagent_one_shot.py"
COMMAND = Path(sys.executable).with_name("cmbagent-otel")
RESTARTED = {
    "control_starter": [call_tool("record_status_starter")],
    "control": [scripts.status_call(2, "completed", "researcher", "Interpret it")],
    "researcher": [say("# It peaks at 220")],
    "researcher_response_formatter": [say('{"filename": "notes.md", "markdown_block": "# It peaks at 220"}')],
    "terminator": [say("Done.")],
}


class Ran(NamedTuple):
    """A program that is over."""

    folder: Path
    printed: str
    asked: list[Mapping[str, Any]]
    """What its models were asked."""
    billed: tuple[int, int]


def prepared(
    program: str, folder: Path, server: ScriptedModelServer, *, traced: bool
) -> tuple[list[str], dict[str, str]]:
    """The command and the environment by which a user would run a program in ``folder``."""
    folder.mkdir(exist_ok=True)
    shutil.copy(PROGRAMS / program, folder / program)
    surroundings = {
        **os.environ,
        "OPENAI_API_KEY": "sk-scripted",
        "OPENAI_BASE_URL": server.base_url,
        "CMBAGENT_DISABLE_DISPLAY": "true",
        "CMBAGENT_OTEL_DATABASE_URL": database_url(folder),
        "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT": "SPAN_AND_EVENT",
        "PYTHONHASHSEED": "0",
    }
    return [*([str(COMMAND), "run"] if traced else [sys.executable]), program], surroundings


def run(program: str, replies: Replies, folder: Path, *, traced: bool) -> Ran:
    """Run a program to its end."""
    with ScriptedModelServer(scripts.agents(replies)) as server:
        command, surroundings = prepared(program, folder, server, traced=traced)
        done = subprocess.run(
            command, cwd=folder, env=surroundings, capture_output=True, text=True, timeout=300, check=False
        )
    assert done.returncode == 0, done.stderr
    return Ran(
        folder,
        done.stdout + done.stderr,
        [exchange.request.body for exchange in server.exchanges],
        (server.billed.input_tokens, server.billed.output_tokens),
    )


def database_url(folder: Path) -> str:
    return f"sqlite:///{folder.parent / f'{folder.name}.db'}"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A place of its own for all runs of this module, and for what this machine remembers of them."""
    folder = tmp_path_factory.mktemp("programs")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(folder / "state"))
        yield folder


@pytest.fixture(scope="module")
def plain(home: Path) -> Ran:
    return run("carry_over.py", scripts.planning_and_control(carried_over=True), home / "plain_", traced=False)


@pytest.fixture(scope="module")
def traced(home: Path) -> Ran:
    return run("carry_over.py", scripts.planning_and_control(carried_over=True), home / "traced", traced=True)


@pytest.fixture(scope="module")
def study(traced: Ran) -> Iterator[Engine]:
    """The rows of the study."""
    engine = open_engine(database_url(traced.folder))
    yield engine
    engine.dispose()


# -- the program is the same -------------------------------------------------------------------------------


def test_program_prints_the_same_with_and_without_tracing(plain: Ran, traced: Ran) -> None:
    assert anonymous(traced.printed, traced) == anonymous(plain.printed, plain)


def test_models_are_asked_the_same_with_and_without_tracing(plain: Ran, traced: Ran) -> None:
    assert anonymous(json.dumps(traced.asked), traced) == anonymous(json.dumps(plain.asked), plain)


def test_program_writes_the_same_files_with_and_without_tracing(plain: Ran, traced: Ran) -> None:
    assert texts(traced) == texts(plain)
    assert {name.rpartition(".")[2] for name in texts(traced)} >= {"json", "py", "txt", "md"}


def test_program_pickles_the_same_with_and_without_tracing(plain: Ran, traced: Ran) -> None:
    assert pickles(traced) == pickles(plain)
    assert len(pickles(traced)) == 3


def anonymous(said: str, ran: Ran) -> str:
    """What was said, without the times and the folder of the run."""
    said = said.replace(ran.folder.name, "FOLDER")
    said = re.sub(r"\d{8}_\d{6}|\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", "TIMESTAMP", said)
    return re.sub(r"\b\d+\.\d{4}(?= seconds)|(?<=_time_planning\": )[\d.]+|(?<=_control\": )[\d.]+", "SECONDS", said)


def texts(ran: Ran) -> dict[str, str]:
    """Files by their names; timing reports by their names alone."""
    found = {}
    for path in sorted((ran.folder / "study").rglob("*")):
        name = anonymous(str(path.relative_to(ran.folder)), ran)
        if path.is_file() and path.suffix != ".pkl":
            found[name] = "" if "timing" in name else anonymous(path.read_text(), ran)
    return found


def pickles(ran: Ran) -> dict[str, str]:
    """Contexts carried over, unpickled."""
    return {
        path.name: anonymous(repr(sorted(pickle.loads(path.read_bytes()).to_dict().items(), key=repr)), ran)
        for path in sorted((ran.folder / "study").rglob("*.pkl"))
    }


# -- its rows ----------------------------------------------------------------------------------------------


def rows(engine: Engine, statement: str) -> list[tuple[Any, ...]]:
    with engine.connect() as connection:
        return [tuple(row) for row in connection.execute(text(statement))]


def test_graph_of_the_study_is_sound(study: Engine) -> None:
    check_invariants(study)


def test_run_and_session_are_filled_as_cmbagent_means_them(study: Engine) -> None:
    assert rows(study, "SELECT mode, model, status, task_description FROM workflow_runs") == [
        ("deep_research", "gpt-4.1-2025-04-14", "completed", TASK)
    ]
    assert rows(study, "SELECT COUNT(*), MIN(status) FROM sessions") == [(1, "active")]


def test_steps_are_filled_as_cmbagent_means_them(study: Engine) -> None:
    assert rows(study, "SELECT step_number, goal, status, progress_percentage FROM workflow_steps ORDER BY 1") == [
        (1, "Compute the spectrum", "completed", 100),
        (2, "Interpret it", "completed", 100),
    ]


def test_each_model_call_has_a_cost_record_with_real_tokens_and_a_price(study: Engine, traced: Ran) -> None:
    total = "SELECT COUNT(*), SUM(prompt_tokens), SUM(completion_tokens), MIN(cost_usd) > 0 FROM cost_records"
    assert rows(study, total) == [(len(traced.asked), *traced.billed, 1)]


def test_each_written_file_has_a_row_linked_to_its_event_and_step(study: Engine) -> None:
    found = rows(
        study,
        """SELECT f.file_path, f.file_type, f.generating_agent, s.step_number, e.event_type, n.node_type,
                  f.size_bytes > 0, LENGTH(f.content_hash)
             FROM files f JOIN execution_events e ON e.id = f.event_id JOIN dag_nodes n ON n.id = f.node_id
             LEFT JOIN workflow_steps s ON s.id = f.step_id ORDER BY f.created_at, f.file_path""",
    )
    assert [(Path(path).name, *others) for path, *others in found] == [
        ("spectrum.py", "code", "executor", 1, "file_gen", "code_exec", 1, 64),
        ("spectrum.py", "code", "executor", 1, "file_gen", "code_exec", 1, 64),
        ("spectrum.txt", "report", "executor", 1, "file_gen", "code_exec", 1, 64),
        ("notes.md", "report", "researcher_executor", 2, "file_gen", "code_exec", 1, 64),
    ]


def test_size_and_hash_of_a_file_are_those_on_disk(study: Engine) -> None:
    found = rows(study, "SELECT file_path, size_bytes, content_hash FROM files ORDER BY created_at")
    last = {path: (size, digest) for path, size, digest in found}
    assert len(last) == 3
    for path, told in last.items():
        content = Path(path).read_bytes()
        assert told == (len(content), hashlib.sha256(content).hexdigest()), path


# -- CMBAgent's own readers ----------------------------------------------------------------------------------


def test_cmbagents_graph_reader_gets_phases_and_steps_in_order(study: Engine) -> None:
    found = rows(study, "SELECT node_type, agent, status, meta FROM dag_steps ORDER BY order_index")
    assert [(json.loads(meta)["id"], node_type, status) for node_type, _, status, meta in found] == [
        ("planning", "planning", "completed"),
        ("plan_review", "plan_review", "completed"),
        ("control", "control", "completed"),
        ("step_1", "step", "failed"),
        ("step_1_redo_1", "branch_point", "completed"),
        ("step_2", "step", "completed"),
    ]


def test_cmbagents_history_reader_gets_every_call_once_and_closed(study: Engine, traced: Ran) -> None:
    history = "FROM step_events WHERE event_subtype <> 'start' AND event_type NOT IN ('node_started', 'node_completed')"
    assert rows(study, f"SELECT COUNT(*) - COUNT(DISTINCT execution_order), MIN(status) {history}") == [
        (0, "completed")
    ]
    assert rows(study, f"SELECT COUNT(*) {history} AND event_type = 'llm_call'") == [(len(traced.asked),)]
    assert rows(study, f"SELECT COUNT(*) {history} AND event_type = 'tool_call'") == [(11,)]
    outside = "node_id NOT IN (SELECT id FROM dag_steps)"
    assert rows(study, f"SELECT COUNT(*) {history} AND {outside}") == [(0,)]


def test_cmbagents_summary_of_nodes_adds_up_to_what_was_billed(study: Engine, traced: Ran) -> None:
    tokens, cost = "SUM(json_extract(meta, '$.tokens'))", "SUM(json_extract(meta, '$.cost_usd'))"
    ((total, spent),) = rows(study, f"SELECT {tokens}, {cost} FROM step_events")
    assert total == sum(traced.billed)
    ((recorded,),) = rows(study, "SELECT SUM(cost_usd) FROM cost_records")
    assert spent == pytest.approx(float(recorded), abs=1e-4)
    redo = (
        f"SELECT {tokens} > 0 FROM step_events WHERE node_id = (SELECT id FROM dag_steps WHERE agent = 'branch_redo_1')"
    )
    assert rows(study, redo) == [(1,)]


def test_cmbagents_cost_reader_gets_agents_models_and_steps(study: Engine) -> None:
    by_step = (
        "SELECT s.step_number, COUNT(*) FROM cost_records c LEFT JOIN workflow_steps s ON s.id = c.step_id GROUP BY 1"
    )
    assert dict(rows(study, f"{by_step} ORDER BY 1")) == {None: 16, 1: 7, 2: 3}
    models = rows(study, "SELECT DISTINCT model FROM cost_records ORDER BY 1")
    assert models == [("gpt-4.1-2025-04-14",), ("o3-mini-2025-01-31",)]
    assert rows(study, "SELECT COUNT(*) FROM cost_records WHERE agent_name IS NULL") == [(0,)]


# -- another process, another day ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def restarted(home: Path, study: Engine, traced: Ran) -> Engine:
    """The study's rows after its second step was restarted by another process."""
    del home, traced
    folder = Path(study.url.database or "").with_suffix("")
    run("restart.py", RESTARTED, folder, traced=True)
    return study


def test_restart_of_a_step_joins_run_and_session(restarted: Engine) -> None:
    # The redo stands in the other day's phase: a parent is of the same trace.
    check_invariants(restarted)
    assert rows(restarted, "SELECT COUNT(*) FROM workflow_runs") == [(1,)]
    assert rows(restarted, "SELECT COUNT(*) FROM sessions") == [(1,)]
    assert rows(restarted, "SELECT COUNT(DISTINCT trace_id), COUNT(DISTINCT run_id) FROM dag_nodes") == [(2, 1)]


def test_restarted_step_is_a_redo_of_the_other_days_attempt(restarted: Engine) -> None:
    found = rows(restarted, "SELECT attempt, trace_id, meta FROM dag_nodes WHERE name LIKE 'step 2%' ORDER BY attempt")
    assert [attempt for attempt, _, _ in found] == [1, 2]
    assert found[0][1] != found[1][1]
    assert rows(
        restarted,
        """SELECT e.dependency_type FROM dag_edges e JOIN dag_nodes f ON f.id = e.from_node_id
             JOIN dag_nodes t ON t.id = e.to_node_id WHERE f.name = 'step 2' AND t.name = 'step 2 redo 1'""",
    ) == [("conditional",)]
    assert rows(restarted, "SELECT COUNT(*) FROM workflow_steps WHERE step_number = 2") == [(1,)]


def test_root_of_the_other_day_resumes_the_first(restarted: Engine) -> None:
    roots = rows(restarted, "SELECT id, meta FROM dag_nodes WHERE parent_node_id IS NULL ORDER BY start_time_unix_nano")
    (first, _), (_, meta) = roots
    assert json.loads(meta)["resumes"] == first


# -- killed in the middle ------------------------------------------------------------------------------------


def test_run_that_is_killed_shows_what_was_done_and_marks_what_was_cut_off(home: Path) -> None:
    replies = scripts.planning_and_control(carried_over=True)
    replies["engineer"] = [replies["engineer"][0], say("Never said.", seconds=60)]
    folder = home / "killed"
    with ScriptedModelServer(scripts.agents(replies)) as server:
        command, surroundings = prepared("carry_over.py", folder, server, traced=True)
        with subprocess.Popen(
            command, cwd=folder, env=surroundings, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        ) as program:
            engine = open_engine(database_url(folder))
            try:
                wait_for(engine, "SELECT 1 FROM dag_nodes WHERE name = 'step 1 redo 1'")
                program.kill()
                program.wait()
                sweep(engine, datetime.now(UTC) + timedelta(hours=1))
                assert rows(engine, "SELECT status FROM workflow_runs") == [("interrupted",)]
                assert rows(
                    engine, "SELECT name, status FROM dag_nodes WHERE depth < 3 ORDER BY start_time_unix_nano"
                ) == [
                    ("invoke_workflow deep_research", "interrupted"),
                    ("phase planning", "completed"),
                    ("invoke_workflow main_cmbagent_chat", "completed"),
                    ("phase plan_review", "completed"),
                    ("phase control", "interrupted"),
                    ("invoke_workflow main_cmbagent_chat", "interrupted"),
                    ("step 1", "failed"),
                    ("step 1 redo 1", "interrupted"),
                ]
                assert rows(engine, "SELECT step_number, status FROM workflow_steps") == [(1, "interrupted")]
                check_invariants(engine)
            finally:
                program.kill()
                engine.dispose()


def wait_for(engine: Engine, statement: str) -> None:
    """Until the statement finds a row; the tables may not be there yet."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        with suppress(DatabaseError):
            if rows(engine, statement):
                return
        time.sleep(0.2)
    pytest.fail(f"never true: {statement}")


# -- the example ---------------------------------------------------------------------------------------------


@pytest.mark.skipif(
    scripts.CONTROLLER != "control", reason="the example's script names the controller of PyPI's CMBAgent"
)
def test_example_runs_offline_and_shows_its_redo(home: Path) -> None:
    folder = home / "example"
    folder.mkdir()
    surroundings = {
        **os.environ,
        "CMBAGENT_OTEL_DATABASE_URL": database_url(folder),
        "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT": "EVENT_ONLY",
    }
    offline = [sys.executable, "-m", "cmbagent_otel.testing", str(EXAMPLE.with_suffix(".json"))]
    said = ""
    for command in ([*offline, str(COMMAND), "run", str(EXAMPLE)], [str(COMMAND), "show", "last"]):
        done = subprocess.run(
            command, cwd=folder, env=surroundings, capture_output=True, text=True, timeout=300, check=False
        )
        assert done.returncode == 0, done.stderr
        said = done.stdout
    assert "redo after failure: Import the modules before they are used." in said
