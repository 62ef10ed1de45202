"""Fixtures of the scenarios: play a program with hooks and get its trace, or perform it and get what a user sees."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from cmbagent_otel import content
from cmbagent_otel.instrumentation import health
from cmbagent_otel.instrumentation.autogen import AutogenInstrumentor
from tests.scenarios import stage
from tests.scenarios.observed import Observed, observe_all
from tests.scenarios.stage import Perform, Performance, Play, Recorder
from tests.scenarios.trace import Trace
from tests.scenarios.world import Program, World


@pytest.fixture(scope="session")
def observed(tmp_path_factory: pytest.TempPathFactory) -> Observed:
    """What is seen of every program without hooks and with, and its spans; each test that needs it may wait for it."""
    return observe_all(tmp_path_factory.mktemp("observed"))


@pytest.fixture(autouse=True)
def _quiet_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """AG2 writes caches and chats into the working directory."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "chats").mkdir()


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


@pytest.fixture
def hooks(recorder: Recorder) -> Iterator[AutogenInstrumentor]:
    """The hooks, on a provider of the test's own; gone afterwards."""
    health.reset()
    with stage.installed(recorder) as instrumentor:
        yield instrumentor


@pytest.fixture
def perform(tmp_path: Path) -> Perform:
    numbers = count()

    def run(program: Program) -> tuple[object, World]:
        if not program.possible:
            pytest.skip("this AG2 can't do it")
        return stage.perform(program, tmp_path / f"{program.name}_{next(numbers)}")

    return run


@pytest.fixture
def play(hooks: AutogenInstrumentor, recorder: Recorder, perform: Perform) -> Play:
    del hooks

    def run(program: Program, *, traces: int | None = None) -> Performance:
        outcome, world = perform(program)
        trace = Trace(recorder.ended)
        stage.check(trace, world, recorder, program.traces if traces is None else traces)
        return Performance(outcome, world, trace)

    return run


@pytest.fixture
def content_on(hooks: AutogenInstrumentor) -> Iterator[None]:
    """The content gate, open."""
    del hooks
    content.configure(recorded=True, on_spans=True, limit=65536)
    yield
    content.reset()
