"""Running the sink: one worker in this process, or several that this process forks and looks after."""

from __future__ import annotations

import ipaddress
import logging
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from types import FrameType

import uvicorn

from cmbagent_otel.errors import SettingsError
from cmbagent_otel.ingest.app import SinkApp
from cmbagent_otel.ingest.body import DEFAULT_LIMITS
from cmbagent_otel.ingest.counters import Counters
from cmbagent_otel.ingest.patience import http_within
from cmbagent_otel.settings import Settings

_logger = logging.getLogger(__name__)

_BACKLOG = 1024
_CONNECTIONS = 512
_GRACE_SECONDS = 30
_SHORT_LIFE = 1.0


def serve_sink(
    settings: Settings,
    *,
    host: str = "127.0.0.1",
    port: int = 14400,
    workers: int = 1,
    say: Callable[[str], object] = print,
) -> None:
    """Take OTLP and write it to the database of ``settings``, until SIGTERM or SIGINT.

    Args:
        settings: database, token and content gate.
        host: where to listen; any but a loopback address needs a token.
        port: 0 takes a free one.
        workers: processes that share the port.
        say: is told the address once connections are taken.

    Raises:
        SettingsError: it can't listen there.
    """
    if settings.token is None and not _is_loopback(host):
        raise SettingsError(f"CMBAGENT_OTEL_TOKEN: set it to listen on {host}; only loopback does without")
    listener = _listen(host, port)
    address = f"[{host}]" if ":" in host else host
    say(f"http://{address}:{listener.getsockname()[1]}")
    counters = Counters(workers)
    if workers == 1:
        _work(listener, settings, counters)
    else:
        _Supervisor(listener, settings, counters, workers).run()


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=_BACKLOG)
    except OSError as error:
        raise SettingsError(f"can't listen on {host}:{port}: {error.strerror}; choose another --port") from None


def _work(listener: socket.socket, settings: Settings, counters: Counters) -> None:
    config = uvicorn.Config(
        SinkApp(settings, counters),
        interface="asgi3",
        http=http_within(DEFAULT_LIMITS.head_seconds),
        lifespan="on",
        ws="none",
        access_log=False,
        log_config=None,
        server_header=False,
        date_header=False,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=_GRACE_SECONDS,
        limit_concurrency=_CONNECTIONS,
    )
    uvicorn.Server(config).run(sockets=[listener])


class _Supervisor:
    """Keeps the number of workers; ends them when it is told to end, and they end when it is gone."""

    def __init__(self, listener: socket.socket, settings: Settings, counters: Counters, workers: int) -> None:
        self._listener = listener
        self._settings = settings
        self._counters = counters
        self._workers = workers
        self._children: dict[int, tuple[int, float]] = {}
        self._stopping = False
        # Nothing is ever written: the workers read its end when no process has it open for writing.
        self._life_of_mine, self._held_open = os.pipe()

    def run(self) -> None:
        """Fork the workers, replace those that die, return when all have ended after a signal."""
        for each in (signal.SIGTERM, signal.SIGINT):
            signal.signal(each, self._stop)
        for row in range(self._workers):
            self._fork(row)
        while self._children:
            pid, status = os.wait()
            row, born = self._children.pop(pid)
            if not self._stopping:
                _logger.error("cmbagent-otel: sink worker %s ended (%s); starting another", pid, _ending(status))
                if time.monotonic() - born < _SHORT_LIFE:
                    time.sleep(_SHORT_LIFE)
                self._fork(row)

    def _stop(self, number: int, _frame: FrameType | None) -> None:
        self._stopping = True
        for pid in self._children:
            os.kill(pid, number)

    def _fork(self, row: int) -> None:
        if self._stopping:
            return
        pid = os.fork()
        if pid:
            self._children[pid] = (row, time.monotonic())
            return
        try:
            for each in (signal.SIGTERM, signal.SIGINT):
                signal.signal(each, signal.SIG_DFL)
            os.close(self._held_open)
            threading.Thread(target=self._end_with_supervisor, daemon=True).start()
            self._counters.use_row(row)
            _work(self._listener, self._settings, self._counters)
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(0)

    def _end_with_supervisor(self) -> None:
        os.read(self._life_of_mine, 1)
        os.kill(os.getpid(), signal.SIGTERM)


def _ending(status: int) -> str:
    code = os.waitstatus_to_exitcode(status)
    return signal.Signals(-code).name if code < 0 else f"exit status {code}"
