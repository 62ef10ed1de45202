"""The one writer, for both databases and both doors."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError

from cmbagent_otel.errors import StoreError
from cmbagent_otel.graph.mapping import map_span
from cmbagent_otel.graph.record import SpanGraph
from cmbagent_otel.graph.sanitize import identifier, repair
from cmbagent_otel.spans.decoded import Reject
from cmbagent_otel.spans.record import Heartbeat, Record, SpanRecord
from cmbagent_otel.store import rejected
from cmbagent_otel.store.batch import write_batch
from cmbagent_otel.store.engine import translate, worth_another_try

_logger = logging.getLogger(__name__)
_T = TypeVar("_T")
_TRIES = 6
_FIRST_PAUSE = 0.02
_PREPARATIONS = {
    # Rows are written one by one there: a child may come before its parent.
    "sqlite": "PRAGMA defer_foreign_keys=ON",
    # A batch touches few rows, each by an index, however many there are; the planner, which does not know how few,
    # would rather read whole tables while these are small.
    "postgresql": "SET LOCAL enable_seqscan = off; SET LOCAL enable_hashjoin = off; SET LOCAL enable_mergejoin = off",
}

Item = tuple[SpanRecord, SpanGraph]


class WriteResult(NamedTuple):
    """What became of a batch."""

    written: int
    """Records that the database has now, whether or not they said anything new."""
    rejected: int
    """Records that were put aside in ``rejected_records``."""


class Writer:
    """Writes records to a database; any number of times, in any order, from any number of processes.

    Args:
        engine: of a database with the tables of this version.
        content: False leaves out all that people, models and programs said.
    """

    def __init__(self, engine: Engine, *, content: bool = True) -> None:
        self.engine = engine
        self._content = content

    def write(self, records: Sequence[Record]) -> WriteResult:
        """Map, settle and write ``records`` in one transaction.

        A record that can't be written is repaired or put aside, never the batch.

        Raises:
            StoreUnavailableError: the database is away; the same call may succeed later.
            SchemaOutOfDateError: its tables are not those of this version.
            StoreError: it refuses to be written to.
        """
        items: list[Item] = []
        heartbeats: list[Heartbeat] = []
        refused: list[tuple[Record, Exception]] = []
        for record in records:
            if isinstance(record, Heartbeat):
                heartbeats.append(record._replace(run_ids=tuple(map(identifier, record.run_ids))))
                continue
            try:
                items.append((record, repair(map_span(record, content=self._content))))
            except Exception as error:  # noqa: BLE001 - whatever it is, the records beside it land
                refused.append((record, error))
        self._write(items, heartbeats, refused)
        if refused:
            found = [rejected.refused(record, error) for record, error in refused if isinstance(record, SpanRecord)]
            self._in_transaction(lambda connection: rejected.put_aside(connection, found))
            _logger.warning("%d records were put aside in rejected_records: %s", len(refused), refused[0][1])
        return WriteResult(len(records) - len(refused), len(refused))

    def put_aside(self, rejects: Sequence[Reject]) -> None:
        """Keep in ``rejected_records`` what could not even be decoded, once each.

        Raises:
            As :meth:`write`.
        """
        if rejects:
            found = [rejected.Refused(reject, None) for reject in rejects]
            self._in_transaction(lambda connection: rejected.put_aside(connection, found))

    def write_graphs(self, graphs: Sequence[SpanGraph]) -> int:
        """Settle and write graphs that were mapped already; returns how many said something new.

        Raises:
            As :meth:`write`, and whatever the database says of a row that it refuses.
        """
        repaired = [repair(graph) for graph in graphs]
        return self._in_transaction(lambda connection: write_batch(connection, repaired))

    def _write(
        self, items: Sequence[Item], heartbeats: Sequence[Heartbeat], refused: list[tuple[Record, Exception]]
    ) -> None:
        """Write all items, or else each half of them, until those that the database refuses stand alone."""
        graphs = [graph for _, graph in items]
        try:
            self._in_transaction(lambda connection: write_batch(connection, graphs, heartbeats))
        except StoreError:
            raise
        except Exception as error:
            if not items:
                raise
            if len(items) == 1:
                refused.append((items[0][0], error))
                self._write((), heartbeats, refused)
                return
            half = len(items) // 2
            self._write(items[:half], heartbeats, refused)
            self._write(items[half:], (), refused)

    def _in_transaction(self, work: Callable[[Connection], _T]) -> _T:
        for attempt in range(_TRIES):
            try:
                with self.engine.begin() as connection:
                    connection.exec_driver_sql(_PREPARATIONS[connection.dialect.name])
                    return work(connection)
            except DBAPIError as error:
                if attempt + 1 < _TRIES and worth_another_try(error):
                    time.sleep(_FIRST_PAUSE * 2**attempt * (0.5 + random.random()))  # noqa: S311 - no secret
                    continue
                meaning = translate(error)
                if meaning is None:
                    raise
                raise meaning from error
        raise AssertionError("unreachable")
