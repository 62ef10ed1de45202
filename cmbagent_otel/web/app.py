"""The viewer as an ASGI application, and the server for it."""

from __future__ import annotations

import logging
import secrets
import sys
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from cmbagent_otel.errors import CmbagentOtelError, SchemaOutOfDateError, SettingsError, StoreError, UnknownRunError
from cmbagent_otel.web import api, comparing, export, live, pages, search
from cmbagent_otel.web.bundle import STATIC, bundle, name_of
from cmbagent_otel.web.security import ANY_HOST, LOOPBACK_HOSTS, Gate
from cmbagent_otel.web.templating import links, page
from cmbagent_otel.web.viewer import UnknownNodeError, Viewer, database_url_of

DEFAULT_HOST = "127.0.0.1"
DEFAULT_PORT = 8520
_logger = logging.getLogger(__name__)


def create_viewer(
    database: Any,
    *,
    jaeger_url: str | None = None,
    token: str | None = None,
    hosts: Iterable[str] = LOOPBACK_HOSTS,
) -> Starlette:
    """Make the viewer of a database, to be served, or mounted: ``app.mount("/otel", viewer)``.

    It only reads, by connections of its own. They are closed at the end of its lifespan, which a host that mounts it
    may run: ``async with viewer.router.lifespan_context(viewer)``.

    Args:
        database: its URL, or a SQLAlchemy engine whose URL is taken.
        jaeger_url: where Jaeger's pages are, for links to spans.
        token: asked of everyone, where given.
        hosts: names by which it may be asked; ``*`` leaves that to who mounts it.
    """
    viewer = Viewer(database_url_of(database), jaeger_url=jaeger_url)
    watchers = live.Watchers(viewer)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        yield
        await watchers.stop()
        viewer.close()

    app = Starlette(
        lifespan=lifespan,
        routes=_routes(),
        middleware=[
            Middleware(Gate, hosts=tuple(hosts), token=token),
            Middleware(GZipMiddleware, minimum_size=1000, compresslevel=5),
        ],
        exception_handlers={CmbagentOtelError: _problem, HTTPException: _no_page},
    )
    app.state.viewer, app.state.watchers = viewer, watchers
    return app


def _routes() -> list[BaseRoute]:
    def get(path: str, endpoint: Callable[[Request], Any]) -> Route:
        return Route(path, endpoint, methods=["GET"])

    return [
        get("/", pages.runs),
        get("/runs/{run}", pages.run),
        get("/runs/{run}/nodes/{node}", pages.node),
        get("/runs/{run}/steps/{step}", pages.step),
        get("/runs/{run}/export.{ending}", export.export),
        get("/compare", comparing.compare_page),
        get("/api/runs", api.runs),
        get("/api/runs/{run}/graph", api.graph),
        get("/api/runs/{run}/delta", api.delta),
        get("/api/runs/{run}/events", live.events),
        get("/api/runs/{run}/search", search.search),
        get("/api/runs/{run}/cards/{card}", api.card),
        get("/api/runs/{run}/nodes/{node}", api.node),
        get("/api/runs/{run}/nodes/{node}/place", api.place),
        get("/healthz", api.health),
        get("/scripts/{name}", _script),
        Mount("/static", _Static(directory=STATIC)),
    ]


class _Static(StaticFiles):
    """Our own files: kept by browsers, and asked for again whether they are still the same."""

    def file_response(self, *args: Any, **options: Any) -> Response:
        response = super().file_response(*args, **options)
        response.headers["Cache-Control"] = "no-cache"
        return response


def _script(request: Request) -> Response:
    """Our modules as one script; its name changes with them, so that browsers may keep it for good."""
    if request.path_params["name"] != name_of("run"):
        raise HTTPException(404)
    headers = {"Cache-Control": "max-age=31536000, immutable"}
    return Response(bundle("run"), media_type="text/javascript", headers=headers)


def _problem(request: Request, error: Exception) -> Response:
    """What went wrong, with the fix; as JSON for programs."""
    if isinstance(error, UnknownRunError):
        status, title = 404, "Not here" if isinstance(error, UnknownNodeError) else "No such run"
    elif isinstance(error, SchemaOutOfDateError):
        status, title = 503, "The tables are of another version"
    elif isinstance(error, StoreError):
        status, title = 503, "The database does not answer"
    else:
        status, title = 500, "That did not work"
    return _answer(request, status, title, str(error))


def _no_page(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    return _answer(request, status, "No such page", "There is nothing at this address.")


def _answer(request: Request, status: int, title: str, message: str) -> Response:
    path = request.url.path.removeprefix(links(request).root)
    if path.startswith(("/api/", "/healthz")):
        return api.Json({"schema": 1, "error": title, "message": message}, status_code=status)
    return page(request, "problem.html", status, title=title, message=message, again=status == 503)


def serve(
    database_url: str,
    *,
    host: str = DEFAULT_HOST,
    port: int = DEFAULT_PORT,
    token: str | None = None,
    jaeger_url: str | None = None,
    say: Callable[[str], None] | None = None,
) -> None:
    """Serve the viewer until it is interrupted.

    Args:
        database_url: the database to show.
        host: address to listen at; any but loopback needs a token.
        port: port to listen at; 0 takes a free one.
        token: asked of everyone, where given; ``auto`` makes one.
        jaeger_url: where Jaeger's pages are, for links to spans.
        say: told the address, and what to be warned of; standard error by default.

    Raises:
        SettingsError: the address is not loopback and there is no token, or it can't be listened at.
    """
    say = say or (lambda line: print(line, file=sys.stderr))  # noqa: T201 - the one thing a server says
    loopback = host in LOOPBACK_HOSTS
    if not loopback and not token:
        raise SettingsError(
            f"Others than this machine can ask at {host}: add --token auto, or set CMBAGENT_OTEL_TOKEN to a secret."
        )
    token = secrets.token_urlsafe(24) if token == "auto" else token  # noqa: S105 - a word, not a secret
    everywhere = host in ("0.0.0.0", "::", "")  # noqa: S104 - compared, not listened at
    hosts = [ANY_HOST] if everywhere else [*LOOPBACK_HOSTS, host]
    listener = _listen(host, port)
    shown = "localhost" if everywhere else f"[{host}]" if ":" in host else host
    address = f"http://{shown}:{listener.getsockname()[1]}/"
    say(f"The viewer is at {address}{f'?token={token}' if token else ''}")
    if not loopback:
        say("Everyone who reaches this address and has the token can read all runs; there is no TLS.")
    import uvicorn

    app = create_viewer(database_url, jaeger_url=jaeger_url, token=token, hosts=hosts)
    config = uvicorn.Config(
        app, log_level="warning", access_log=False, server_header=False, timeout_graceful_shutdown=1
    )
    uvicorn.Server(config).run(sockets=[listener])


def _listen(host: str, port: int) -> Any:
    import socket

    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(128)  # the address is told before uvicorn begins, and must answer from then on
    except OSError as error:
        listener.close()
        raise SettingsError(
            f"Nothing can listen at {host}:{port}: {error.strerror or error}. Choose another --port."
        ) from None
    return listener
