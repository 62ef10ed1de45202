"""The OTLP sink: the door of spans that were made in other processes."""

from __future__ import annotations

from cmbagent_otel.ingest.app import SinkApp
from cmbagent_otel.ingest.serve import serve_sink

__all__ = ["SinkApp", "serve_sink"]
