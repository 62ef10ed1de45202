"""Without JavaScript, without a mouse, without motion, by a screen reader; and the words are Python's."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from cmbagent_otel.query import words
from tests.browser.conftest import Open

SECONDS = [
    0,
    0.0001,
    0.04,
    0.9994,
    0.9996,
    1,
    4.24,
    9.94,
    9.96,
    42,
    59.4,
    59.6,
    71,
    3599,
    3600,
    11_164,
    172_700,
    180_000,
]
DOLLARS = [0, 0.00001, 0.0007, 0.0099, 0.01, 0.9, 3.82, 1234.5]


def test_pages_are_whole_without_javascript(live_viewer: str, open_page: Open) -> None:
    page = open_page(f"{live_viewer}/", java_script_enabled=False)
    page.get_by_text("tSZ amplitude from SPT-like maps").click()
    expect(page.get_by_text("Step 5, attempt 1: Power spectrum")).to_be_visible()
    expect(page.get_by_text("Beam was applied twice").first).to_be_visible()
    page.get_by_text("Step 5, attempt 1: Power spectrum").click()
    expect(page.locator(".err")).to_contain_text("engineer gave up after 3 tries")
    page.get_by_role("link", name="engineer", exact=False).last.click()
    page.get_by_role("link", name="Python code").first.click()
    expect(page.locator(".ln.hit").first).to_contain_text("bin_spectrum")
    page.locator(".att").get_by_role("link", name="All", exact=True).click()
    expect(page.locator(".rung")).to_have_count(2)
    page.get_by_role("link", name="Compare").click()
    expect(page.locator(".ln.minus").first).to_be_visible()


def test_lists_are_trees_that_name_their_chosen_row(live_viewer: str, open_page: Open) -> None:
    page = open_page(f"{live_viewer}/runs/last?view=tree&node=step_5")
    tree = page.get_by_role("tree", name="Tree: phases, attempts and calls")
    expect(tree.locator("[aria-selected=true]")).to_have_attribute(
        "aria-label", "Step 5 Power spectrum, attempt 1 of 2, failed, replaced, 9 m 15 s, $0.19"
    )
    active = tree.get_attribute("aria-activedescendant")
    assert active == tree.locator("[aria-selected=true]").get_attribute("id")
    assert tree.locator("[role=treeitem]:not([aria-level])").count() == 0


def test_all_controls_have_names_and_can_be_hit(live_viewer: str, open_page: Open) -> None:
    page = open_page(f"{live_viewer}/runs/last")
    expect(page.locator("#drawer .dh")).to_be_visible()
    nameless = page.evaluate(
        """() => [...document.querySelectorAll('button, a, input, select, summary, [role=button]')]
          .filter((one) => one.checkVisibility() && !(one.getAttribute('aria-label') || one.textContent.trim()
                           || one.title)).map((one) => one.outerHTML)"""
    )
    assert nameless == []
    small = page.evaluate(
        """() => [...document.querySelectorAll('button, select, input')].filter((one) => one.checkVisibility())
          .map((one) => [one.className, one.getBoundingClientRect()])
          .filter(([name, box]) => !/chip|twist|now|^$/.test(name) && (box.width < 24 || box.height < 24))
          .map(([name, box]) => `${name} ${box.width}x${box.height}`)"""
    )
    assert small == []


def test_nothing_moves_where_motion_is_not_wanted(live_viewer: str, open_page: Open) -> None:
    page = open_page(f"{live_viewer}/runs/last", reduced_motion="reduce")
    expect(page.locator(".card.running")).to_be_visible()
    moving = page.evaluate("document.getAnimations().filter((one) => one.playState === 'running').length")
    assert moving == 0


def test_large_text_stacks_the_panels(live_viewer: str, open_page: Open) -> None:
    page = open_page(f"{live_viewer}/runs/last", viewport={"width": 720, "height": 450})  # 1440x900 at 200 %
    expect(page.locator("#drawer .dh")).to_be_attached()
    assert page.evaluate("document.documentElement.scrollWidth") <= 720
    top = page.locator("#drawer").bounding_box()
    below = page.locator("#main").bounding_box()
    assert top is not None
    assert below is not None
    assert top["y"] >= below["y"] + below["height"]


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_text_keeps_its_contrast(live_viewer: str, open_page: Open, theme: str) -> None:
    page = open_page(f"{live_viewer}/runs/last", color_scheme=theme)
    expect(page.locator("#drawer .dh")).to_be_visible()
    pairs = page.evaluate(
        """() => {
          const style = getComputedStyle(document.documentElement);
          const value = (name) => style.getPropertyValue(name).trim();
          const canvas = document.createElement('canvas').getContext('2d', {willReadFrequently: true});
          const light = (colour) => {
            canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1);
            const [r, g, b] = [...canvas.getImageData(0, 0, 1, 1).data].map((one) => one / 255)
              .map((one) => one <= 0.04045 ? one / 12.92 : ((one + 0.055) / 1.055) ** 2.4);
            return 0.2126 * r + 0.7152 * g + 0.0722 * b;
          };
          const ratio = (one, other) => {
            const [a, b] = [light(value(one)), light(value(other))].sort((x, y) => y - x);
            return (a + 0.05) / (b + 0.05);
          };
          const texts = [['--ink', '--bg'], ['--ink', '--panel'], ['--ink2', '--bg'], ['--ink2', '--panel'],
            ['--ink3', '--bg'], ['--ink3', '--panel'], ['--ok', '--okbg'], ['--run', '--runbg'], ['--fail', '--failbg'],
            ['--wait', '--waitbg'], ['--redo', '--redobg'], ['--run', '--panel'], ['--fail', '--panel'],
            ['--redo', '--panel'], ['--kw', '--code'], ['--str', '--code'], ['--com', '--code'], ['--num', '--code'],
            ['--ink', '--runbg'], ['--ink', '--failbg'], ['--ink2', '--line2']];
          return texts.map((pair) => [pair.join(' on '), ratio(...pair)]);
        }"""
    )
    assert [(pair, round(ratio, 2)) for pair, ratio in pairs if ratio < 4.5] == []


def test_figures_are_written_as_the_command_line_writes_them(live_viewer: str, open_page: Open) -> None:
    page = open_page(f"{live_viewer}/runs/last")
    found = page.evaluate(
        """async ([seconds, dollars]) => {
          const words = await import('/static/words.js');
          return [seconds.map(words.duration), dollars.map(words.cost)];
        }""",
        [SECONDS, DOLLARS],
    )
    assert found == [[words.duration(one) for one in SECONDS], [words.cost(one) for one in DOLLARS]]
