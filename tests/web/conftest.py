"""A viewer on a database with runs in it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import pytest
from starlette.testclient import TestClient

from cmbagent_otel.spans.record import Record
from cmbagent_otel.store.engine import open_engine
from cmbagent_otel.store.writer import Writer
from cmbagent_otel.web.app import create_viewer
from tests.web.spans import Spans, research

BASE = "http://localhost"
Write = Callable[[Sequence[Record]], None]


@pytest.fixture
def write(migrated_sqlite_url: str) -> Iterator[Write]:
    """Writes records into the database that the viewer shows."""
    engine = open_engine(migrated_sqlite_url)
    writer = Writer(engine)

    def write_all(records: Sequence[Record]) -> None:
        result = writer.write(records)
        assert result.rejected == 0

    yield write_all
    engine.dispose()


@pytest.fixture
def client(migrated_sqlite_url: str) -> Iterator[TestClient]:
    """Asks a viewer as this machine's browser does."""
    with TestClient(create_viewer(migrated_sqlite_url, jaeger_url="http://localhost:16686"), base_url=BASE) as asking:
        yield asking


@pytest.fixture
def spans(write: Write) -> Spans:
    """A run that goes on, in the database."""
    made = research()
    write([*made.records(), made.alive()])
    return made
