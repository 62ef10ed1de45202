"""A burst of 100,000 spans, as fast as Python makes them: none is lost, also where the database is away at first."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress

import pytest
from opentelemetry import trace
from sqlalchemy import Engine, text
from sqlalchemy.engine import make_url

import cmbagent_otel as otel

SPANS = 100_000
pytestmark = pytest.mark.timeout(1_200)


def burst() -> None:
    tracer = trace.get_tracer("burst")
    with otel.workflow("w"):
        for number in range(SPANS):
            tracer.start_span(f"span {number}").end()


def all_are_there(engine: Engine) -> None:
    with engine.connect() as connection:
        stored = connection.execute(text("SELECT count(*), count(DISTINCT name), count(depth) FROM dag_nodes")).one()
    assert tuple(stored) == (SPANS + 1,) * 3


def test_a_burst_loses_no_span(migrated_url: str, engine: Engine) -> None:
    assert otel.configure(database_url=migrated_url)
    burst()
    assert otel.flush(1_000)
    otel.shutdown()
    all_are_there(engine)


class Road:
    """The way to a server, closed at first."""

    def __init__(self, to: tuple[str, int]) -> None:
        self._to = to
        self._listener = socket.socket()
        self._listener.bind(("127.0.0.1", 0))  # bound and not listening: connections are refused
        self.port: int = self._listener.getsockname()[1]

    def open(self) -> None:
        self._listener.listen()
        threading.Thread(target=self._lead, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def _lead(self) -> None:
        with suppress(OSError):
            while True:
                here, _ = self._listener.accept()
                there = socket.create_connection(self._to)
                for one, other in ((here, there), (there, here)):
                    threading.Thread(target=self._carry, args=(one, other), daemon=True).start()

    def _carry(self, one: socket.socket, other: socket.socket) -> None:
        with suppress(OSError):
            while chunk := one.recv(65_536):
                other.sendall(chunk)
        for each in (one, other):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def road(migrated_postgres_url: str) -> Iterator[Road]:
    url = make_url(migrated_postgres_url)
    made = Road((url.host or "", url.port or 5432))
    yield made
    made.close()


def test_a_burst_while_the_database_is_away_is_there_once_it_is_back(migrated_postgres_url: str, road: Road) -> None:
    from cmbagent_otel.store.engine import open_engine

    behind = make_url(migrated_postgres_url).set(host="127.0.0.1", port=road.port)
    assert otel.configure(database_url=behind.render_as_string(hide_password=False))
    burst()
    road.open()
    deadline = time.monotonic() + 1_000
    engine = open_engine(migrated_postgres_url)
    with engine.connect() as connection:
        while connection.execute(text("SELECT count(*) FROM dag_nodes")).scalar_one() <= SPANS:
            assert time.monotonic() < deadline
            connection.rollback()
            with otel.workflow("another"):  # a process that goes on goes on telling
                time.sleep(0.5)
    otel.shutdown()
    with engine.connect() as connection:
        spans = "SELECT count(*), count(DISTINCT name) FROM dag_nodes WHERE name LIKE 'span %'"
        assert tuple(connection.execute(text(spans)).one()) == (SPANS, SPANS)
    engine.dispose()
