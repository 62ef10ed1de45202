"""The OTLP app: bytes in, reply bytes out. Plain ASGI, so that any server of that kind can run it.

200 means committed. Anything that may succeed later is 503 with Retry-After; anything that won't is a 4xx.
"""

from __future__ import annotations

import asyncio
import hmac
import logging
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any

from cmbagent_otel.errors import DecodeError, StoreUnavailableError
from cmbagent_otel.ingest.body import DEFAULT_LIMITS, Limits, Memory, Receive, read_body
from cmbagent_otel.ingest.commit import Committer
from cmbagent_otel.ingest.counters import Count, Counters
from cmbagent_otel.ingest.replies import (
    Encoding,
    Refusal,
    Reply,
    bad_request,
    logs_taken,
    method_not_allowed,
    text,
    traces_taken,
    unauthorized,
    unavailable,
    unsupported,
)
from cmbagent_otel.settings import Settings
from cmbagent_otel.spans.decoded import Decoded, Reject
from cmbagent_otel.spans.from_otlp import logs_from_otlp, traces_from_otlp

Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Scope = MutableMapping[str, Any]

_logger = logging.getLogger(__name__)

_COMMIT_SECONDS = 30.0

_EXPORTS: Mapping[str, tuple[Callable[..., Decoded], Callable[[list[Reject], Encoding], Reply]]] = {
    "/v1/traces": (traces_from_otlp, traces_taken),
    "/v1/logs": (logs_from_otlp, logs_taken),
}


class SinkApp:
    """One worker's app: ``/v1/traces``, ``/v1/logs``, ``/healthz``, ``/readyz`` and ``/metrics``."""

    def __init__(self, settings: Settings, counters: Counters | None = None, limits: Limits = DEFAULT_LIMITS) -> None:
        self._token = settings.token.get_secret_value() if settings.token else None
        self._counters = counters or Counters()
        self._limits = limits
        self._memory = Memory(limits.held_bytes)
        self._committer = Committer(settings, self._counters, limits.waiting_records)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or follow the server's life."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        elif scope["type"] == "http":
            await _send(await self._reply(scope, receive), send)

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        self._committer.start()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await asyncio.to_thread(self._committer.stop)
        await send({"type": "lifespan.shutdown.complete"})

    async def _reply(self, scope: Scope, receive: Receive) -> Reply:
        path, headers = scope["path"], _headers(scope)
        if path == "/healthz":
            return text(200, "alive\n")
        if path == "/readyz":
            trouble = self._committer.trouble
            return text(503, f"{trouble}\n") if trouble else text(200, "ready\n")
        encoding = _encoding(headers)
        try:
            self._authorize(headers)
            if path == "/metrics":
                return text(200, self._counters.exposition())
            if path not in _EXPORTS:
                return text(404, "send OTLP to /v1/traces or /v1/logs\n")
            if scope["method"] != "POST":
                raise method_not_allowed()
            if encoding is None:
                raise unsupported(f"the content type must be {' or '.join(each.value for each in Encoding)}")
            return await self._export(path, encoding, headers, receive)
        except Refusal as refusal:
            self._counters.add(Count.REFUSED)
            return refusal.reply(encoding or Encoding.PROTOBUF)

    def _authorize(self, headers: Mapping[str, str]) -> None:
        if self._token is None:
            return
        scheme, _, token = headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not hmac.compare_digest(token.strip().encode(), self._token.encode()):
            raise unauthorized()

    async def _export(self, path: str, encoding: Encoding, headers: Mapping[str, str], receive: Receive) -> Reply:
        decode, taken = _EXPORTS[path]
        with self._memory.hold() as held:
            body = await read_body(receive, headers, self._limits, held)
            try:
                # Off the event loop: a large body takes a while, and health checks and others don't wait for it.
                json = encoding is Encoding.JSON
                decoded = await asyncio.to_thread(decode, body, json=json, at_most=self._limits.body_records)
            except DecodeError as error:
                raise bad_request(str(error)) from None
            del body
            self._counters.add(Count.ACCEPTED, len(decoded.records))
            self._counters.add(Count.REJECTED, len(decoded.rejects))
            if decoded.records or decoded.rejects:
                await self._commit(decoded)
        return taken(decoded.rejects, encoding)

    async def _commit(self, decoded: Decoded) -> None:
        done = asyncio.wrap_future(self._committer.submit(decoded))
        try:
            # What comes too late for this answer is committed all the same; sent again, it changes nothing.
            await asyncio.wait_for(asyncio.shield(done), _COMMIT_SECONDS)
        except TimeoutError:
            raise unavailable("the database is slow", 5) from None
        except StoreUnavailableError as error:
            raise unavailable(str(error), 1) from None


def _headers(scope: Scope) -> dict[str, str]:
    return {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}


def _encoding(headers: Mapping[str, str]) -> Encoding | None:
    content_type = headers.get("content-type", "").partition(";")[0].strip().lower()
    return next((encoding for encoding in Encoding if encoding.value == content_type), None)


async def _send(reply: Reply, send: Send) -> None:
    headers = [("content-type", reply.content_type), ("content-length", str(len(reply.body))), *reply.headers]
    encoded = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers]
    await send({"type": "http.response.start", "status": reply.status, "headers": encoded})
    await send({"type": "http.response.body", "body": reply.body})
