"""A run that goes on, watched: what is committed is shown, and what the reader looks at stays where it is."""

from __future__ import annotations

import re
from collections.abc import Callable

from playwright.sync_api import Page, Route, expect

from cmbagent_otel.store.writer import Writer
from tests.browser.conftest import Open
from tests.web.spans import Spans

ENGINEER = f"{0x39:016x}"
ROOT = f"{1:016x}"


def add_call(writer: Writer, run: Spans, t0: float) -> str:
    with run.inside(ENGINEER):
        span_id = run.tool("look_again", t0, t0 + 1)
    writer.write([run.records()[-1], run.alive()])
    return run.id(span_id)


def place_of(page: Page) -> object:
    return page.evaluate(
        """() => [document.querySelector('.world').style.transform, document.querySelector('.list').scrollTop,
                  document.querySelector('.row.sel')?.dataset.id, location.search,
                  document.querySelector('#drawer h2')?.textContent]"""
    )


def test_new_call_is_shown_and_nothing_moves(
    viewer: str, live_run: Spans, writer: Writer, open_page: Open, shot: Callable[..., None]
) -> None:
    page = open_page(f"{viewer}/runs/last?node=step_5")
    expect(page.locator("#live")).to_have_text("Live")
    expect(page.locator("#drawer h2")).to_contain_text("Power spectrum")
    before = place_of(page)
    added = add_call(writer, live_run, 11_170)
    expect(page.locator(f'.chip[data-id="{added}"]')).to_be_visible()
    assert place_of(page) == before
    shot(page)


def test_following_goes_to_what_runs_until_the_reader_moves(
    viewer: str, live_run: Spans, writer: Writer, open_page: Open
) -> None:
    page = open_page(f"{viewer}/runs/last?node=step_4")
    expect(page.locator("#live")).to_have_text("Live")
    page.keyboard.press("l")
    expect(page.locator("#live")).to_have_text("Following")
    expect(page.locator("#drawer h2")).to_contain_text("Python code")
    with live_run.inside(ENGINEER):
        live_run.tool("goes_on", 11_171, None)
    writer.write([live_run.records()[-1], live_run.alive()])
    expect(page.locator("#drawer h2")).to_contain_text("goes_on")
    page.keyboard.press("k")
    expect(page.locator("#live")).to_have_text("Live")


def test_end_of_the_run_is_the_end(viewer: str, live_run: Spans, writer: Writer, open_page: Open) -> None:
    page = open_page(f"{viewer}/runs/last")
    expect(page.locator("#live")).to_have_text("Live")
    ends = [
        record._replace(end_time_unix_nano=live_run.at(11_200))
        for record in live_run.records()
        if record.end_time_unix_nano is None
    ]
    writer.write(ends)
    expect(page.locator("#live")).to_have_text("Completed")
    expect(page).to_have_title(re.compile("^✓ 7/7 "))
    expect(page.locator(".card.running")).to_have_count(0)


def test_without_a_stream_the_page_asks(viewer: str, live_run: Spans, writer: Writer, open_page: Open) -> None:
    page = open_page("about:blank", expect_faults=True)
    page.route("**/events?*", lambda route: route.abort())
    page.goto(f"{viewer}/runs/last")
    expect(page.locator("#live")).to_have_text("Polling")
    added = add_call(writer, live_run, 11_170)
    expect(page.locator(f'.chip[data-id="{added}"]')).to_be_visible()


def test_server_that_is_away_is_said_and_the_picture_stays(live_viewer: str, open_page: Open) -> None:
    page = open_page("about:blank", expect_faults=True)
    away = {"now": False}

    def answer(route: Route) -> None:
        if away["now"]:
            route.abort()
        else:
            route.continue_()

    page.route("**/delta?*", answer)
    page.route("**/events?*", lambda route: route.abort())
    page.goto(f"{live_viewer}/runs/last")
    expect(page.locator("#live")).to_have_text("Polling")
    away["now"] = True
    expect(page.locator("#live")).to_have_text("Not up to date")
    expect(page.locator(".card")).to_have_count(9)
    away["now"] = False
    expect(page.locator("#live")).to_have_text("Polling")


def test_silent_run_is_said_to_be_silent(viewer: str, writer: Writer, open_page: Open) -> None:
    run = Spans(start=1_790_000_000)
    with run.inside(run.workflow("silent", 0, None)), run.inside(run.step(1, "Quiet", 1, None)):
        run.llm(2, None)
    writer.write(run.records())
    page = open_page(f"{viewer}/runs/last")
    expect(page.locator("#live")).to_contain_text("No news for")
    expect(page.locator(".card.stale")).to_have_count(1)
    expect(page.locator(".now")).to_contain_text("Last seen")


def test_list_of_runs_is_brought_up_to_date_in_place(live_viewer: str, writer: Writer, open_page: Open) -> None:
    page = open_page(f"{live_viewer}/")
    expect(page.locator("tbody tr")).to_have_count(1)
    other = Spans(start=1_790_000_000, trace=0xABC)
    other.workflow("another", 0, 5, "Another run")
    writer.write(other.records())
    expect(page.locator("tbody tr")).to_have_count(2)
    for box in page.locator(".pick input").all():
        box.check()
    page.get_by_role("button", name="Compare two runs").click()
    expect(page.locator("h1")).to_have_text("Compare")
