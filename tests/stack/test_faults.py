"""What happens when a part is away, is killed, or is sent what it should not be."""

from __future__ import annotations

import signal
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy.engine import make_url

from cmbagent_otel.store.engine import open_engine
from cmbagent_otel.store.migrate import upgrade
from tests.invariants import check_invariants
from tests.postgresql import SERVER_OPTIONS, OwnServer, installations
from tests.stack.binaries import COLLECTOR, ROOT, binary
from tests.stack.load import SPANS_IN_TRACE, Load, load_on, traces_in, wait_for_traces, wait_until
from tests.stack.processes import Collector, Sink

OUTAGE_SECONDS = 60


def check_nothing_lost_nothing_twice(url: str, taken: list[int]) -> None:
    """Every trace that was taken is there, whole and once; the others too, if at all."""
    assert taken
    found = wait_for_traces(url, taken)
    assert set(found.values()) == {SPANS_IN_TRACE}
    engine = open_engine(url)
    check_invariants(engine)
    engine.dispose()


# -- the sink ----------------------------------------------------------------------------------------------


def test_a_sink_killed_under_load_loses_nothing_that_it_answered_200(
    tmp_path: Path, migrated_postgres_url: str
) -> None:
    sink = Sink(tmp_path, migrated_postgres_url)
    sink.start()
    with load_on(sink.url) as load:
        for _kill in range(3):
            so_far = len(load.taken)
            wait_until(lambda so_far=so_far: len(load.taken) > so_far + 20)  # type: ignore[misc]
            sink.kill()
            answered = list(load.taken)
            assert traces_in(migrated_postgres_url).keys() >= set(answered)
            sink.start()
        load.finish()
    sink.stop()
    check_nothing_lost_nothing_twice(migrated_postgres_url, load.taken)


# -- PostgreSQL --------------------------------------------------------------------------------------------


class RestartableServer(OwnServer):
    """A PostgreSQL that can be stopped and started again, on the same port with the same data."""

    def end(self) -> None:
        """Shut down, whoever is connected."""
        self._process.send_signal(signal.SIGINT)
        self._process.wait(30)

    def begin_again(self) -> None:
        """Start on the same port and data."""
        port = make_url(self.url).port
        assert port is not None
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self._process.args,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.folder,
                **self._account.as_arguments(),
            )
        assert self._is_ready(self._process, port)


@pytest.fixture
def restartable(monkeypatch: pytest.MonkeyPatch) -> Iterator[RestartableServer]:
    # What is asked here is that a commit lasts.
    for option in ("fsync", "synchronous_commit", "full_page_writes"):
        monkeypatch.setitem(SERVER_OPTIONS, option, "on")
    server = RestartableServer(installations()[0])
    yield server
    server.stop()


@pytest.mark.timeout(400)
def test_postgresql_away_for_a_minute_under_load_loses_nothing_and_doubles_nothing(
    tmp_path: Path, restartable: RestartableServer
) -> None:
    url = restartable.create_database()
    engine = open_engine(url)
    upgrade(engine)
    engine.dispose()
    sink = Sink(tmp_path, url)
    sink.start()
    collector = Collector(tmp_path, sink=sink.url)
    collector.start()
    with load_on(collector.endpoint, threads=2, pause=0.1) as load:
        wait_until(lambda: len(load.taken) > 20)
        restartable.end()
        before = len(load.taken)
        time.sleep(OUTAGE_SECONDS)
        assert len(load.taken) > before, "the Collector takes what the sink can't"
        restartable.begin_again()
        load.finish()
    check_nothing_lost_nothing_twice(url, load.taken)
    collector.stop()
    sink.stop()


# -- the Collector -----------------------------------------------------------------------------------------

SMALL_QUEUE = "exporters::otlp_http/sink::sending_queue::queue_size: 400"
NO_JAEGER = "service::pipelines::traces::exporters: [otlp_http/sink]"


def queued(collector: Collector) -> float:
    """Spans in the queue to the sink."""
    with urllib.request.urlopen(collector.metrics_url, timeout=5) as answer:
        lines = answer.read().decode().splitlines()
    return sum(
        float(line.rpartition(" ")[2])
        for line in lines
        if line.startswith("otelcol_exporter_queue_size{") and "otlp_http/sink" in line and 'traces"' in line
    )


def test_a_collector_killed_with_a_full_queue_hands_all_of_it_over_later(
    tmp_path: Path, migrated_postgres_url: str
) -> None:
    sink = Sink(tmp_path, migrated_postgres_url)  # not started yet
    collector = Collector(tmp_path, sink=sink.url, overrides=[SMALL_QUEUE, NO_JAEGER])
    collector.start()
    load = Load(collector.endpoint, pause=0, timeout=3)
    load.start()
    try:
        wait_until(lambda: queued(collector) > 400 - SPANS_IN_TRACE)
        so_far = len(load.taken)
        time.sleep(2)
        assert len(load.taken) <= so_far + 2, "a full queue takes no more"
        collector.kill()
        answered = list(load.taken)
        collector.start()
        sink.start()
        wait_for_traces(migrated_postgres_url, answered)
        load.finish()
    finally:
        load.abandon()
    check_nothing_lost_nothing_twice(migrated_postgres_url, load.taken)
    collector.stop()
    sink.stop()


def written_by(sink: Sink) -> float:
    """Records that a sink wrote since it was started."""
    with urllib.request.urlopen(f"{sink.url}/metrics", timeout=5) as answer:
        lines = answer.read().decode().splitlines()
    return next(float(line.split()[1]) for line in lines if line.startswith("cmbagent_otel_sink_records_written_total"))


@pytest.mark.timeout(300)
def test_of_two_sinks_behind_load_balancing_one_may_be_killed(tmp_path: Path, migrated_postgres_url: str) -> None:
    sinks, gateways = [], []
    for number in (1, 2):
        folder = tmp_path / str(number)
        folder.mkdir()
        sinks.append(Sink(folder, migrated_postgres_url))
        gateways.append(Collector(folder, sink=sinks[-1].url, overrides=[NO_JAEGER]))
    beside = Collector(
        tmp_path,
        sink="",
        config=ROOT / "collector" / "load-balancing.yaml",
        variables={f"GATEWAY_{number}": gateway.grpc_endpoint for number, gateway in enumerate(gateways, 1)},
    )
    for part in (*sinks, *gateways, beside):
        part.start()
    with load_on(beside.endpoint, threads=2, pause=0.05) as load:
        wait_until(lambda: all(written_by(sink) for sink in sinks))  # each has its share of the traces
        sinks[1].kill()
        so_far = len(load.taken)
        wait_until(lambda: len(load.taken) > so_far + 60)
        sinks[1].start()
        load.finish()
    check_nothing_lost_nothing_twice(migrated_postgres_url, load.taken)
    for part in (beside, *gateways, *sinks):
        part.stop()


@pytest.mark.parametrize(
    "files",
    [
        ("otel-collector.yaml",),
        ("collector/load-balancing.yaml",),
        ("collector/kafka-in.yaml",),
        ("otel-collector.yaml", "collector/kafka-out.yaml"),
    ],
)
def test_the_collector_accepts_every_configuration(files: tuple[str, ...], tmp_path: Path) -> None:
    options = [part for file in files for part in ("--config", ROOT / file)]
    said = subprocess.run(
        [binary(COLLECTOR), "validate", *options],
        env={"OTELCOL_QUEUE_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (said.returncode, said.stderr, said.stdout) == (0, "", "")
