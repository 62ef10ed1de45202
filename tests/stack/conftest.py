"""These tests need the built binaries and minutes: they run when they are asked for by path (`make test-stack`)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.stack.processes import Collector, Jaeger, Sink

_HERE = Path(__file__).parent


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    asked_for = any(Path(config.invocation_params.dir, arg.split("::")[0]).is_relative_to(_HERE) for arg in config.args)
    return None if asked_for or not collection_path.is_relative_to(_HERE) else True


@pytest.fixture(scope="session")
def jaeger(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Jaeger]:
    """A Jaeger of the session; every test has traces of its own."""
    part = Jaeger(tmp_path_factory.mktemp("jaeger"))
    part.start()
    yield part
    part.stop()


@pytest.fixture
def sink(tmp_path: Path, migrated_postgres_url: str) -> Iterator[Sink]:
    """A sink on a PostgreSQL database of its own, that of ``migrated_postgres_url``."""
    part = Sink(tmp_path, migrated_postgres_url)
    part.start()
    yield part
    part.stop()


@pytest.fixture
def collector(tmp_path: Path, sink: Sink, jaeger: Jaeger) -> Iterator[Collector]:
    """The Collector of ``otel-collector.yaml``, between the program and both."""
    part = Collector(tmp_path, sink=sink.url, jaeger=jaeger.otlp_endpoint)
    part.start()
    yield part
    part.stop()
