"""``python -m tests.stack up|down``: the whole stack on this machine, without containers, until it is ended.

One process in the background owns PostgreSQL, Jaeger, the Collector and the sink; what it started ends with it.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from cmbagent_otel.store.engine import open_engine
from cmbagent_otel.store.migrate import upgrade
from tests.postgresql import URL_VARIABLE, PostgresqlError, start_own_server
from tests.stack.binaries import COLLECTOR, JAEGER, ROOT, BuildError, binary
from tests.stack.processes import Collector, Jaeger, Part, Sink, StackError

STATE = ROOT / ".cache" / "stack.json"
LOG = STATE.with_suffix(".log")

_JAEGER_PORTS = {"HEALTH": 13133, "QUERY_HTTP": 16686, "QUERY_GRPC": 16685, "OTLP_GRPC": 14317}
_COLLECTOR_PORTS = {"GRPC": 4317, "HTTP": 4318, "HEALTH": 13134, "METRICS": 8889}
_SINK_PORT = 14400


def up() -> int:
    """Start the stack in the background, wait until it is ready, print its addresses."""
    if _owner() is not None:
        _print_addresses()
        return 0
    for tool in (JAEGER, COLLECTOR):
        binary(tool)
    STATE.parent.mkdir(exist_ok=True)
    STATE.unlink(missing_ok=True)
    with LOG.open("wb") as log:
        owner = subprocess.Popen(
            [sys.executable, "-m", "tests.stack", "own"],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=ROOT,
            start_new_session=True,
        )
    while not STATE.exists():
        if owner.poll() is not None:
            sys.stderr.write(LOG.read_text(errors="replace"))
            return 1
        time.sleep(0.1)
    _print_addresses()
    return 0


def down() -> int:
    """End the stack."""
    owner = _owner()
    if owner is None:
        _say("the stack does not run")
        return 0
    os.kill(owner, signal.SIGTERM)
    while _owner() is not None:
        time.sleep(0.1)
    _say("the stack has ended")
    return 0


def own() -> int:
    """Be the process that owns the stack, until SIGTERM."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with contextlib.ExitStack() as parts, tempfile.TemporaryDirectory(prefix="cmbagent-otel-stack-") as folder:
        database_url = os.environ.get(URL_VARIABLE)
        if not database_url:
            server = start_own_server()
            parts.callback(server.stop)
            database_url = server.create_database()
        engine = open_engine(database_url)
        upgrade(engine)
        engine.dispose()
        jaeger = Jaeger(Path(folder), ports=_JAEGER_PORTS)
        sink = Sink(Path(folder), database_url, port=_SINK_PORT)
        collector = Collector(Path(folder), sink=sink.url, jaeger=jaeger.otlp_endpoint, ports=_COLLECTOR_PORTS)
        running: list[Part] = [jaeger, sink, collector]
        for part in running:
            part.start()
            parts.callback(part.stop)
        addresses = {
            "OTLP (HTTP)": collector.endpoint,
            "OTLP (gRPC)": f"http://{collector.grpc_endpoint}",
            "Jaeger": jaeger.url,
            "sink": sink.url,
            "PostgreSQL": database_url,
        }
        parts.callback(STATE.unlink)
        _write_whole(STATE, json.dumps({"pid": os.getpid(), "addresses": addresses}))
        signal.pause()
    return 0


def _write_whole(path: Path, text: str) -> None:
    beside = path.with_suffix(".new")
    beside.write_text(text)
    beside.replace(path)


def _owner() -> int | None:
    """The process that owns the stack, if it runs."""
    if not STATE.exists():
        return None
    pid: int = json.loads(STATE.read_text())["pid"]
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return None
    return pid


def _print_addresses() -> None:
    addresses: dict[str, str] = json.loads(STATE.read_text())["addresses"]
    for name, address in addresses.items():
        _say(f"{name:12} {address}")
    _say("\nSend a program there with OTEL_EXPORTER_OTLP_ENDPOINT, and read the database with")
    _say(f"CMBAGENT_OTEL_DATABASE_URL={addresses['PostgreSQL']} cmbagent-otel runs")


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")


if __name__ == "__main__":
    try:
        sys.exit({"up": up, "down": down, "own": own}[sys.argv[1]]())
    except (BuildError, PostgresqlError, StackError) as problem:
        sys.exit(str(problem))
