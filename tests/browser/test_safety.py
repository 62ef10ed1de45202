"""Hostile runs in a real browser: what a run says is shown, never obeyed."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import Page, expect

from cmbagent_otel.store.writer import Writer
from tests.browser.conftest import Open
from tests.web.spans import Spans

HOSTILE = "<img src=x onerror=\"document.title='owned'\"><script>document.title='owned'</script>\"'`${1}{{1}}"


def hostile_run() -> Spans:
    run = Spans()
    with run.inside(run.workflow(HOSTILE, 0, 60, HOSTILE)), run.inside(run.phase(HOSTILE, 0, 60)):
        first = run.step(1, HOSTILE, 1, 20, error=HOSTILE, error_type=HOSTILE)
        with run.inside(first), run.inside(run.agent(HOSTILE, 1, 19, error=HOSTILE)):
            run.code(6, 7, HOSTILE, HOSTILE, exit_code=1)
        again = run.redo(1, HOSTILE, 21, 59, of=first, why=HOSTILE, hypothesis=HOSTILE)
        with run.inside(again), run.inside(run.agent(HOSTILE, 21, 58)):
            run.llm(24, 25, HOSTILE, asked=HOSTILE)
            run.tool(HOSTILE, 25, 26, HOSTILE, HOSTILE)
            run.human(HOSTILE, 27, 28, HOSTILE, HOSTILE)
            run.add(HOSTILE, HOSTILE[:40], 29, 30, node_type=HOSTILE[:40])
    return run


def assert_nothing_of_it_lives(page: Page) -> None:
    assert page.evaluate("document.querySelectorAll('img, iframe, object, embed').length") == 0
    assert page.evaluate("[...document.querySelectorAll('*')].some((one) => one.hasAttribute('onerror'))") is False
    assert "owned" not in page.title().replace(HOSTILE, "")


def test_every_view_of_a_hostile_run(viewer: str, writer: Writer, open_page: Open) -> None:
    run = hostile_run()
    writer.write(run.records())
    page = open_page(f"{viewer}/runs/last")
    expect(page.locator(".card").first).to_be_visible()
    expect(page.locator(".card .t").first).to_contain_text("<img src=x")
    ids = [run.id(record.span_id) for record in run.records()]
    for node_id in ids:
        page.goto(f"{viewer}/runs/last?node={node_id}")
        expect(page.locator("#drawer .dh")).to_be_visible()
        for tab in page.locator("#drawer [role=tab]").all():
            tab.click()
        assert_nothing_of_it_lives(page)
    page.keyboard.press("t")
    expect(page.locator(".tree-view .row").first).to_be_visible()
    page.keyboard.press("/")
    page.locator("#q").fill("<img")
    page.keyboard.press("Enter")
    assert_nothing_of_it_lives(page)
    for path in [
        "/",
        "/runs/last/steps/1",
        "/compare?a=last:1.1&b=last:1.2",
        *(f"/runs/last/nodes/{one}" for one in ids),
    ]:
        page.goto(f"{viewer}{path}")
        assert_nothing_of_it_lives(page)


def test_page_asks_no_other_server(live_viewer: str, open_page: Open) -> None:
    page = open_page("about:blank")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(f"{live_viewer}/runs/last")
    expect(page.locator("#drawer .dh")).to_be_visible()
    page.keyboard.press("e")
    page.keyboard.press("?")
    assert [url for url in asked if not url.startswith((f"{live_viewer}/", "data:"))] == []


def test_exported_file_works_without_a_server(viewer: str, writer: Writer, open_page: Open, downloads: Path) -> None:
    run = hostile_run()
    writer.write(run.records())
    page = open_page(f"{viewer}/runs/last")
    page.get_by_text("Export", exact=True).click()
    with page.expect_download() as download:
        page.get_by_text("One HTML file, all inside").click()
    file = downloads / "run.html"
    download.value.save_as(file)
    alone = open_page(file.as_uri(), offline=True)
    expect(alone.locator(".card")).to_have_count(2)
    expect(alone.locator("#news")).to_contain_text("One file, with all that was recorded")
    alone.keyboard.press("e")
    expect(alone.locator("#drawer .err")).to_contain_text("<img src=x")
    alone.keyboard.press("t")
    expect(alone.locator(".tree-view .row").first).to_be_visible()
    alone.locator("#q").fill("onerror")
    expect(alone.locator("#hits")).not_to_have_text("nothing")
    assert_nothing_of_it_lives(alone)
