"""Reading a request's body: unpacked as it comes, within limits of size, of memory and of time."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any, NamedTuple, Self

from cmbagent_otel.ingest.replies import bad_request, too_large, too_slow, unavailable, unsupported

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]

_GZIP = 16 + zlib.MAX_WBITS
_MIB = 1 << 20


class Limits(NamedTuple):
    """What one worker takes on."""

    body_bytes: int = 32 * _MIB
    """The largest body, unpacked. What the Collector takes by default is less, what it is told to take here is not."""
    held_bytes: int = 64 * _MIB
    """All bodies that are read or wait for their commit, unpacked."""
    head_seconds: float = 15.0
    """Time for a request line and its headers to come, from their first byte or from the connection's."""
    body_seconds: float = 15.0
    """Time for a body to come."""
    body_records: int = 32_768
    """The most spans or log records of one body."""
    waiting_records: int = 16_384
    """Records that wait for their commit."""


DEFAULT_LIMITS = Limits()


class Memory:
    """How many bytes of bodies a worker holds."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.held = 0

    def hold(self) -> Held:
        """Nothing yet, for one more request."""
        return Held(self)


class Held:
    """The bytes that one request holds; given back when its block ends."""

    def __init__(self, memory: Memory) -> None:
        self._memory = memory
        self._bytes = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self._memory.held -= self._bytes

    def take(self, count: int) -> None:
        """Hold ``count`` bytes more; a 503 where the worker holds too many already."""
        self._bytes += count
        self._memory.held += count
        if self._memory.held > self._memory.limit:
            raise unavailable("the sink is busy with other requests", 1)


async def read_body(receive: Receive, headers: Mapping[str, str], limits: Limits, held: Held) -> bytes:
    """The body, unpacked.

    Raises:
        Refusal: it is too large, too slow, packed in an unknown way, or not what it says.
    """
    coding = headers.get("content-encoding", "identity").strip().lower()
    if coding not in ("identity", "gzip", ""):
        raise unsupported(f"content-encoding {coding} is not supported; use gzip or none")
    length = headers.get("content-length", "")
    if length.isdigit() and int(length) > limits.body_bytes:
        raise too_large(limits.body_bytes)
    unpack = _Gzip(limits.body_bytes) if coding == "gzip" else _Plain(limits.body_bytes)
    try:
        async with asyncio.timeout(limits.body_seconds):
            more = True
            while more:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise bad_request("the connection ended before the body did")
                held.take(unpack.feed(message.get("body", b"")))
                more = message.get("more_body", False)
    except TimeoutError:
        raise too_slow(limits.body_seconds) from None
    return unpack.finish()


class _Plain:
    """A body that is sent as it is."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._unpacked = bytearray()

    def feed(self, chunk: bytes) -> int:
        """Take a chunk and return by how many bytes the unpacked body has grown."""
        self._unpacked += chunk
        if len(self._unpacked) > self._limit:
            raise too_large(self._limit)
        return len(chunk)

    def finish(self) -> bytes:
        """The whole body."""
        return bytes(self._unpacked)


class _Gzip(_Plain):
    """A body in gzip, of one member or more; never more than the limit is unpacked."""

    def __init__(self, limit: int) -> None:
        super().__init__(limit)
        self._member = zlib.decompressobj(_GZIP)
        self._begun = False

    def feed(self, chunk: bytes) -> int:
        grown = 0
        while chunk:
            if self._member.eof:
                self._member = zlib.decompressobj(_GZIP)
            self._begun = True
            try:
                grown += super().feed(self._member.decompress(chunk, self._limit - len(self._unpacked) + 1))
            except zlib.error as error:
                raise bad_request(f"the body is no gzip: {error}") from None
            chunk = self._member.unused_data
        return grown

    def finish(self) -> bytes:
        if self._begun and not self._member.eof:
            raise bad_request("the gzip body is cut short")
        return super().finish()
