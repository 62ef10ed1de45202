"""What the viewer costs: `CHROMIUM=$(command -v chromium) python -m benchmarks.viewer`.

Prints the figures of docs/viewer.md.
"""

from __future__ import annotations

import argparse
import gzip
import resource
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import httpx
from playwright.sync_api import Browser

from benchmarks.figures import hand_on
from cmbagent_otel.spans.record import Record
from cmbagent_otel.store.engine import open_engine
from cmbagent_otel.store.migrate import upgrade
from cmbagent_otel.store.writer import Writer
from cmbagent_otel.web.bundle import STATIC
from tests.browser.stage import DESKTOP, chromium, served
from tests.web.spans import Spans, large, research

_SIZES = (60, 10_000, 50_000)
_OPENED = 3
_UNITS = {"picture kB": "", "elements": ""}
_PAN = """() => new Promise((done) => {
  const pane = document.querySelector('.pane'), took = [];
  const step = (left) => {
    const start = performance.now();
    pane.dispatchEvent(new WheelEvent('wheel', {deltaY: 60, cancelable: true, bubbles: true}));
    took.push(performance.now() - start);
    if (left) requestAnimationFrame(() => step(left - 1)); else done(took);
  };
  step(120);
})"""


def main() -> None:
    """Measure runs of three sizes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, help="hand the figures on in this file")
    options = parser.parse_args()
    parts: dict[str, dict[str, list[float]]] = {}
    assets = sum(len(gzip.compress(file.read_bytes())) for file in STATIC.iterdir())
    print(f"assets, all: {assets / 1000:.1f} kB gzipped")
    with tempfile.TemporaryDirectory() as folder, chromium() as browser:
        for nodes in _SIZES:
            url = f"sqlite:///{Path(folder) / f'{nodes}.db'}"
            fill(url, research() if nodes < 100 else large(nodes))
            before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            with served(url) as address:
                measured = measure(browser, address)
                print(f"{nodes:>6} nodes:", measured)
            grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1000
            parts[f"a run of {nodes:,} nodes"] = {
                f"{name}{_UNITS.get(name, ', ms')}": [float(value)] for name, value in measured.items()
            } | {"peak memory of the process grew by, MB": [grown]}
            print(f"{'':>6}        peak memory of the process grew by {grown:.0f} MB")
        url = f"sqlite:///{Path(folder) / 'live.db'}"
        took = live(browser, url)
        print("live: ms from commit to the screen:", took)
    if options.json:
        parts["all"] = {"assets, kB gzipped": [assets / 1000], "from commit to the screen, ms": list(map(float, took))}
        hand_on(options.json, parts, ("playwright",))


def fill(url: str, run: Spans) -> None:
    """Write a run."""
    engine = open_engine(url)
    upgrade(engine)
    records: list[Record] = [*run.records(), run.alive()]
    for start in range(0, len(records), 2000):
        Writer(engine).write(records[start : start + 2000])
    engine.dispose()


def measure(browser: Browser, address: str) -> dict[str, Any]:
    """The server's first and second answer, and the browser from the click to the cards; medians, ms."""
    answers = []
    size = 0
    for _ in range(_OPENED):
        start = time.perf_counter()
        answer = httpx.get(f"{address}/api/runs/last/graph", timeout=60)
        answers.append(1000 * (time.perf_counter() - start))
        size = len(gzip.compress(answer.content, 5))
    opened = []
    context = browser.new_context(viewport=DESKTOP)
    page = context.new_page()
    for _ in range(_OPENED):
        start = time.perf_counter()
        page.goto(f"{address}/runs/last", wait_until="commit")
        page.locator(".card").first.wait_for()
        opened.append(1000 * (time.perf_counter() - start))
    page.locator("#drawer .dh").wait_for()
    elements = page.evaluate("document.querySelectorAll('*').length")
    pan = sorted(page.evaluate(_PAN))
    context.close()
    return {
        "first answer": round(answers[0]),
        "next": round(statistics.median(answers[1:])),
        "picture kB": round(size / 1000),
        "open": round(statistics.median(opened)),
        "elements": elements,
        "pan median": round(pan[60], 1),
        "pan p95": round(pan[114], 1),
    }


def live(browser: Browser, url: str) -> list[int]:
    """Commit a call, and wait until its shape is on the map; ten times."""
    run = research()
    fill(url, run)
    engine = open_engine(url)
    writer = Writer(engine)
    took = []
    with served(url) as address:
        page = browser.new_context(viewport=DESKTOP).new_page()
        page.goto(f"{address}/runs/last")
        page.locator("#live", has_text="Live").wait_for()
        for number in range(10):
            with run.inside(f"{0x39:016x}"):
                span_id = run.tool(f"look_{number}", 11_170 + number, 11_171 + number)
            writer.write([run.records()[-1], run.alive()])
            start = time.perf_counter()
            page.locator(f'.chip[data-id="{run.id(span_id)}"]').wait_for()
            took.append(round(1000 * (time.perf_counter() - start)))
            page.wait_for_timeout(400)
        page.context.close()
    engine.dispose()
    return sorted(took)


if __name__ == "__main__":
    main()
