"""``cmbagent_dag``: how users name us in ``OTEL_TRACES_EXPORTER``.

The SDK builds the exporter without arguments inside a batch processor of its own, which drops spans when its
queue is full and ignores that an export failed. So the exporter registers itself and is claimed: our
processor is attached to the provider instead, and from then on the exporter writes only what ended before.
Unclaimed, as when it is put into a batch processor by hand, it writes ended spans with the SDK's guarantees.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from weakref import WeakSet

from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from cmbagent_otel import content, settings
from cmbagent_otel.delivery import BATCH, Delivery
from cmbagent_otel.graph import cost
from cmbagent_otel.settings import Settings
from cmbagent_otel.spans.from_sdk import from_sdk

_registered: WeakSet[DagSpanExporter] = WeakSet()


class DagSpanExporter(SpanExporter):
    """Writes ended spans into the tables. Connects only when it first exports.

    Args:
        config: unset: read from the environment.
    """

    def __init__(self, config: Settings | None = None) -> None:
        self._settings = config if config is not None else settings.load()
        self._lock = threading.Lock()
        self._delivery: Delivery | None = None
        self._claimed_at: int | None = None
        cost.load()
        _registered.add(self)

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Write ``spans``; FAILURE never: what the database can't take now waits in the spool."""
        claimed = self._claimed_at
        mine = [span for span in spans if claimed is None or (span.end_time or 0) <= claimed]
        records = [content.complete(record) for span in mine if (record := from_sdk(span)) is not None]
        with self._lock:
            if records and self._delivery is None:
                self._delivery = Delivery(self._settings)
            for first in range(0, len(records), BATCH):
                if self._delivery is not None:
                    self._delivery.deliver(records[first : first + BATCH])
        return SpanExportResult.SUCCESS

    def shutdown(self) -> None:
        """Let go of the database."""
        with self._lock:
            if self._delivery is not None:
                self._delivery.close()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Nothing waits in an exporter."""
        del timeout_millis
        return True

    def claim(self) -> None:
        """Leave what ends from now on to our processor."""
        self._claimed_at = time.time_ns()


def claim_registered() -> int:
    """Claim every exporter that the SDK has built; returns how many there were."""
    found = list(_registered)
    for exporter in found:
        exporter.claim()
    return len(found)
