"""All of it by the keyboard, and all state in the address."""

from __future__ import annotations

import re

from playwright.sync_api import Page, expect

from tests.browser.conftest import Open
from tests.web.spans import Spans


def chosen(page: Page) -> str:
    return str(page.locator(".row.sel .nm").first.inner_text())


def test_keys_walk_open_close_and_find_errors(viewer: str, live_run: Spans, open_page: Open) -> None:
    page = open_page(f"{viewer}/runs/last?node=step_4")
    expect(page.locator(".row.sel .nm")).to_contain_text("Simulate maps")
    page.keyboard.press("j")
    expect(page.locator(".row.sel .nm")).to_contain_text("camb_context")
    page.keyboard.press("ArrowLeft")
    expect(page.locator(".row.sel .nm")).to_contain_text("Simulate maps")
    expect(page.locator(".row.sel")).to_have_attribute("aria-expanded", "false")
    page.keyboard.press("ArrowRight")
    expect(page.locator(".row.sel")).to_have_attribute("aria-expanded", "true")
    for number in range(3):
        page.keyboard.press("e")
        expect(page.locator("#drawer h2")).to_contain_text("failed")
        assert live_run.id(f"{0x1E + 2 * number:016x}") in page.url
    page.keyboard.press("e")
    assert live_run.id(f"{0x1E:016x}") in page.url
    page.keyboard.press("E")
    assert live_run.id(f"{0x22:016x}") in page.url
    page.keyboard.press("r")
    expect(page.locator("#drawer .path")).to_contain_text("Control")
    expect(page.locator("#drawer [aria-current=true]")).to_contain_text("Attempt 2")
    page.keyboard.press("Shift+ArrowLeft")
    expect(page.locator(".row.call")).to_have_count(0)


def test_search_finds_code_messages_and_names_and_walks_its_hits(live_viewer: str, open_page: Open) -> None:
    page = open_page(f"{live_viewer}/runs/last")
    for text, number in (("mind the beam", 1), ("bin_spectrum", 7), ("plot_judge", 1), ("BEAM WAS APPLIED", 1)):
        page.keyboard.press("/")
        expect(page.locator("#q")).to_be_focused()
        page.locator("#q").fill(text)
        expect(page.locator("#hits")).to_have_text(re.compile(rf"^{number}\+?$|^\d+$"))
        page.keyboard.press("Enter")
        expect(page.locator("#hits")).to_have_text(re.compile(r"^1 of \d+$"))
        page.keyboard.press("Escape")
        page.keyboard.press("Escape")
        expect(page.locator("#hits")).to_have_text("")
    page.keyboard.press("/")
    page.locator("#q").fill("nothing like this")
    expect(page.locator("#hits")).to_have_text("nothing")


def test_filters_dim_then_hide_and_escape_takes_them_back(live_viewer: str, open_page: Open) -> None:
    page = open_page(f"{live_viewer}/runs/last")
    page.locator("[data-filter=status]").select_option("failed")
    expect(page.locator(".card:not(.dimmed)")).to_have_count(1)
    expect(page).to_have_url(re.compile("status=failed"))
    page.get_by_role("button", name="Hide others").click()
    expect(page.locator(".card")).to_have_count(1)
    page.keyboard.press("Escape")
    expect(page.locator(".card")).to_have_count(9)
    expect(page).not_to_have_url(re.compile("status"))


def test_address_brings_everything_back(live_viewer: str, open_page: Open) -> None:
    page = open_page(f"{live_viewer}/runs/last?view=tree&agent=engineer&old=hide&node=step_6")
    expect(page.locator(".tree-view .row.sel .nm")).to_contain_text("Covariance")
    expect(page.locator("[data-filter=agent]")).to_have_value("engineer")
    expect(page.get_by_role("button", name="Hide replaced")).to_have_attribute("aria-pressed", "true")
    again = open_page(page.url)
    expect(again.locator(".tree-view .row.sel .nm")).to_contain_text("Covariance")
    expect(again.locator("#drawer h2")).to_contain_text("Covariance")


def test_back_goes_to_what_was_chosen_before(live_viewer: str, open_page: Open) -> None:
    page = open_page(f"{live_viewer}/runs/last?node=step_4")
    page.locator(".card", has_text="Covariance").locator("h4").click()
    expect(page.locator("#drawer h2")).to_contain_text("Covariance")
    page.go_back()
    expect(page.locator("#drawer h2")).to_contain_text("Simulate maps")


def test_enter_opens_what_has_the_focus(live_viewer: str, open_page: Open) -> None:
    page = open_page(f"{live_viewer}/runs/last?node=step_5")
    page.locator("#drawer").get_by_role("link", name="Attempt 2").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#drawer [aria-current=true]")).to_contain_text("Attempt 2")
    for key in ("Enter", " "):
        card = page.locator(".card", has_text="Covariance" if key == "Enter" else "Simulate maps")
        card.focus()
        page.keyboard.press(key)
        expect(card).to_have_attribute("aria-pressed", "true")
    page.get_by_role("button", name="Tree").focus()
    page.keyboard.press("Enter")
    expect(page.locator(".tree-view")).to_be_visible()


def test_view_heat_time_and_help_have_keys(live_viewer: str, open_page: Open) -> None:
    page = open_page(f"{live_viewer}/runs/last?node=step_6")
    page.keyboard.press("t")
    expect(page.locator(".tree-view")).to_be_visible()
    page.keyboard.press("t")
    page.keyboard.press("h")
    expect(page.locator(".glyph.heated").first).to_be_visible()
    page.keyboard.press("o")
    expect(page.locator(".card.old")).to_have_count(0)
    page.keyboard.press("z")
    expect(page).to_have_url(re.compile(r"t=\d+"))
    before = page.locator(".world").get_attribute("style")
    page.keyboard.press("+")
    expect(page.locator(".world")).not_to_have_attribute("style", str(before))
    page.keyboard.press("f")
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_contain_text("next and previous error")
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)


def test_dragging_moves_the_map_and_chooses_nothing(live_viewer: str, open_page: Open) -> None:
    page = open_page(f"{live_viewer}/runs/last?node=step_4")
    expect(page.locator("#drawer h2")).to_contain_text("Simulate maps")
    box = page.locator(".card", has_text="Covariance").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 60, box["y"] + 60)
    page.mouse.down()
    page.mouse.move(box["x"] + 20, box["y"] + 20, steps=4)
    page.mouse.up()
    moved = page.locator(".card", has_text="Covariance").bounding_box()
    assert moved is not None
    assert abs(moved["x"] - box["x"] + 40) < 3
    expect(page.locator("#drawer h2")).to_contain_text("Simulate maps")


def test_stretch_of_time_is_dragged_on_the_ruler(live_viewer: str, open_page: Open) -> None:
    page = open_page(f"{live_viewer}/runs/last")
    expect(page.locator(".ruler span").first).to_be_visible()
    box = page.locator(".ruler").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 200, box["y"] + 10)
    page.mouse.down()
    page.mouse.move(box["x"] + 400, box["y"] + 10, steps=4)
    page.mouse.up()
    expect(page).to_have_url(re.compile(r"t=\d+\.\.\d+"))
    page.locator(".ruler").dblclick()
    expect(page).not_to_have_url(re.compile(r"t=\d"))
