"""``purge`` as people type it."""

from __future__ import annotations

import json

import pytest
from sqlalchemy import Engine

from tests.cli.conftest import Call
from tests.query.stored import research


def test_it_deletes_what_it_is_told_and_says_so(call: Call, stored: Engine) -> None:
    run_id = research(stored).run_id
    planned = json.loads(call("purge", "--run", run_id, "--dry-run", "--json").out)
    assert planned["run_ids"] == [run_id]
    assert planned["dry_run"] is True
    assert call("purge", "--run", run_id).out.startswith("1 run (")
    assert json.loads(call("runs", "--json").out)["runs"] == []
    assert call("purge", "--older-than", "2w").out == "Nothing to delete.\n"


@pytest.mark.parametrize("age", ["30", "d", "a month", "-3d"])
def test_a_bad_age_is_told_the_right_form(call: Call, age: str) -> None:
    done = call("purge", f"--older-than={age}")
    assert done.code == 2
    assert "30d, 12h, 2w" in done.err
