"""HTTP that waits for a request's head only so long; uvicorn itself waits for one that has begun without end."""

from __future__ import annotations

import asyncio
from typing import cast

from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle

_TOO_SLOW = b"HTTP/1.1 408 Request Timeout\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"


class _Patience(H11Protocol):
    """Closes a connection whose next request line and headers do not come in time.

    How long an idle connection is kept between two requests is uvicorn's ``timeout_keep_alive``; how long a body may
    take is the app's.
    """

    head_seconds: float
    _too_late: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._wait()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        request = cast("RequestResponseCycle | None", self.cycle)  # None before the first
        if request is not None and not request.response_complete:
            self._wait_no_longer()
        elif self._too_late is None:
            self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        self._wait_no_longer()
        super().connection_lost(exc)

    def _wait(self) -> None:
        self._too_late = self.loop.call_later(self.head_seconds, self._give_up)

    def _wait_no_longer(self) -> None:
        if self._too_late is not None:
            self._too_late.cancel()
            self._too_late = None

    def _give_up(self) -> None:
        if not self.transport.is_closing():
            self.transport.write(_TOO_SLOW)
            self.transport.close()


def http_within(head_seconds: float) -> type[asyncio.Protocol]:
    """The protocol for uvicorn's ``http`` option; a head has so many seconds to come."""
    return type("PatientHttp", (_Patience,), {"head_seconds": head_seconds})
