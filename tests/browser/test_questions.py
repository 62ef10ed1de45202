"""A scientist's five questions, each answered by what can be seen: on a run that goes on, the demo's, a large one."""

from __future__ import annotations

import re
from collections.abc import Callable

from playwright.sync_api import Page, expect

from tests.browser.conftest import Open


def drawer_shows(page: Page, *said: str) -> None:
    for text in said:
        expect(page.locator("#drawer")).to_contain_text(text)


def test_run_that_goes_on(live_viewer: str, open_page: Open, shot: Callable[..., None]) -> None:
    page = open_page(f"{live_viewer}/runs/last")
    # 1. Is it alive, and where is it?
    expect(page.locator("#live")).to_have_text("Live")
    now = page.locator(".now")
    expect(now).to_contain_text(re.compile(r"Now: Control . step 7, attempt 2 . engineer . Python code 6 m"))
    # 2. What has it cost so far?
    summary = page.locator("#summary")
    for said in ("3 h 06 m", "active 1 h 20 m", "in replaced attempts", "329 k in", "20 k out"):
        expect(summary).to_contain_text(said)
    # 3. What happened? Each step, what was replaced, and why.
    expect(page.locator(".card")).to_have_count(9)
    expect(page.locator(".card.old")).to_have_count(2)
    expect(page.locator(".card.running")).to_have_count(1)
    expect(page.locator(".hyp").first).to_contain_text("Beam was applied twice")
    # 4. When? The wait for a person is shortened and said.
    expect(page.locator(".ruler .wait")).to_have_text("1 h 42 m wait")
    shot(page)
    # 5. Why was it done again? The failure, its line, and the hypothesis.
    page.keyboard.press("e")
    drawer_shows(page, "ValueError", "214 of 400 bins are not finite", "Beam was applied twice", "Attempt 1")
    expect(page.locator("#drawer .ln.hit").first).to_contain_text("bin_spectrum(cl, edges, weights=mask)")
    shot(page, "why")
    # And back to where it is.
    now.click()
    drawer_shows(page, "Python code", "running")


def test_demo_run(demo_viewer: str, open_page: Open, shot: Callable[..., None]) -> None:
    page = open_page(f"{demo_viewer}/runs/last")
    expect(page.locator("#live")).to_have_text("Completed")
    summary = page.locator("#summary")
    for said in ("3 of 3 steps done", "Cost", "in replaced attempts", "Redos", "Errors"):
        expect(summary).to_contain_text(said)
    expect(page.locator(".card")).to_have_count(5)
    expect(page.locator(".hyp")).to_contain_text("Deconvolve the beam before the fit")
    expect(page.locator(".bar.failed.old")).to_be_visible()
    page.keyboard.press("e")
    drawer_shows(page, "AssertionError: the spectrum is steeper than the sky was made", "Deconvolve the beam")
    expect(page.locator("#drawer .ln.hit").first).to_contain_text("assert abs(index + 2) < 0.05")
    shot(page)
    page.keyboard.press("c")
    expect(page.locator("main h1")).to_have_text("Compare")
    expect(page.locator(".ln.plus").first).to_contain_text("math.exp(-((k * SIGMA) ** 2))")
    shot(page, "compare")


def test_run_of_10_000_nodes(large_viewer: str, open_page: Open, shot: Callable[..., None]) -> None:
    page = open_page(f"{large_viewer}/runs/last")
    expect(page.locator("#live")).to_have_text("Completed")
    expect(page.locator("#summary")).to_contain_text("221 of 221 steps done")
    expect(page.locator("#summary")).to_contain_text("8,721")
    expect(page.locator(".card").first).to_be_visible()
    assert page.evaluate("document.querySelectorAll('*').length") < 3000
    shot(page)
    page.keyboard.press("e")
    drawer_shows(page, "ValueError", "Hypothesis 2 of step 3")
    for _ in range(3):
        page.keyboard.press("e")
    assert page.evaluate("document.querySelectorAll('*').length") < 3000
    page.keyboard.press("t")
    expect(page.locator(".tree-view [role=treeitem]").first).to_be_visible()
    assert page.evaluate("document.querySelectorAll('*').length") < 3000
    shot(page, "tree")


def test_dark_theme_and_a_phone(live_viewer: str, open_page: Open, shot: Callable[..., None]) -> None:
    dark = open_page(f"{live_viewer}/runs/last?node=step_5", color_scheme="dark")
    expect(dark.locator(".card").first).to_be_visible()
    drawer_shows(dark, "Power spectrum")
    shot(dark, "dark")
    phone = open_page(f"{live_viewer}/runs/last", viewport={"width": 390, "height": 844}, has_touch=True)
    expect(phone.locator(".card").first).to_be_visible()
    shot(phone, "phone")
    for path in ("/", "/runs/last", "/runs/last/steps/5", "/runs/last/nodes/step_5", "/compare?a=last:5.1&b=last:5.2"):
        phone.goto(f"{live_viewer}{path}")
        assert phone.evaluate("document.documentElement.scrollWidth") <= 390, path


def test_lists_of_runs(live_viewer: str, open_page: Open, shot: Callable[..., None]) -> None:
    page = open_page(f"{live_viewer}/")
    expect(page.locator("tbody tr")).to_have_count(1)
    expect(page.locator(".strip i.running")).to_have_count(1)
    shot(page)
    page.locator("tbody a").first.click()
    expect(page.locator(".card").first).to_be_visible()
