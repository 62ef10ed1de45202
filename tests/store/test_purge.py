"""Retention: what goes, and what stays."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from sqlalchemy import Engine, Table, func, select

from cmbagent_otel.errors import SettingsError, UnknownRunError
from cmbagent_otel.store import purge as module
from cmbagent_otel.store.engine import open_engine
from cmbagent_otel.store.purge import PurgeProgress, purge
from cmbagent_otel.store.schema import (
    cost_records,
    dag_edges,
    dag_nodes,
    execution_events,
    metadata,
    run_traces,
    sessions,
    workflow_runs,
    workflow_steps,
)
from cmbagent_otel.store.sweep import sweep
from cmbagent_otel.store.writer import Writer
from tests.invariants import check_invariants
from tests.query.stored import SECOND, START, Recorder, node_of, research

DAY = 86_400
NOW = datetime.fromtimestamp(START / SECOND + 40 * DAY, UTC)
MONTH = timedelta(days=30)


def count(engine: Engine, table: Table, run_id: str | None = None) -> int:
    query = select(func.count()).select_from(table)
    with engine.connect() as connection:
        return int(connection.execute(query if run_id is None else query.where(table.c.run_id == run_id)).scalar_one())


def everything(engine: Engine) -> dict[str, list[tuple[str, ...]]]:
    with engine.connect() as connection:
        return {
            name: sorted(tuple(map(repr, row)) for row in connection.execute(select(table)))
            for name, table in metadata.tables.items()
        }


def test_an_old_run_goes_with_all_its_rows_and_a_later_one_stays_as_it_was(engine: Engine) -> None:
    research(engine, 2, at=39 * DAY)
    before = everything(engine)
    old = research(engine, 1).run_id
    assert purge(engine, older_than=MONTH, now=NOW).run_ids == (old,)
    assert everything(engine) == before


def test_a_dry_run_deletes_nothing_and_says_what_will_be_deleted(engine: Engine) -> None:
    research(engine)
    before = everything(engine)
    planned = purge(engine, older_than=MONTH, dry_run=True, now=NOW)
    assert everything(engine) == before
    assert planned == purge(engine, older_than=MONTH, now=NOW)
    assert planned.rows["dag_nodes"] == len(before["dag_nodes"])
    assert planned.rows["execution_events"] == len(before["execution_events"])


def test_a_run_that_goes_on_is_never_touched_however_old_and_also_when_named(engine: Engine) -> None:
    made = Recorder(engine)
    made.agent(made.workflow(to=None), "engineer", to=None)
    run_id = made.store()
    before = everything(engine)
    assert purge(engine, older_than=timedelta(0), now=NOW).run_ids == ()
    named = purge(engine, run_ids=[run_id], now=NOW)
    assert (named.run_ids, named.kept) == ((), (run_id,))
    assert everything(engine) == before


def test_a_run_goes_by_its_end_and_not_by_the_age_of_its_events(engine: Engine) -> None:
    made = Recorder(engine)
    made.agent(made.workflow(at=0, to=39 * DAY), "engineer", at=0, to=10)
    made.store()
    assert purge(engine, older_than=MONTH, now=NOW).run_ids == ()


def test_an_interrupted_run_goes_by_its_last_sign_of_life(engine: Engine) -> None:
    made = Recorder(engine)
    made.workflow(to=None)
    run_id = made.store()
    with engine.begin() as connection:
        seen = (NOW - timedelta(days=20)).replace(tzinfo=None)
        connection.execute(workflow_runs.update().values(last_heartbeat_at=seen))
    assert sweep(engine, NOW) == [run_id]
    assert purge(engine, older_than=MONTH, now=NOW).run_ids == ()
    assert purge(engine, older_than=timedelta(days=19), now=NOW).run_ids == (run_id,)
    assert count(engine, sessions) == 0


def test_a_run_without_its_root_goes_by_its_newest_span(engine: Engine) -> None:
    made = Recorder(engine)
    made.agent(made.workflow(), "engineer", at=20 * DAY, to=20 * DAY + 1)
    del made.spans[0]
    run_id = made.store()
    assert purge(engine, older_than=MONTH, now=NOW).run_ids == ()
    assert purge(engine, older_than=timedelta(days=19), now=NOW).run_ids == (run_id,)
    assert count(engine, dag_nodes) == 0


def test_events_only_keeps_the_graph_and_its_costs(engine: Engine) -> None:
    run_id = research(engine).run_id
    kept = (dag_nodes, dag_edges, workflow_steps, cost_records, run_traces)
    before = [count(engine, table) for table in kept]
    assert purge(engine, older_than=MONTH, events_only=True, now=NOW).run_ids == (run_id,)
    assert count(engine, execution_events) == 0
    assert [count(engine, table) for table in kept] == before
    assert purge(engine, older_than=MONTH, events_only=True, now=NOW).run_ids == ()


def test_chunks_are_bounded_and_told_of(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CHUNK", 3)
    research(engine)
    heard: list[PurgeProgress] = []
    result = purge(engine, older_than=MONTH, progress=heard.append, now=NOW)
    assert max(later.rows - earlier.rows for earlier, later in pairwise(heard)) <= 3
    assert heard[-1] == PurgeProgress(1, 1, sum(result.rows.values()))
    assert count(engine, dag_nodes) == count(engine, execution_events) == count(engine, workflow_runs) == 0


def test_a_run_that_comes_to_life_between_two_chunks_stays(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CHUNK", 3)
    run_id = research(engine).run_id
    told: list[PurgeProgress] = []

    def resume(at: PurgeProgress) -> None:
        if not told:
            again = Recorder(engine, 2, at=40 * DAY)
            again.run_id = run_id
            again.workflow(to=None)
            again.store()
        told.append(at)

    result = purge(engine, run_ids=[run_id], progress=resume, now=NOW)
    assert (result.run_ids, result.kept) == ((), (run_id,))
    assert count(engine, dag_nodes, run_id) > 1


def test_other_runs_are_written_between_two_chunks(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CHUNK", 10)
    nodes = len(research(engine).spans)
    written: list[str] = []

    def write(_: PurgeProgress) -> None:
        written.append(research(engine, len(written) + 2, at=39 * DAY).run_id)

    purge(engine, older_than=MONTH, progress=write, now=NOW)
    assert {count(engine, dag_nodes, run_id) for run_id in written} == {nodes}


def test_a_foreign_session_stays_and_rows_of_other_runs_only_lose_what_they_hung_on(engine: Engine) -> None:
    old, new = research(engine, 1), research(engine, 2, at=39 * DAY)
    inner = node_of(new.spans[2])
    with engine.begin() as connection:
        connection.execute(sessions.update().where(sessions.c.id == old.run_id).values(meta=None))
        connection.execute(
            dag_nodes.update().where(dag_nodes.c.id == inner).values(parent_node_id=node_of(old.spans[0]))
        )
    purge(engine, older_than=MONTH, now=NOW)
    assert count(engine, dag_nodes, new.run_id) == len(new.spans)
    with engine.connect() as connection:
        assert old.run_id in set(connection.execute(select(sessions.c.id)).scalars())
        parent = connection.execute(select(dag_nodes.c.parent_node_id).where(dag_nodes.c.id == inner)).scalar_one()
    assert parent is None


def test_neither_age_nor_run_is_refused_and_so_is_a_run_that_is_not_there(engine: Engine) -> None:
    with pytest.raises(SettingsError, match="--older-than 30d"):
        purge(engine)
    with pytest.raises(UnknownRunError, match="no-such-run"):
        purge(engine, run_ids=["no-such-run"])


def test_while_programs_write_a_purge_takes_the_old_runs_and_nothing_else(
    engine: Engine, migrated_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "CHUNK", 20)
    old = {research(engine, number).run_id for number in range(1, 4)}
    going_on = Recorder(engine, 20)
    going_on.agent(going_on.workflow(to=None), "engineer", to=None)
    going_on.store()
    purged = threading.Event()

    def write(first: int) -> list[Recorder]:
        own = open_engine(migrated_url)
        made: list[Recorder] = []
        while not purged.is_set() or not made:
            made.append(research(own, first + len(made), at=39 * DAY, store=False))
            Writer(own).write(made[-1].spans[:5])
            Writer(own).write(going_on.spans)
            Writer(own).write(made[-1].spans)
        own.dispose()
        return made

    with ThreadPoolExecutor(2) as pool:
        writing = [pool.submit(write, first) for first in (100, 10_000)]
        try:
            gone = purge(engine, older_than=MONTH, now=NOW).run_ids
        finally:
            purged.set()
        written = [made for each in writing for made in each.result()]
    assert set(gone) == old
    assert {count(engine, dag_nodes, made.run_id) for made in written} == {14}
    assert count(engine, dag_nodes, going_on.run_id) == len(going_on.spans)
    assert count(engine, workflow_runs) == len(written) + 1
    check_invariants(engine)
