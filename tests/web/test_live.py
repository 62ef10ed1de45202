"""News of a run that goes on, over a real server, from a database that another connection writes to."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import uvicorn
from sqlalchemy import Engine

from cmbagent_otel.spans.record import SpanRecord
from cmbagent_otel.store.writer import Writer
from cmbagent_otel.web.app import create_viewer
from tests.web.spans import Spans

PATIENCE = 20.0


@pytest.fixture
def server(migrated_url: str) -> Iterator[str]:
    """A viewer on both kinds of database in turn, over real HTTP."""
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(create_viewer(migrated_url), log_level="error", timeout_graceful_shutdown=1)
    serving = uvicorn.Server(config)
    thread = threading.Thread(target=serving.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    while not serving.started:
        time.sleep(0.01)
    yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    serving.should_exit = True
    thread.join(10)
    listener.close()


@pytest.fixture
def writer(engine: Engine) -> Writer:
    return Writer(engine)


def open_run() -> tuple[Spans, str]:
    run = Spans()
    root = run.workflow("live", 0, None, "A run that goes on")
    with run.inside(root):
        run.llm(0, 1)
    return run, root


def ended(run: Spans, span_id: str, seconds: float) -> SpanRecord:
    """The span as it ended."""
    record = next(record for record in run.records() if record.span_id == span_id)
    return record._replace(end_time_unix_nano=run.at(seconds))


class Stream:
    """The events of a run, read one by one."""

    def __init__(self, lines: Iterator[str]) -> None:
        self._lines = lines

    def next(self) -> tuple[str, str, Any]:
        """Event, id and data of the next event; comments and retry times are passed over."""
        event: dict[str, str] = {}
        for line in self._lines:
            name, _, value = line.partition(": ")
            if line == "" and "data" in event:
                return event["event"], event.get("id", ""), json.loads(event["data"])
            event[name] = value
        raise AssertionError("the stream ended")


def follow(client: httpx.Client, url: str, revision: str = "") -> Any:
    return client.stream("GET", url, params={"rev": revision}, timeout=PATIENCE)


def test_what_is_committed_arrives_as_a_delta_and_the_end_as_the_end(server: str, writer: Writer) -> None:
    run, root = open_run()
    writer.write(run.records())
    with httpx.Client() as client:
        picture = client.get(f"{server}/api/runs/last/graph").json()
        with follow(client, f"{server}/api/runs/last/events", picture["revision"]) as answer:
            assert answer.headers["content-type"].startswith("text/event-stream")
            stream = Stream(answer.iter_lines())
            with run.inside(root):
                call = run.tool("look_up", 2, 3)
            writer.write(run.records()[-1:])
            name, revision, delta = stream.next()
            assert name == "delta"
            assert revision != picture["revision"]
            assert run.id(call) in json.dumps(delta["cards"])
            assert "reset" not in delta
            writer.write([ended(run, root, 9)])
            name, _, delta = stream.next()
            assert (name, delta["head"]["status"]) == ("delta", "completed")
            assert stream.next()[0] == "end"


def test_reader_who_comes_back_is_told_what_was_missed(server: str, writer: Writer) -> None:
    run, root = open_run()
    writer.write(run.records())
    with httpx.Client() as client:
        seen = client.get(f"{server}/api/runs/last/graph").json()["revision"]
        with run.inside(root):
            call = run.tool("look_up", 2, 3)
        writer.write(run.records()[-1:])
        headers = {"Last-Event-ID": seen}
        with client.stream("GET", f"{server}/api/runs/last/events", headers=headers, timeout=PATIENCE) as answer:
            _, _, delta = Stream(answer.iter_lines()).next()
        assert "reset" not in delta
        assert run.id(call) in json.dumps(delta["cards"])


def test_reader_with_a_revision_of_another_server_starts_anew(server: str, writer: Writer) -> None:
    run, _ = open_run()
    writer.write(run.records())
    with httpx.Client() as client, follow(client, f"{server}/api/runs/last/events", "other.7") as answer:
        _, _, delta = Stream(answer.iter_lines()).next()
    assert delta["reset"] is True
    assert set(delta["order"]) == set(delta["cards"]) | set(delta["frames"])


def test_who_asks_instead_of_listening_is_told_the_same(server: str, writer: Writer) -> None:
    run, root = open_run()
    writer.write(run.records())
    with httpx.Client() as client:
        seen = client.get(f"{server}/api/runs/last/graph").json()["revision"]
        assert set(client.get(f"{server}/api/runs/last/delta?rev={seen}").json()) == {"schema", "revision", "now_ms"}
        with run.inside(root):
            call = run.tool("look_up", 2, 3)
        writer.write(run.records()[-1:])
        delta = client.get(f"{server}/api/runs/last/delta?rev={seen}").json()
        assert run.id(call) in json.dumps(delta["cards"])


def test_many_readers_of_a_run_share_one_watcher(server: str, writer: Writer) -> None:
    run, root = open_run()
    writer.write(run.records())
    with httpx.Client() as one, httpx.Client() as other:
        url = f"{server}/api/runs/last/events"
        with follow(one, url) as first, follow(other, url) as second:
            streams = [Stream(first.iter_lines()), Stream(second.iter_lines())]
            assert [stream.next()[2]["reset"] for stream in streams] == [True, True]
            writer.write([ended(run, root, 9)])
            assert [stream.next()[2]["head"]["open"] for stream in streams] == [False, False]


def test_looking_locks_nobody_out(server: str, writer: Writer) -> None:
    run, root = open_run()
    writer.write(run.records())
    with httpx.Client() as client, follow(client, f"{server}/api/runs/last/events") as answer:
        stream = Stream(answer.iter_lines())
        stream.next()
        for number in range(20):
            with run.inside(root):
                run.tool(f"tool_{number}", 2 + number, 3 + number)
            writer.write(run.records()[-1:])
        told = ""
        while "tool_19" not in told:
            told = json.dumps(stream.next()[2])
