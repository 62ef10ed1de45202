"""``make screenshots``: the README's picture, the demo's run with its redo, in light and in dark."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from playwright.sync_api import Browser

from tests.browser.stage import DESKTOP, ROOT, chromium, run_demo, served

PICTURES = {"light": "run.png", "dark": "run-dark.png"}
FOLDER = ROOT / "docs" / "images"


def main() -> None:
    """Run the demo, open its run at what failed, and take the pictures."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, chromium() as browser, served(run_demo(Path(folder))) as address:
        for theme, name in PICTURES.items():
            take(browser, address, theme, FOLDER / name)
            sys.stdout.write(f"{FOLDER / name}\n")


def take(browser: Browser, address: str, theme: str, path: Path) -> None:
    """One picture."""
    context = browser.new_context(viewport=DESKTOP, color_scheme=theme, device_scale_factor=1, reduced_motion="reduce")
    page = context.new_page()
    page.goto(f"{address}/runs/last")
    page.locator(".card").first.wait_for()
    page.keyboard.press("e")
    page.locator("#drawer .ln.hit").first.wait_for()
    # The picture is of the run, not of the machine that it was made on.
    page.evaluate("document.querySelector('#foot .mono').textContent = 'cmbagent_otel.db'")
    page.locator("#timeline .list").evaluate("(list) => { list.scrollTop = 0; }")
    page.wait_for_timeout(300)
    page.screenshot(path=path)
    context.close()


if __name__ == "__main__":
    main()
