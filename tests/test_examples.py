"""The examples, started as a reader starts them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

EXAMPLES = Path(__file__).parent.parent / "examples"
COMMAND = Path(sys.executable).with_name("cmbagent-otel")


class Reader:
    """Someone with a shell, a database and no key."""

    def __init__(self, folder: Path, database_url: str, **variables: str) -> None:
        self._folder = folder
        self._environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("OPENAI_", "COLUMNS"))},
            "CMBAGENT_OTEL_DATABASE_URL": database_url,
            "XDG_STATE_HOME": str(folder / "state"),
            **variables,
        }

    def types(self, *words: str | Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            words, cwd=self._folder, env=self._environment, capture_output=True, text=True, check=False
        )

    def shows_last(self) -> dict[str, Any]:
        said = self.types(COMMAND, "show", "last", "--json")
        assert said.returncode == 0, said.stderr
        document: dict[str, Any] = json.loads(said.stdout)
        return document


@pytest.fixture
def reader(tmp_path: Path, migrated_url: str) -> Reader:
    return Reader(tmp_path, migrated_url)


def test_the_demo_prints_its_run_as_a_tree_with_the_redo_and_its_hypothesis(reader: Reader) -> None:
    said = reader.types(sys.executable, EXAMPLES / "demo.py")
    assert (said.stderr, said.returncode) == ("", 0)
    tree = said.stdout.partition("show last\n")[2]
    for words in (
        "planning",
        "reviewer  ← planner",
        "human person",
        "step 2",
        "code python  exit 1",
        "redo after failure: Deconvolve the beam before the fit",
        "attempt 2",
        "tool record_judgement",
    ):
        assert words in tree
    document = reader.shows_last()
    assert [(step["number"], len(step["attempts"])) for step in document["steps"]] == [(1, 1), (2, 2), (3, 1)]
    totals = document["run"]["totals"]
    assert (totals["tool_calls"], totals["code_runs"], totals["approvals"], totals["redos"]) == (6, 4, 1, 1)


BILLED = """
import json, pathlib, sys, tempfile
sys.path.insert(0, sys.argv[1])
import demo, power_spectrum
from cmbagent_otel.testing import ScriptedModelServer, by_agent

demo.IOStream.set_global_default(demo.Console())
with ScriptedModelServer(by_agent(demo.REPLIES)) as server, tempfile.TemporaryDirectory() as work_dir:
    power_spectrum.measure_spectral_index(server.llm_config(), pathlib.Path(work_dir))
print(json.dumps([len(server.requests), *server.billed[:2]]))
"""


def test_the_demo_counts_the_tokens_that_the_model_bills_untraced(tmp_path: Path, migrated_sqlite_url: str) -> None:
    reader = Reader(tmp_path, migrated_sqlite_url)
    assert reader.types(sys.executable, EXAMPLES / "demo.py").returncode == 0
    untraced = reader.types(sys.executable, "-c", BILLED, EXAMPLES)
    totals = reader.shows_last()["run"]["totals"]
    counted = [totals["llm_calls"], totals["input_tokens"], totals["output_tokens"]]
    assert counted == json.loads(untraced.stdout.splitlines()[-1])


def test_what_the_demo_says_to_type_next_works_as_typed(tmp_path: Path, migrated_sqlite_url: str) -> None:
    reader = Reader(tmp_path, migrated_sqlite_url, PATH="/usr/bin:/bin")
    said = reader.types(sys.executable, EXAMPLES / "demo.py")
    (typed,) = [line.removeprefix("$ ") for line in said.stdout.splitlines() if line.startswith("$ ")]
    assert "step 2" in reader.types("sh", "-c", typed).stdout


def test_the_live_demo_names_the_key_that_it_needs(tmp_path: Path, sqlite_url: str) -> None:
    reader = Reader(tmp_path, sqlite_url)
    said = reader.types(sys.executable, EXAMPLES / "demo.py", "--live")
    assert said.returncode == 1
    assert "OPENAI_API_KEY is not set: export OPENAI_API_KEY" in said.stderr


def test_a_program_without_one_line_of_ours_is_traced_in_one_trace(reader: Reader) -> None:
    said = reader.types(
        sys.executable,
        *("-m", "cmbagent_otel.testing", EXAMPLES / "plain_chat.json"),
        *(COMMAND, "run", EXAMPLES / "plain_chat.py"),
    )
    assert (said.returncode, said.stderr) == (0, "")
    assert said.stdout.endswith("Within 2 Gpc lie 33.5 Gpc^3. \n")
    document = reader.shows_last()
    assert document["run"]["mode"] == "plain_chat"
    assert [node["parent"] for node in document["nodes"]].count(None) == 1
    totals = document["run"]["totals"]
    assert (totals["llm_calls"], totals["tool_calls"]) == (2, 1)
