"""What may stand beside us has an environment of its own (``make test-beside``)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from opentelemetry.sdk.trace import TracerProvider

from cmbagent_otel import scope, settings
from cmbagent_otel.instrumentation import health
from cmbagent_otel.processor import DagSpanProcessor
from tests.ag2.recorder import Recorder


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


@pytest.fixture
def database(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'runs.db'}"


@pytest.fixture
def provider(recorder: Recorder, database: str, tmp_path: Path) -> Iterator[TracerProvider]:
    """Spans go into a database of the test's own, and to the recorder; no code of ours fails."""
    health.reset()
    made = TracerProvider(shutdown_on_exit=False)
    made.add_span_processor(DagSpanProcessor(settings.load(database_url=database, spool_dir=str(tmp_path / "spool"))))
    made.add_span_processor(recorder)
    yield made
    made.shutdown()
    scope.reset()
    assert health.health().faults == {}
