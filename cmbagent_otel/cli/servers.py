"""``serve`` and ``sink``: the two servers, which are extras of the package."""

from __future__ import annotations

from cmbagent_otel import settings
from cmbagent_otel.cli.extras import part
from cmbagent_otel.cli.terminal import tell


def viewer(database: str | None, *, host: str, port: int, token: str | None, jaeger_url: str | None) -> None:
    """Serve the web viewer until it is interrupted."""
    serve = part("cmbagent_otel.web.app", "serve", extra="serve")
    config = settings.load(database_url=database)
    if token is None and config.token is not None:
        token = config.token.get_secret_value()
    serve(config.resolved_database_url, host=host, port=port, token=token, jaeger_url=jaeger_url, say=tell)


def sink(database: str | None, *, host: str, port: int, workers: int) -> None:
    """Take OTLP until SIGTERM or an interrupt."""
    serve_sink = part("cmbagent_otel.ingest", "serve_sink", extra="sink")
    config = settings.load(database_url=database)
    serve_sink(
        config,
        host=host,
        port=port,
        workers=workers,
        say=lambda address: tell(f"OTLP sink at {address} (/v1/traces, /v1/logs), writing to the database."),
    )
