"""An OpenAI-compatible server on 127.0.0.1 whose model says what a script tells it.

It answers ``POST /v1/chat/completions`` and ``POST /v1/responses``, whole or streamed, and keeps every
exchange with what it billed, so that a test knows the exact truth of a run from outside of the code that
it tests.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, NamedTuple, Self

from cmbagent_otel.testing import wire
from cmbagent_otel.testing.script import (
    ModelRequest,
    Reply,
    Script,
    ScriptError,
    Usage,
    as_script,
    usage_of,
)

APIS = {"/v1/chat/completions": "chat", "/v1/responses": "responses"}


class Exchange(NamedTuple):
    """A request, the reply to it, and what that was billed."""

    request: ModelRequest
    reply: Reply
    usage: Usage


class ScriptedModelServer:
    """Serves a script from a thread of its own, from ``with`` to the end of the block.

    Args:
        script: Replies to be given in order, or a function from :class:`ModelRequest` to :class:`Reply`
            (see :func:`~cmbagent_otel.testing.by_agent`).
        port: 0 takes a free one.
    """

    def __init__(self, script: Script | Iterable[Reply], *, port: int = 0) -> None:
        self._script = as_script(script)
        self._lock = threading.Lock()
        self._received = 0
        self._exchanges: list[Exchange] = []
        self._http = _HTTPServer(("127.0.0.1", port), _Handler)
        self._http.model = self
        self._thread = threading.Thread(
            target=self._http.serve_forever, args=(0.02,), name="scripted-model", daemon=True
        )

    def __enter__(self) -> Self:
        """Start to serve."""
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Stop to serve; what was exchanged stays readable."""
        self._http.shutdown()
        self._thread.join()
        self._http.server_close()

    @property
    def base_url(self) -> str:
        """For ``OPENAI_BASE_URL`` or a client's ``base_url``."""
        return f"http://127.0.0.1:{self._http.server_address[1]}/v1"

    def llm_config(self, model: str = "gpt-4o-mini", **settings: Any) -> dict[str, Any]:
        """An AG2 ``llm_config`` that asks this server, without AG2's own cache of answers."""
        entry = {"model": model, "base_url": self.base_url, "api_key": "sk-scripted", "price": [0.0, 0.0]}
        return {"config_list": [{**entry, **settings}], "cache_seed": None}

    @property
    def exchanges(self) -> tuple[Exchange, ...]:
        """All so far, in the order of the answers."""
        with self._lock:
            return tuple(self._exchanges)

    @property
    def requests(self) -> tuple[ModelRequest, ...]:
        """All requests answered so far, those that got an error included."""
        return tuple(exchange.request for exchange in self.exchanges)

    @property
    def billed(self) -> Usage:
        """The tokens of all exchanges together."""
        total = Usage()
        for exchange in self.exchanges:
            total = total.plus(exchange.usage)
        return total

    def answer(self, api: str, body: dict[str, Any], headers: dict[str, str]) -> Exchange:
        """Let the script answer one request; the handler of the HTTP server calls this."""
        with self._lock:
            self._received += 1
            request = ModelRequest(self._received, api, body, headers)
        try:
            reply = self._script(request)
        except ScriptError as problem:
            # 400, since a client would try anything else again.
            reply = Reply(text=f"The script of the model server: {problem}", status=400)
        time.sleep(reply.seconds)
        exchange = Exchange(request, reply, usage_of(request, reply))
        with self._lock:
            self._exchanges.append(exchange)
        return exchange


class _HTTPServer(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128
    model: ScriptedModelServer


class _Handler(BaseHTTPRequestHandler):
    server: _HTTPServer

    def do_POST(self) -> None:
        length = int(self.headers.get("content-length") or 0)
        raw = self.rfile.read(length)
        api = APIS.get(self.path.partition("?")[0])
        if api is None:
            self._send(404, "application/json", wire.error(404, f"no such path: {self.path}"))
            return
        try:
            body = json.loads(raw)
        except ValueError:
            self._send(400, "application/json", wire.error(400, "the body is not JSON"))
            return
        exchange = self.server.model.answer(api, body, {name.lower(): value for name, value in self.headers.items()})
        request, reply, usage = exchange
        if reply.status != 200:
            self._send(reply.status, "application/json", wire.error(reply.status, reply.text or ""), reply.retry_after)
        elif request.streamed:
            pieces = wire.chat_stream if api == "chat" else wire.responses_stream
            self._send(200, "text/event-stream", b"".join(pieces(request, reply, usage)))
        else:
            whole = wire.chat_completion if api == "chat" else wire.response
            self._send(200, "application/json", json.dumps(whole(request, reply, usage)).encode())

    def _send(self, status: int, content_type: str, body: bytes, retry_after: float | None = None) -> None:
        self.send_response(status)
        self.send_header("content-type", content_type)
        self.send_header("content-length", str(len(body)))
        # One exchange a connection, so that no client of a test keeps a socket open.
        self.send_header("connection", "close")
        if retry_after is not None:
            self.send_header("retry-after-ms", str(round(retry_after * 1000)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        """Say nothing: a test's output is its own."""
