"""Jaeger, the Collector and the sink as processes of this machine, each on ports of its own."""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.stack.binaries import COLLECTOR, JAEGER, ROOT, binary


class StackError(Exception):
    """A part of the stack did not start; the message says what it said."""


class Part:
    """A program that runs in the background, with a log file, until :meth:`stop`."""

    name: str

    def __init__(self, folder: Path) -> None:
        self.log = folder / f"{self.name}.log"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """Of the running process."""
        assert self._process is not None
        return self._process.pid

    def command(self) -> Sequence[str | Path]:
        """What to run."""
        raise NotImplementedError

    def environment(self) -> Mapping[str, str]:
        """Variables beside those of this process."""
        return {}

    def ready_url(self) -> str:
        """Answers 200 once the part can be used."""
        raise NotImplementedError

    def start(self, *, seconds: float = 60) -> None:
        """Start it and wait until it is ready."""
        self.launch()
        self.wait_until_ready(seconds=seconds)

    def launch(self) -> None:
        """Start it, ready or not."""
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(("OTEL_", "CMBAGENT_"))}
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self.command(),
                env={**inherited, **self.environment()},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=ROOT,
                start_new_session=True,
                preexec_fn=_end_with_parent,  # noqa: PLW1509 - nothing of ours holds a lock at this point
            )

    def wait_until_ready(self, *, seconds: float = 60) -> None:
        """Return once the part can be used; StackError if it ends or takes too long."""
        deadline = time.monotonic() + seconds
        while not is_up(self.ready_url()):
            if self._process is None or self._process.poll() is not None or time.monotonic() > deadline:
                said = self.log.read_text(errors="replace")[-3000:]
                self.kill()
                raise StackError(f"{self.name} did not get ready:\n{said}")
            time.sleep(0.05)

    def stop(self, *, seconds: float = 40) -> None:
        """Ask it to end, and wait."""
        if self._process is not None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(seconds)
            except subprocess.TimeoutExpired:
                self.kill()
                raise StackError(f"{self.name} did not end within {seconds:g} s of SIGTERM") from None
            self._process = None

    def kill(self) -> None:
        """End it at once, as a crash of the machine would."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


class Jaeger(Part):
    """Jaeger v2 with its traces in memory."""

    name = "jaeger"

    def __init__(self, folder: Path, *, ports: Mapping[str, int] | None = None) -> None:
        super().__init__(folder)
        self._ports = {part: free_port() for part in ("HEALTH", "QUERY_HTTP", "QUERY_GRPC", "OTLP_GRPC")}
        self._ports.update(ports or {})
        self.url = f"http://127.0.0.1:{self._ports['QUERY_HTTP']}"
        self.otlp_endpoint = f"127.0.0.1:{self._ports['OTLP_GRPC']}"

    def command(self) -> Sequence[str | Path]:
        return [binary(JAEGER), "--config", ROOT / "collector" / "jaeger.yaml"]

    def environment(self) -> Mapping[str, str]:
        return {f"JAEGER_{part}_PORT": str(port) for part, port in self._ports.items()}

    def ready_url(self) -> str:
        return f"http://127.0.0.1:{self._ports['HEALTH']}/status"


class Collector(Part):
    """The Collector with ``otel-collector.yaml``, and what ``overrides`` lay over it."""

    name = "otelcol"

    def __init__(
        self,
        folder: Path,
        *,
        sink: str,
        jaeger: str = "127.0.0.1:1",
        ports: Mapping[str, int] | None = None,
        overrides: Sequence[str] = (),
        config: Path = ROOT / "otel-collector.yaml",
        variables: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(folder)
        self._ports = {part: free_port() for part in ("GRPC", "HTTP", "HEALTH", "METRICS")}
        self._ports.update(ports or {})
        self._sink, self._jaeger, self._overrides, self._config = sink, jaeger, overrides, config
        self._variables = variables or {}
        self._queue = folder / "queue"
        self.endpoint = f"http://127.0.0.1:{self._ports['HTTP']}"
        self.grpc_endpoint = f"127.0.0.1:{self._ports['GRPC']}"
        self.metrics_url = f"http://127.0.0.1:{self._ports['METRICS']}/metrics"

    def command(self) -> Sequence[str | Path]:
        laid_over = [part for override in self._overrides for part in ("--config", f"yaml:{override}")]
        return [binary(COLLECTOR), "--config", self._config, *laid_over]

    def environment(self) -> Mapping[str, str]:
        ports = {f"OTELCOL_{part}_PORT": str(port) for part, port in self._ports.items()}
        return {
            **ports,
            "OTELCOL_QUEUE_DIR": str(self._queue),
            "CMBAGENT_SINK_ENDPOINT": self._sink,
            "JAEGER_OTLP_ENDPOINT": self._jaeger,
            **self._variables,
        }

    def ready_url(self) -> str:
        return f"http://127.0.0.1:{self._ports['HEALTH']}"


class Sink(Part):
    """``python -m collector``: the sink of this project."""

    name = "sink"

    def __init__(
        self,
        folder: Path,
        database_url: str,
        *,
        port: int | None = None,
        workers: int = 1,
        variables: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(folder)
        self._database_url, self._workers, self._variables = database_url, workers, variables or {}
        self._port = port or free_port()
        self.url = f"http://127.0.0.1:{self._port}"

    def command(self) -> Sequence[str | Path]:
        return [sys.executable, "-m", "collector", "--port", str(self._port), "--workers", str(self._workers)]

    def environment(self) -> Mapping[str, str]:
        return {"CMBAGENT_OTEL_DATABASE_URL": self._database_url, **self._variables}

    def ready_url(self) -> str:
        return f"{self.url}/readyz"


def is_up(url: str) -> bool:
    """Whether ``url`` answers 200."""
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def free_port() -> int:
    """A port of loopback that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _end_with_parent() -> None:
    """Ask Linux to end the part when the process that started it is killed, so that none is left behind."""
    if sys.platform == "linux":
        pr_set_pdeathsig = 1
        ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGTERM)
