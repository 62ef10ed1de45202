"""Fixtures: stock CMBAgent with a scripted model."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cmbagent_otel import resumption
from cmbagent_otel.instrumentation import health
from tests.cmbagent import reenactment, scripts, stage
from tests.cmbagent.stage import Play, Played, Replies
from tests.scenarios.stage import Recorder


@pytest.fixture
def play(tmp_path: Path) -> Play:
    def run(function: str, replies: Replies, **others: Any) -> Played:
        return stage.play(function, replies, tmp_path, **others)

    return run


@pytest.fixture(scope="session")
def retried(tmp_path_factory: pytest.TempPathFactory) -> Played:
    """``one_shot`` with code that fails twice."""
    return stage.play("one_shot", scripts.one_shot(failures=2), tmp_path_factory.mktemp("retried"))


@pytest.fixture(scope="session")
def planned(tmp_path_factory: pytest.TempPathFactory) -> Played:
    """``planning_and_control`` of two steps, with a plan review and a redo."""
    folder = tmp_path_factory.mktemp("planned")
    return stage.play("planning_and_control", scripts.planning_and_control(), folder)


@pytest.fixture
def kept_runs(tmp_path: Path) -> Iterator[Path]:
    """A folder that knows where runs were left."""
    folder = tmp_path / "runs"
    resumption.configure(folder)
    yield folder
    resumption.configure(None)


@pytest.fixture
def recorder() -> Iterator[Recorder]:
    """What is recorded of the re-enactment of CMBAgent's fork."""
    recorder = Recorder()
    with reenactment.imported(), stage.installed(recorder):
        yield recorder
        assert health.health().faults == {}
        assert recorder.left_open == []
