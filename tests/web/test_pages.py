"""The pages as a browser without JavaScript gets them, and what they say when things are odd."""

from __future__ import annotations

import gzip
import html
import json
import re
from pathlib import Path
from urllib.parse import quote

import pytest
from starlette.testclient import TestClient

from cmbagent_otel import semconv
from cmbagent_otel.semconv import NodeKind
from cmbagent_otel.spans.record import SpanRecord
from cmbagent_otel.store.engine import open_engine
from cmbagent_otel.store.writer import Writer
from cmbagent_otel.web.app import create_viewer
from tests.web.conftest import BASE, Write
from tests.web.spans import TASK, Spans, large


def text_of(page: str) -> str:
    """What a reader sees: no tags, no scripts, single spaces."""
    page = re.sub(r"<script.*?</script>|<svg.*?</svg>|<style.*?</style>", " ", page, flags=re.DOTALL)
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", page)).split())


# -- whole without JavaScript ---------------------------------------------------------------------------------


@pytest.mark.usefixtures("spans")
def test_list_of_runs_says_what_is_asked_of_a_run(client: TestClient) -> None:
    text = text_of(client.get("/").text)
    for said in (TASK.splitlines()[0], "planning_and_control", "running", "3 h 06 m", "329 k in, 20 k out", "$"):
        assert said in text


@pytest.mark.usefixtures("spans")
def test_list_of_runs_is_filtered_on_the_server(client: TestClient, write: Write) -> None:
    write(large(40, trace=0xB10).records())
    both = client.get("/").text
    assert "tSZ amplitude" in both
    assert "A long run" in both
    for query, kept, gone in (
        ("q=amplitude", "tSZ amplitude", "A long run"),
        ("status=completed", "A long run", "tSZ amplitude"),
        ("mode=deep_research", "A long run", "tSZ amplitude"),
        ("since=1d", "tSZ amplitude", "A long run"),
        ("min_cost=0.5", "tSZ amplitude", "A long run"),
    ):
        page = client.get(f"/?{query}").text
        assert kept in page, query
        assert gone not in page, query
    assert "No run is like that" in client.get("/?q=nothing+like+it").text


def test_fifty_runs_a_page_and_the_rest_on_the_next(client: TestClient, write: Write) -> None:
    for number in range(53):
        run = Spans(start=1_790_000_000 + number, trace=0x1000 + number)
        run.workflow(f"run_{number:02}", 0, 1)
        write(run.records())
    first = client.get("/").text
    assert len(re.findall(r"<tr data-id", first)) == 50
    following = html.unescape(re.findall(r'href="(/\?[^"]*offset[^"]*)"', first)[0])
    second = client.get(following).text
    assert len(re.findall(r"<tr data-id", second)) == 3
    assert not set(re.findall(r'data-id="([^"]+)', first)) & set(re.findall(r'data-id="([^"]+)', second))


@pytest.mark.usefixtures("spans")
def test_run_page_tells_the_run_without_scripts(client: TestClient) -> None:
    page = client.get("/runs/last").text
    text = text_of(page)
    for said in ("Now:", "Planning", "Human review", "Control", "Step 5, attempt 1: Power spectrum", "replaced"):
        assert said in text
    assert "redo after failure: Beam was applied twice: deconvolve the window before binning" in text
    assert "redo after feedback: Use the covariance of 500 mocks" in text
    for link in re.findall(r'<section class="plain".*?</section>', page, flags=re.DOTALL):
        for target in set(re.findall(r'href="(/runs/[^"]+)"', link)):
            assert client.get(target).status_code == 200, target


def test_node_page_shows_code_with_the_failing_line_marked(client: TestClient, spans: Spans) -> None:
    failing = next(record for record in spans.records() if record.status == "ERROR" and "execute_code" in record.name)
    page = client.get(f"/runs/last/nodes/{failing.span_id}").text
    hits = re.findall(r'<code class="ln hit" data-n="(\d+)">(.*?)</code>', page, flags=re.DOTALL)
    assert [number for number, _ in hits] == ["12", "5"]
    assert "bin_spectrum" in hits[0][1]
    assert "ValueError" in hits[1][1]
    text = text_of(page)
    for said in ("Exit code 1", "Duration 42 s", "Done again as attempt 2", "Span in Jaeger"):
        assert said in text


def test_node_page_shows_messages_with_who_said_them(client: TestClient, spans: Spans) -> None:
    call = next(record for record in spans.records() if "I bin the spectrum." in str(record.attributes))
    text = text_of(client.get(f"/runs/last/nodes/{call.span_id}").text)
    assert "system You are one of a team of cosmologists." in text
    assert "user Compute the power spectrum" in text
    assert "assistant I bin the spectrum." in text


@pytest.mark.usefixtures("spans")
def test_step_page_is_a_ladder_of_attempts(client: TestClient) -> None:
    text = text_of(client.get("/runs/last/steps/5").text)
    parts = (
        "2 attempts",
        "Attempt 1 failed",
        "replaced",
        "Python code",
        "after failure: Beam was",
        "Attempt 2 completed",
    )
    places = [text.index(part) for part in parts]
    assert places == sorted(places)


@pytest.mark.usefixtures("spans")
def test_compare_puts_the_hypothesis_first_and_the_difference_of_code_below(client: TestClient) -> None:
    text = text_of(client.get("/compare?a=last:5.1&b=last:5.2").text)
    parts = (
        "Step 5, attempt 1",
        "Hypothesis",
        "Beam was applied twice",
        "Status failed completed",
        "Calls",
        "-cl = hp.alm2cl(alm) / bl**2",
    )
    places = [text.index(part) for part in parts]
    assert places == sorted(places)


def test_two_runs_are_compared_by_their_steps(client: TestClient, write: Write, spans: Spans) -> None:
    other = large(120, trace=0xB10)
    write(other.records())
    text = text_of(client.get(f"/compare?a={spans.run_id}&b={other.run_id}").text)
    assert "Plan" in text
    assert "Step 1: Draft the plan" in text
    assert "Step 1: Step 1: a part of the work" in text


@pytest.mark.parametrize("name", ["0000000000000017", "step_5", "5", "5.2", "step_5_redo_1"])
def test_nodes_answer_to_all_their_names(client: TestClient, spans: Spans, name: str) -> None:
    assert client.get(f"/runs/{spans.run_id[:8]}/nodes/{name}", follow_redirects=True).status_code == 200


def test_short_run_ids_lead_to_the_whole_one_with_the_state_kept(client: TestClient, spans: Spans) -> None:
    answer = client.get("/runs/last?node=step_5&view=tree", follow_redirects=False)
    assert answer.headers["location"] == f"/runs/{spans.run_id}?node=step_5&view=tree"


def test_jaeger_is_linked_only_where_it_is_known(client: TestClient, migrated_sqlite_url: str, spans: Spans) -> None:
    link = f"http://localhost:16686/trace/{spans.trace_id}?uiFind=0000000000000003"
    assert link in client.get("/runs/last/nodes/0000000000000003").text
    without = TestClient(create_viewer(migrated_sqlite_url), base_url=BASE)
    assert "Jaeger" not in without.get("/runs/last").text + without.get("/runs/last/nodes/step_5").text


# -- odd states -----------------------------------------------------------------------------------------------


def test_no_database_names_the_file_and_the_command_and_looks_again(tmp_path: Path) -> None:
    path = tmp_path / "later.db"
    asking = TestClient(create_viewer(f"sqlite:///{path}"), base_url=BASE)
    page = asking.get("/")
    assert page.status_code == 503
    assert str(path) in html.unescape(page.text)
    assert "cmbagent-otel run" in page.text
    assert asking.get("/api/runs").json()["message"]
    from cmbagent_otel.store.migrate import upgrade

    engine = open_engine(f"sqlite:///{path}")
    upgrade(engine)
    engine.dispose()
    assert asking.get("/").status_code == 200


def test_no_runs_shows_how_to_trace_one(client: TestClient) -> None:
    text = text_of(client.get("/").text)
    assert "No runs yet" in text
    assert "cmbagent-otel run your_script.py" in text


def test_database_without_tables_says_how_to_make_them(tmp_path: Path) -> None:
    import sqlite3

    sqlite3.connect(tmp_path / "old.db").execute("CREATE TABLE other (id INTEGER)").connection.close()
    page = TestClient(create_viewer(f"sqlite:///{tmp_path / 'old.db'}"), base_url=BASE).get("/")
    assert page.status_code == 503
    assert "cmbagent-otel db upgrade" in page.text


def test_unknown_run_names_the_nearest(client: TestClient, spans: Spans) -> None:
    page = client.get("/runs/nothing")
    assert page.status_code == 404
    assert spans.run_id[:8] in page.text


def test_link_to_a_node_that_is_not_here_shows_the_run_and_says_so(client: TestClient, spans: Spans) -> None:
    page = client.get(f"/runs/{spans.run_id}?node=ffffffffffffffff")
    assert page.status_code == 200
    assert "may not have arrived yet" in text_of(page.text)


def test_content_that_was_not_recorded_names_the_setting(client: TestClient, migrated_sqlite_url: str) -> None:
    engine = open_engine(migrated_sqlite_url)
    run = Spans()
    with run.inside(run.workflow("quiet", 0, 10)):
        call = run.llm(1, 5, "said", asked="asked")
    Writer(engine, content=False).write(run.records())
    engine.dispose()
    text = text_of(client.get(f"/runs/last/nodes/{call}").text)
    assert "is not recorded" in text
    assert semconv.CONTENT_GATE_VARIABLE in text


def test_long_texts_are_cut_and_all_of_them_is_one_click_away(client: TestClient, write: Write) -> None:
    run = Spans()
    output = "\n".join(f"line {number}" for number in range(12_000))
    with run.inside(run.workflow("long", 0, 10)):
        code = run.code(1, 5, "print()", output)
    write(run.records())
    page = client.get(f"/runs/last/nodes/{code}").text
    assert "line 11999" not in page
    assert "Show all of it" in page
    assert "line 11999" in client.get(f"/runs/last/nodes/{code}?full=1").text


def test_silent_run_is_shown_as_silent_not_as_failed(client: TestClient, write: Write) -> None:
    run = Spans(start=1_790_000_000)
    with run.inside(run.workflow("silent", 0, None)):
        run.llm(1, None)
    write(run.records())
    text = text_of(client.get("/runs/last").text)
    assert "no news" in text
    assert "failed" not in text


def test_run_of_orphans_unknown_types_and_skew_has_a_row_for_each(client: TestClient, write: Write) -> None:
    run = Spans()
    with run.inside(run.workflow("odd", 0, 10)), run.inside(run.step(1, "A step", 2, 8)):
        run.add("mystery", "quantum", 1, 3, node_type="quantum")
        run.llm(9, 7)
    orphan = SpanRecord(
        run.trace_id,
        "00000000000000ff",
        "00000000000000fe",
        "lost",
        "INTERNAL",
        run.at(3),
        run.at(4),
        "UNSET",
        "",
        {semconv.NODE_TYPE: "tool", semconv.NODE_KIND: NodeKind.TOOL, semconv.RUN_ID: run.run_id},
    )
    write([*run.records(), orphan])
    picture = client.get("/api/runs/last/graph").json()
    shown = set(picture["order"]) | {
        row["id"] for card in picture["cards"] for row in client.get(f"/api/runs/last/cards/{card}").json()["rows"]
    }
    document = client.get("/api/runs/last/graph").json()["head"]
    assert len(shown & set(_node_ids(client))) == document["nodes"]
    text = text_of(client.get("/runs/last").text)
    assert "Unattached" in text


def _node_ids(client: TestClient) -> list[str]:
    viewer = client.app.state.viewer  # type: ignore[attr-defined]
    return list(viewer.snapshot("last").view.nodes)


# -- hostile content ------------------------------------------------------------------------------------------

HOSTILE = "<img src=x onerror=alert(1)></script><script>alert(2)</script>\"'&{{7*7}}\u202e\x1b[31m"


def test_hostile_names_and_texts_are_text_on_every_page(client: TestClient, write: Write) -> None:
    run = Spans()
    with run.inside(run.workflow(HOSTILE, 0, 10, HOSTILE)):
        first = run.step(1, HOSTILE, 1, 3, error=HOSTILE, error_type=HOSTILE)
        again = run.redo(1, HOSTILE, 4, 9, of=first, why=HOSTILE, hypothesis=HOSTILE)
        with run.inside(again), run.inside(run.agent(HOSTILE, 4, 9)):
            call = run.llm(4, 5, HOSTILE, asked=HOSTILE)
            tool = run.tool(HOSTILE, 5, 6, HOSTILE, HOSTILE)
            code = run.code(6, 7, HOSTILE, HOSTILE, exit_code=1)
    write(run.records())
    paths = ["/", "/runs/last", "/runs/last/steps/1", "/compare?a=last:1.1&b=last:1.2"]
    paths += [f"/?q={quote(HOSTILE)}", f"/runs/last?node={quote(HOSTILE)}"]
    paths += [f"/runs/last/nodes/{span_id}" for span_id in (first, again, call, tool, code)]
    paths += [f"{path}?part=drawer" for path in paths[-5:]]
    for path in paths:
        page = client.get(path).text
        assert "<img" not in page, path
        assert "<script>alert" not in page, path
        assert "\x1b" not in page, path
        assert "\u202e" not in page, path
        assert "{{7*7}}" in html.unescape(page), path


def test_data_in_the_page_can_not_end_its_element(client: TestClient, write: Write) -> None:
    run = Spans()
    run.workflow("x", 0, 1, "</script><script>alert(1)</script><!--")
    write(run.records())
    page = client.get("/runs/last").text
    found = re.findall(r'<script type="application/json" id="picture">(.*?)</script>', page, flags=re.DOTALL)
    assert json.loads(found[0])["head"]["title"] == "</script><script>alert(1)</script><!--"


# -- sizes ----------------------------------------------------------------------------------------------------


def test_all_assets_together_are_small() -> None:
    from cmbagent_otel.web import app as web_app

    static = Path(web_app.__file__).parent / "static"
    assert sum(len(gzip.compress(file.read_bytes())) for file in static.iterdir()) <= 60_000


def test_first_answer_of_a_large_run_is_small_and_holds_nothing_that_was_said(client: TestClient, write: Write) -> None:
    write(large(3000).records())
    answer = client.get("/api/runs/last/graph")
    assert len(gzip.compress(answer.content)) < 60_000
    for said in ("A thought.", "team of cosmologists", "healpy", "Traceback", "look_up\\"):
        assert said not in answer.text
