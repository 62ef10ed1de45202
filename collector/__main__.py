"""``python -m collector``: the sink, as ``cmbagent-otel sink`` runs it."""

from __future__ import annotations

import argparse
import sys

from cmbagent_otel import settings
from cmbagent_otel.errors import SettingsError
from cmbagent_otel.ingest import serve_sink


def main() -> int:
    """Serve until told to end; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m collector", description="Take OTLP and write it as a graph.")
    parser.add_argument("--host", default="127.0.0.1", help="any but loopback needs CMBAGENT_OTEL_TOKEN")
    parser.add_argument("--port", default=14400, type=int)
    parser.add_argument("--workers", default=1, type=int, help="processes that share the port")
    asked = parser.parse_args()
    try:
        serve_sink(settings.load(), host=asked.host, port=asked.port, workers=asked.workers, say=_say)
    except SettingsError as error:
        sys.stderr.write(f"cmbagent-otel sink: {error}\n")
        return 2
    return 0


def _say(address: str) -> None:
    sys.stderr.write(f"OTLP sink at {address} (/v1/traces, /v1/logs, /healthz, /readyz, /metrics)\n")


if __name__ == "__main__":
    sys.exit(main())
