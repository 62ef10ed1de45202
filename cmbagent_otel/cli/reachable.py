"""What answers: the database with its tables, and the OTLP endpoint."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from importlib.metadata import entry_points
from urllib.parse import urlsplit

from cmbagent_otel.cli.findings import Finding, fine, mend, note
from cmbagent_otel.errors import CmbagentOtelError, StoreUnavailableError
from cmbagent_otel.query.database import Reader, sqlite_path
from cmbagent_otel.settings import DAG_EXPORTER, OTLP_EXPORTER, Settings
from cmbagent_otel.store.migrate import current, head

_TIMEOUT = 2.0
_DEFAULT_PORTS = {"grpc": 4317, "http/protobuf": 4318}


def look(config: Settings) -> Iterator[Finding]:
    """One finding for each destination."""
    yield from _exporters(config)
    yield _database(config)
    if OTLP_EXPORTER in config.exporters:
        yield _endpoint(config)


def _exporters(config: Settings) -> Iterator[Finding]:
    if config.sdk_disabled:
        yield note("tracing", "off: OTEL_SDK_DISABLED is true", "unset OTEL_SDK_DISABLED")
        return
    known = {point.name for point in entry_points(group="opentelemetry_traces_exporter")} | {OTLP_EXPORTER}
    for name in config.exporters:
        if name not in known:
            yield mend(
                "exporters",
                f"OTEL_TRACES_EXPORTER names {name!r}, which is not installed: programs run untraced",
                f"use some of {', '.join(sorted(known))}",
            )
    if not config.exporters:
        yield note("exporters", "none: OTEL_TRACES_EXPORTER is none", "unset OTEL_TRACES_EXPORTER")
    elif DAG_EXPORTER not in config.exporters:
        yield note(
            "exporters",
            f"{', '.join(config.exporters)}; runs are not stored in the database by this process",
            f"export OTEL_TRACES_EXPORTER={','.join((DAG_EXPORTER, *config.exporters))}",
        )
    else:
        yield fine("exporters", ", ".join(config.exporters))
    if not config.content_gate_is_known:
        yield mend(
            "content",
            f"OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT={config.content_gate} is no value of OpenTelemetry: "
            "content is off",
            "use SPAN_ONLY, EVENT_ONLY, SPAN_AND_EVENT or NO_CONTENT",
        )


def _database(config: Settings) -> Finding:
    url = config.resolved_database_url
    try:
        path = sqlite_path(url)
        if path is not None and not path.exists():
            if path.parent.is_dir():
                return note("database", f"{path} is not there yet; the first traced program makes it")
            return mend("database", f"the folder {path.parent} is not there", f"mkdir -p {path.parent}")
        with Reader(url) as reader:
            return _tables(reader.name, current(reader.engine))
    except StoreUnavailableError as error:
        return mend("database", str(error), "start it, or correct CMBAGENT_OTEL_DATABASE_URL")
    except CmbagentOtelError as error:
        return mend("database", str(error), "correct CMBAGENT_OTEL_DATABASE_URL")


def _tables(name: str, found: str | None) -> Finding:
    newest = head()
    if found == newest:
        return fine("database", f"{name}, tables of revision {found}")
    if found is None:
        return mend("database", f"{name} has no tables of ours", "cmbagent-otel db upgrade")
    return mend(
        "database",
        f"{name} has tables of revision {found}, and this version needs {newest}",
        "cmbagent-otel db upgrade; where the database is the newer one: pip install -U cmbagent-otel",
    )


def _endpoint(config: Settings) -> Finding:
    protocol = config.otlp_protocol or "grpc"
    port = _DEFAULT_PORTS.get(protocol)
    if port is None:
        return mend("OTLP", f"OTEL_EXPORTER_OTLP_PROTOCOL={protocol} is not known", "use grpc or http/protobuf")
    endpoint = config.otlp_traces_endpoint or config.otlp_endpoint or f"http://localhost:{port}"
    try:
        parts = urlsplit(endpoint if "//" in endpoint else f"//{endpoint}")
        host, port = parts.hostname or "localhost", parts.port or (443 if parts.scheme == "https" else port)
    except ValueError as error:
        return mend("OTLP", f"{endpoint} is no URL: {error}", "correct OTEL_EXPORTER_OTLP_ENDPOINT")
    try:
        with socket.create_connection((host, port), timeout=_TIMEOUT):
            return fine("OTLP", f"{host}:{port} answers ({protocol})")
    except OSError as error:
        return mend(
            "OTLP",
            f"nothing answers at {host}:{port} ({error.strerror or error})",
            "start the Collector there, or correct OTEL_EXPORTER_OTLP_ENDPOINT",
        )
