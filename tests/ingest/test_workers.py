"""The sink as a program: worker processes, signals, and what it says."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.ingest.conftest import a_span, body_of
from tests.ingest.test_sink import counts_of, names_at
from tests.stack.binaries import ROOT
from tests.stack.processes import Sink

CONTENT = {"content-type": "application/x-protobuf"}


@pytest.fixture
def three_workers(tmp_path: Path, migrated_postgres_url: str) -> Iterator[Sink]:
    sink = Sink(tmp_path, migrated_postgres_url, workers=3)
    sink.start()
    yield sink
    sink.stop()


def children_of(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def counts(sink: Sink) -> dict[str, float]:
    with httpx.Client(base_url=sink.url) as client:
        return counts_of(client)


def wait_for_workers(sink: Sink, number: int) -> None:
    deadline = time.monotonic() + 60
    while counts(sink)["workers_ready"] != number:
        assert time.monotonic() < deadline
        time.sleep(0.05)


def send(sink: Sink, number: int) -> int:
    """One span on a connection of its own, so that any worker may get it."""
    span = a_span(span_id=number.to_bytes(8, "big"), name=f"n{number:03}", trace_id=number.to_bytes(16, "big"))
    return httpx.post(f"{sink.url}/v1/traces", content=body_of(span), headers=CONTENT).status_code


def test_workers_share_the_port_and_count_together(three_workers: Sink, migrated_postgres_url: str) -> None:
    wait_for_workers(three_workers, 3)
    assert [send(three_workers, number) for number in range(1, 31)] == [200] * 30
    assert counts(three_workers)["records_written_total"] == 30
    assert len(names_at(migrated_postgres_url)) == 30


def test_a_worker_that_is_killed_is_replaced_and_its_counts_are_kept(three_workers: Sink) -> None:
    wait_for_workers(three_workers, 3)
    assert send(three_workers, 1) == 200
    before = children_of(three_workers.pid)
    for pid in before:
        os.kill(pid, signal.SIGKILL)
    while len(set(children_of(three_workers.pid)) - set(before)) < 3:
        time.sleep(0.05)
    wait_for_workers(three_workers, 3)
    assert send(three_workers, 2) == 200
    assert counts(three_workers)["records_written_total"] == 2


def test_workers_end_with_their_supervisor_however_it_ends(three_workers: Sink) -> None:
    wait_for_workers(three_workers, 3)
    workers = children_of(three_workers.pid)
    three_workers.kill()
    deadline = time.monotonic() + 30
    while any(Path(f"/proc/{pid}").exists() for pid in workers):
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.parametrize("workers", [1, 2])
def test_a_request_under_way_is_answered_before_the_sink_ends(
    tmp_path: Path, migrated_postgres_url: str, workers: int
) -> None:
    sink = Sink(tmp_path, migrated_postgres_url, workers=workers)
    sink.start()
    body = body_of(a_span(name="the last"))

    def slowly() -> Iterator[bytes]:
        yield body[:10]
        os.kill(sink.pid, signal.SIGTERM)
        time.sleep(0.5)
        yield body[10:]

    assert httpx.post(f"{sink.url}/v1/traces", content=slowly(), headers=CONTENT).status_code == 200
    sink.stop()
    assert names_at(migrated_postgres_url) == ["the last"]


def test_a_wrong_setting_is_one_line_and_exit_code_2() -> None:
    said = subprocess.run(
        [sys.executable, "-m", "collector", "--host", "0.0.0.0"], capture_output=True, text=True, check=False, cwd=ROOT
    )
    assert (said.returncode, said.stderr.count("\n")) == (2, 1)
    assert "CMBAGENT_OTEL_TOKEN" in said.stderr
