"""The page of the benchmarks says what they handed on, and the pages that quote it quote it."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from benchmarks import __main__ as bench
from benchmarks import report
from benchmarks.figures import by_name, hand_on, name_of

ROOT = Path(__file__).parents[2]
RESULTS = (ROOT / "benchmarks" / "RESULTS.md").read_text()


@pytest.mark.parametrize("name", sorted(report.QUOTES))
def test_a_page_quotes_the_results_as_they_are(name: str) -> None:
    text = (ROOT / name).read_text()
    assert "<!-- measured -->\n" in text
    assert text == report.quoting(text, RESULTS, name)


@pytest.mark.parametrize("quote", [quote for quotes in report.QUOTES.values() for quote in quotes], ids=str)
def test_a_row_that_is_quoted_is_in_the_results(quote: report.Quote) -> None:
    assert report.median_in(RESULTS, quote) != "not measured"


def test_the_results_have_a_section_for_every_benchmark() -> None:
    titles = [line.removeprefix("## ") for line in RESULTS.splitlines() if line.startswith("## ")]
    assert titles == [section.title for section in report.SECTIONS.values()]
    assert [benchmark.name for benchmark in bench.BENCHMARKS] == list(report.SECTIONS)


def test_a_row_shows_the_median_of_its_rounds_and_what_was_asked(tmp_path: Path) -> None:
    rounds = by_name([{"ours : theirs (<= 0.5)": value, "ours, ms": 200 * value} for value in (0.4, 0.3, 0.2)])
    hand_on(tmp_path / "hooks.json", {"a part": rounds}, ["pytest"], theirs="1.0")
    page = page_of(tmp_path)
    assert "| ours : theirs | 0.30 | 0.20 to 0.40 | 3 | at most 0.5 |" in page
    assert "| ours, ms | 60.0 | 40.0 to 80.0 | 3 |  |" in page
    assert f"With theirs 1.0, pytest {pytest.__version__}." in page


def test_a_row_that_missed_what_was_asked_says_so(tmp_path: Path) -> None:
    hand_on(tmp_path / "hooks.json", {"a part": {"ours : theirs (<= 0.5)": [0.6], "a : b (>= 2)": [2.0]}})
    page = page_of(tmp_path)
    assert "| ours : theirs | 0.60 |  | 1 | at most 0.5, **missed** |" in page
    assert "| a : b | 2.00 |  | 1 | at least 2 |" in page


def test_what_could_not_be_measured_is_told_with_its_reason(tmp_path: Path) -> None:
    assert "*Not measured: there is no Chromium on this machine.*" in page_of(tmp_path)


def test_a_run_that_was_broken_off_goes_on_where_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(bench, "KEPT", tmp_path)
    (tmp_path / "hooks.json").write_text("{}")
    bench.run(bench.Benchmark("hooks", "no.such.module"))
    assert capsys.readouterr().out == "hooks: measured already\n"
    with pytest.raises(SystemExit, match="sink failed"):
        bench.run(bench.Benchmark("sink", "no.such.module", python=lambda: Path(sys.executable)))
    assert not (tmp_path / "sink.json").exists()


def test_the_name_of_a_ratio_tells_what_was_asked() -> None:
    name = name_of("ours : COPY, ended spans only (>= 0.5)")
    assert (name.what, name.is_ratio, name.is_met_by(0.5), name.is_met_by(0.4)) == (
        "ours : COPY, ended spans only",
        True,
        True,
        False,
    )
    assert not name_of("ours, ms").is_ratio


@pytest.mark.parametrize(("load", "told"), [(0.5, False), (100.0, True)])
def test_figures_of_a_busy_machine_are_marked_wherever_they_stand(tmp_path: Path, load: float, told: bool) -> None:
    hand_on(tmp_path / "hooks.json", {"a part": {"ours : theirs": [0.6]}})
    content = json.loads((tmp_path / "hooks.json").read_text())
    (tmp_path / "hooks.json").write_text(json.dumps(content | {"load": load}))
    page = page_of(tmp_path)
    assert ("Other work was running" in page) is told
    assert ("Other work was running" in report.quotation(page, "README.md")) is told


def page_of(folder: Path) -> str:
    for name in report.SECTIONS:
        if not (folder / f"{name}.json").exists():
            (folder / f"{name}.not-run").write_text("there is no Chromium on this machine")
    return report.page(folder, "2026-01-01")
