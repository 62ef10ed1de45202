"""Who may ask, and what a browser may do with the answer.

Runs are hostile: names, messages and code of agents may be anything. So nothing on a page may load from
elsewhere or run that is not ours, and only this machine, or who has the token, may ask.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qs

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

LOOPBACK_HOSTS = ("localhost", "127.0.0.1", "::1")
ANY_HOST = "*"
COOKIE = "cmbagent_otel"

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
_HEADERS = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
}


class Gate:
    """Lets in GET requests to a known host, with the token where there is one; sets the headers of every answer.

    Args:
        app: what is behind the gate.
        hosts: names by which this server may be asked, without port; ``*`` is any. A page elsewhere whose name
            is made to point here (DNS rebinding) is refused by this.
        token: asked for as a bearer token, or as ``?token=`` once, which a cookie then stands for.
    """

    def __init__(self, app: ASGIApp, *, hosts: Iterable[str] = LOOPBACK_HOSTS, token: str | None = None) -> None:
        self._app = app
        self._hosts = frozenset(host.lower().strip("[]") for host in hosts)
        self._token = token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers[name] = value
                headers.setdefault("Cache-Control", "no-store")
            await send(message)

        refusal = self._refusal(scope)
        if refusal is not None:
            await refusal(scope, receive, send_guarded)
        else:
            await self._app(scope, receive, send_guarded)

    def _refusal(self, scope: Scope) -> Response | None:
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        if ANY_HOST not in self._hosts and _name(host) not in self._hosts:
            return PlainTextResponse(
                f"This viewer does not answer to the name {_name(host)!r}; --host allows another one.\n",
                status_code=400,
            )
        if scope["method"] not in ("GET", "HEAD"):
            return PlainTextResponse("Only GET: the viewer changes nothing.\n", 405, {"Allow": "GET, HEAD"})
        if "\0" in scope["path"] or b"%00" in scope["query_string"]:  # in no name, and PostgreSQL takes it in no text
            return PlainTextResponse("There is no such page.\n", status_code=404)
        path = scope["path"].removeprefix(scope.get("root_path", ""))
        if path.startswith("/api/") and headers.get("sec-fetch-site") == "cross-site":
            return PlainTextResponse("The API answers to its own pages only.\n", status_code=403)
        return None if self._token is None else self._without_token(scope, headers, self._token)

    def _without_token(self, scope: Scope, headers: Headers, token: str) -> Response | None:
        bearer = headers.get("authorization", "").removeprefix("Bearer ")
        if _same(bearer, token) or _same(_cookie(headers), _stamp(token)):
            return None
        given = parse_qs(scope["query_string"].decode("latin-1")).get("token", [""])[0]
        if not _same(given, token):
            return PlainTextResponse(
                "This viewer asks for its token: open the link that `cmbagent-otel serve` printed.\n",
                status_code=401,
                headers={"WWW-Authenticate": "Bearer"},
            )
        answer = RedirectResponse(scope.get("root_path", "") + "/", status_code=303)
        # The cookie is no copy of the token: who reads it elsewhere can't make links of it.
        answer.set_cookie(
            COOKIE, _stamp(token), httponly=True, samesite="strict", path="/", secure=scope.get("scheme") == "https"
        )
        return answer


def _name(host: str) -> str:
    """The name in a Host header, without its port and brackets."""
    name = host.lower()
    if name.startswith("["):
        return name[1:].partition("]")[0]
    return name.rpartition(":")[0] if name.count(":") == 1 else name


def _cookie(headers: Headers) -> str:
    try:
        morsel = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
    except CookieError:
        return ""
    return "" if morsel is None else morsel.value


def _stamp(token: str) -> str:
    return hmac.new(token.encode(), b"cmbagent-otel viewer", hashlib.sha256).hexdigest()


def _same(given: str, wanted: str) -> bool:
    return hmac.compare_digest(given.encode(), wanted.encode())
