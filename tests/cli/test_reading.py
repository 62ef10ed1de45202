"""``runs``, ``show``, ``diff`` and ``export``, on both databases."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from sqlalchemy import Engine

from tests.cli.conftest import Call
from tests.query.stored import Recorder, research

TREE = """\
✓ planning_and_control
└─ ✓ control
   ├─ ✓ step 1  Simulate maps
   │  └─ ✓ engineer
   │     ├─ ✓ chat gpt-4.1
   │     └─ ✓ tool get_camb_help
   ├─ ✗ step 2  Power spectrum  attempt 1, replaced
   │  └─ ✗ engineer
   │     ├─ ✓ chat gpt-4.1
   │     └─ ✗ code python  exit 1
   │  ↻ redo after failure: Deconvolve the beam first
   └─ ✓ step 2  Power spectrum  attempt 2
      └─ ✓ engineer
         ├─ ✓ chat a-model-without-a-price
         └─ ✓ code python  exit 0
"""


_FIGURES = r"\s{2,}(?=(?:< )?\d[\d.]* (?:ms|s|m|h)\b)"


def tree(text: str) -> str:
    """The picture alone, without head and columns."""
    picture = text.split("\n\n", 1)[1].rstrip("\n")
    return "".join(f"{re.split(_FIGURES, line)[0]}\n" for line in picture.splitlines())


def test_show_draws_the_run_with_its_redo(stored: Engine, call: Call) -> None:
    research(stored)
    done = call("show")
    assert done.code == 0
    assert tree(done.out) == TREE
    head = done.out.split("\n\n", maxsplit=1)[0].splitlines()
    assert head[0] == "✓ Measure the spectral index  planning_and_control"
    assert head[2].startswith("completed · 1 m 40 s · at least $0.0072 ($0.0036 in replaced attempts)")
    assert head[2].endswith(
        "3.0 k in, 600 out · 3 model calls · 1 tool call · 2 code runs · 1 redo · 1 error",
    )
    root, *_, last = done.out.splitlines()[4:]
    assert root.split()[2:5] == ["1", "m", "40"]
    assert last.endswith("9.0 s")


def test_show_can_be_narrowed(stored: Engine, call: Call) -> None:
    research(stored)
    assert tree(call("show", "--depth", "1").out) == "✓ planning_and_control\n└─ ✓ control\n   └─ … 12 more below\n"
    failed = tree(call("show", "--errors").out)
    assert "exit 1" in failed
    assert "exit 0" not in failed
    assert "step 1" not in failed
    assert tree(call("show", "--status", "failed").out) == failed
    assert call("show", "--agent", "nobody").out.endswith("Nothing in this run is like that.\n")
    assert "tool get_camb_help" in call("show", "--agent", "engineer").out


def test_show_writes_the_whole_run_as_json(stored: Engine, call: Call) -> None:
    made = research(stored)
    document = json.loads(call("show", "--json").out)
    assert document["schema"] == 1
    assert document["run"]["id"] == made.run_id
    assert document["run"]["totals"]["redos"] == 1
    assert len(document["nodes"]) == len(made.spans)
    assert [len(step["attempts"]) for step in document["steps"]] == [1, 2]
    assert {edge["dependency_type"] for edge in document["edges"]} == {"conditional"}
    assert json.loads(call("export").out) == {**document, "run": document["run"]}


def test_a_run_that_is_going_on_says_where_it_is(stored: Engine, call: Call) -> None:
    made = Recorder(stored)
    root = made.workflow(to=None)
    made.agent(root, "engineer", at=1, to=None)
    made.store()
    out = call("show").out
    assert "no news for" in out
    assert "now: engineer" in out
    assert "failed" not in out


def test_runs_lists_them(stored: Engine, call: Call) -> None:
    assert call("runs").out.endswith("yet. Trace a program: `cmbagent-otel run SCRIPT`.\n")
    first = research(stored, 0xA1 << 56, task="The first")
    second = research(stored, 0xA2 << 56, at=1000, task="The second")
    heading, newest, oldest = call("runs").out.splitlines()
    assert heading.split()[:3] == ["run", "what", "status"]
    assert newest.split()[:4] == ["✓", second.run_id[:8], "The", "second"]
    assert oldest.split()[:2] == ["✓", first.run_id[:8]]
    assert "1 m 40 s" in newest
    assert call("runs", "--search", "FIRST").out.splitlines()[1:] == [oldest]
    assert call("runs", "--status", "failed").out == "No run is like that. `cmbagent-otel runs` lists all.\n"
    document = json.loads(call("runs", "--json", "-n", "1").out)
    assert document["schema"] == 1
    assert [run["title"] for run in document["runs"]] == ["The second"]
    assert document["runs"][0]["cost_at_least"] is True


def test_ids_in_the_list_are_as_long_as_it_takes_to_tell_them_apart(stored: Engine, call: Call) -> None:
    runs = [research(stored, (0xA1 << 56) + number, at=number) for number in range(2)]
    listed = [line.split()[1] for line in call("runs").out.splitlines()[1:]]
    assert len(set(listed)) == 2
    for name in listed:
        assert call("show", name).code == 0
    assert call("show", runs[0].run_id[:8]).code == 1


def test_a_name_of_no_run_is_one_line_with_the_newest(stored: Engine, call: Call) -> None:
    made = research(stored)
    done = call("show", "nothing-like-it")
    assert done.code == 1
    assert done.out == ""
    assert done.err.count("\n") == 1
    assert made.run_id[:8] in done.err


def test_diff_compares_the_last_two_attempts_of_a_step(stored: Engine, call: Call) -> None:
    research(stored)
    out = call("diff", "last:2").out
    assert "step 2, attempt 1" in out
    assert "step 2, attempt 2" in out
    assert "Deconvolve the beam first" in out
    assert "~ engineer: code python  ✗ exit 1 → ✓ exit 0" in out
    assert call("diff", "last:2.1", "last:2.2").out == out
    document = json.loads(call("diff", "last:2", "--json").out)
    assert [pair["change"] for pair in document["calls"]] == ["removed", "added", "changed"]
    assert call("diff", "last:1").code == 2
    assert call("diff", "last:7").code == 1


def test_diff_compares_two_runs_step_by_step(stored: Engine, call: Call) -> None:
    research(stored, 1)
    other = Recorder(stored, 2, at=500)
    root = other.workflow(to=40)
    other.step(root, 1, "Simulate maps", at=1, to=10)
    other.step(root, 3, "Write it up", at=11, to=20)
    other.store()
    first, second = (line.split()[1] for line in call("runs").out.splitlines()[1:][::-1])
    out = call("diff", first, second).out
    plan = out[out.index("\nplan\n") :].splitlines()[2:5]
    assert plan == [
        "    step 1  Simulate maps  ✓ in 1 attempt",
        "  - step 2  Power spectrum  ✓ in 2 attempts",
        "  + step 3  Write it up  ✓ in 1 attempt",
    ]


@pytest.mark.parametrize(
    ("form", "beginning"),
    [("mermaid", "flowchart LR"), ("dot", "digraph "), ("json", "{"), ("html", "<!doctype html>")],
)
def test_export_writes_to_the_screen_or_a_file(
    stored: Engine, call: Call, tmp_path: Path, form: str, beginning: str
) -> None:
    research(stored)
    written = call("export", "last", "--format", form)
    assert written.out.startswith(beginning)
    target = tmp_path / "run.txt"
    assert call("export", "last", "-f", form, "-o", str(target)).out == ""
    assert target.read_text().startswith(beginning)
    assert call("export", "-o", str(tmp_path / "no" / "folder")).code == 2


def test_what_a_run_says_cannot_steer_the_terminal(stored: Engine, call: Call) -> None:
    made = Recorder(stored)
    hostile = "evil\x1b[2J\x1b]0;owned\x07 \u202etxt\r\n[bold]markup[/bold] :bomb:"
    root = made.workflow(hostile, task=hostile)
    made.tool(made.agent(root, hostile), hostile)
    made.store()
    for words in (("show",), ("runs",), ("watch",), ("diff", "last", "last", "--all"), ("show", "--agent", "x")):
        out = call(*words).out
        assert out
        assert not set(out) & {"\x1b", "\r", "\x07", "\u202e"}
    assert "[bold]markup[/bold] :bomb:" in call("show").out


def test_watch_prints_a_line_for_each_change_and_ends_with_the_run(stored: Engine, call: Call) -> None:
    made = research(stored)
    lines = call("watch").out.splitlines()
    assert len(lines) == 2 + len(made.spans) + 1
    assert "completed · 1 m 40 s" in lines[-1]
