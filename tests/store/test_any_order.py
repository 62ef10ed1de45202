"""Whatever order, batches, duplicates and writers: the same spans make the same rows."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine

from cmbagent_otel.spans.record import Record
from cmbagent_otel.store.engine import open_engine
from cmbagent_otel.store.writer import Writer
from tests.invariants import check_invariants
from tests.store.generated import Generated, deliveries, runs
from tests.store.tables import contents, wipe

# Shrinking writes thousands of batches: whoever needs a smaller example adds Phase.shrink and waits.
MANY = settings(
    max_examples=50,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    print_blob=True,
)
FEW = settings(MANY, max_examples=20)
# What a random tree may be, and a program's is not.
WILD = frozenset({"a redo has another place than its source"})


def stored(engine: Engine, batches: list[list[Record]]) -> dict[str, Any]:
    wipe(engine)
    writer = Writer(engine)
    for batch in batches:
        writer.write(batch)
    return contents(engine)


@given(data=st.data(), generated=runs())
@MANY
def test_any_order_any_batches_and_duplicates_make_the_same_rows(
    engine: Engine, data: st.DataObject, generated: Generated
) -> None:
    at_once = stored(engine, [generated.records])
    assert at_once["rejected_records"] == []
    assert stored(engine, data.draw(deliveries(generated.records))) == at_once


@given(data=st.data(), generated=runs(hostile=False))
@MANY
def test_whole_runs_keep_every_invariant(engine: Engine, data: st.DataObject, generated: Generated) -> None:
    stored(engine, data.draw(deliveries(generated.records)))
    check_invariants(engine, except_for=WILD)


@given(data=st.data(), generated=runs())
@FEW
def test_sqlite_and_postgresql_hold_the_same_rows(
    migrated_sqlite_url: str, migrated_postgres_url: str, data: st.DataObject, generated: Generated
) -> None:
    batches = data.draw(deliveries(generated.records))
    sqlite, postgresql = open_engine(migrated_sqlite_url), open_engine(migrated_postgres_url)
    try:
        assert stored(sqlite, batches) == stored(postgresql, batches)
    finally:
        sqlite.dispose()
        postgresql.dispose()


@given(data=st.data(), generated=runs(hostile=False))
@FEW
def test_several_writers_at_once_make_the_same_rows_as_one(
    engine: Engine, migrated_url: str, data: st.DataObject, generated: Generated
) -> None:
    alone = stored(engine, [generated.records])
    batches = data.draw(deliveries(generated.records))
    wipe(engine)
    engines = [open_engine(migrated_url) for _ in range(3)]
    with ThreadPoolExecutor(len(engines)) as pool:
        for done in [
            pool.submit(Writer(engines[number % len(engines)]).write, batch) for number, batch in enumerate(batches)
        ]:
            done.result()
    for each in engines:
        each.dispose()
    assert contents(engine) == alone
