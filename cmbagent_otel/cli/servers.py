"""``serve`` and ``sink``: the two servers, which are extras of the package."""

from __future__ import annotations

import importlib
from typing import Any

from cmbagent_otel import settings
from cmbagent_otel.cli.terminal import tell
from cmbagent_otel.errors import SettingsError


def viewer(database: str | None, *, host: str, port: int, token: str | None, jaeger_url: str | None) -> None:
    """Serve the web viewer until it is interrupted."""
    serve = _part("cmbagent_otel.web.app", "serve", extra="serve")
    config = settings.load(database_url=database)
    if token is None and config.token is not None:
        token = config.token.get_secret_value()
    serve(config.resolved_database_url, host=host, port=port, token=token, jaeger_url=jaeger_url, say=tell)


def sink(database: str | None, *, host: str, port: int, workers: int) -> None:
    """Take OTLP until SIGTERM or an interrupt."""
    serve_sink = _part("cmbagent_otel.ingest", "serve_sink", extra="sink")
    config = settings.load(database_url=database)
    serve_sink(
        config,
        host=host,
        port=port,
        workers=workers,
        say=lambda address: tell(f"OTLP sink at {address} (/v1/traces, /v1/logs), writing to the database."),
    )


def _part(module: str, name: str, *, extra: str) -> Any:
    try:
        return getattr(importlib.import_module(module), name)
    except ModuleNotFoundError as error:
        if str(error.name).startswith("cmbagent_otel"):
            raise
        raise SettingsError(f"{error.name} is not installed. Type: pip install 'cmbagent-otel[{extra}]'") from None
