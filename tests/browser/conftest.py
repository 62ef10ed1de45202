"""Fixtures of the browser tests. They run by `make test-browser`, which finds the browser."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from cmbagent_otel.store.engine import open_engine
from cmbagent_otel.store.writer import Writer
from tests.web.spans import Spans, large, research

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

# `make test` needs no browser.
collect_ignore_glob = [] if os.environ.get("CHROMIUM") else ["test_*.py"]

Open = Callable[..., "Page"]


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    from tests.browser.stage import chromium

    with chromium() as started:
        yield started


@pytest.fixture
def open_page(browser: Browser) -> Iterator[Open]:
    """Opens an address in a context of its own; a fault of a script, or a refusal of the policy, fails the test."""
    from tests.browser.stage import DESKTOP

    faults: list[str] = []
    contexts = []

    def opened(address: str, *, expect_faults: bool = False, **options: Any) -> Page:
        context = browser.new_context(**{"viewport": DESKTOP, **options})
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(15_000)
        if not expect_faults:
            page.on("pageerror", lambda fault: faults.append(str(fault)))
            page.on("console", lambda said: faults.append(said.text) if said.type == "error" else None)
        page.goto(address)
        return page

    yield opened
    for context in contexts:
        context.close()
    assert faults == []


@pytest.fixture
def shot(request: pytest.FixtureRequest) -> Callable[..., None]:
    """Keeps a picture of the page, named after the test."""
    from tests.browser.stage import ARTEFACTS

    def keep(page: Page, name: str = "") -> None:
        ARTEFACTS.mkdir(parents=True, exist_ok=True)
        test = request.node.name.removeprefix("test_").replace("[", "-").replace("]", "")
        page.screenshot(path=ARTEFACTS / f"{test}{'-' + name if name else ''}.png")

    return keep


@pytest.fixture
def writer(migrated_sqlite_url: str) -> Iterator[Writer]:
    engine = open_engine(migrated_sqlite_url)
    yield Writer(engine)
    engine.dispose()


@pytest.fixture
def viewer(migrated_sqlite_url: str) -> Iterator[str]:
    """The address of a viewer of the database that ``writer`` writes to."""
    from tests.browser.stage import served

    with served(migrated_sqlite_url) as address:
        yield address


@pytest.fixture
def live_run(writer: Writer) -> Spans:
    """A run of some sixty nodes that goes on."""
    run = research()
    writer.write([*run.records(), run.alive()])
    return run


@pytest.fixture
def live_viewer(viewer: str, live_run: Spans) -> str:
    """The address of a viewer with that run."""
    assert live_run.run_id
    return viewer


@pytest.fixture(scope="session")
def large_viewer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a viewer with a run of 10,000 nodes."""
    from cmbagent_otel.store.migrate import upgrade
    from tests.browser.stage import served

    url = f"sqlite:///{tmp_path_factory.mktemp('large') / 'large.db'}"
    engine = open_engine(url)
    upgrade(engine)
    records = large(10_000).records()
    for start in range(0, len(records), 2000):
        Writer(engine).write(records[start : start + 2000])
    engine.dispose()
    with served(url) as address:
        yield address


@pytest.fixture(scope="session")
def demo_viewer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a viewer with the demo's run."""
    from tests.browser.stage import run_demo, served

    with served(run_demo(tmp_path_factory.mktemp("demo"))) as address:
        yield address


@pytest.fixture
def downloads(tmp_path: Path) -> Path:
    return tmp_path
