"""A run as a file that needs nothing else."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
from typing import Any

from starlette.testclient import TestClient

from cmbagent_otel.web.export import export_html
from tests.web.conftest import Write
from tests.web.spans import Spans


def data_of(page: str) -> Any:
    found = re.findall(r'<script type="application/json" id="picture">(.*?)</script>', page, flags=re.DOTALL)
    return json.loads(found[0])


def test_file_holds_styles_scripts_and_every_node_and_names_no_other_place(client: TestClient, spans: Spans) -> None:
    answer = client.get("/runs/last/export.html")
    assert answer.headers["content-disposition"] == f'attachment; filename="run-{spans.run_id[:8]}.html"'
    page = answer.text
    assert re.findall(r'(?:src|href)="(?!#)[^"]*"', page) == []
    assert set(re.findall(r"https?://[^\s\"'`)\\]+", page)) <= {"http://www.w3.org/2000/svg"}
    data = data_of(page)
    assert len(data["parts"]) == len(spans.records())
    assert sum(len(rows) for rows in data["inside"].values()) + len(data["order"]) == len(spans.records())


def test_policy_of_the_file_lets_only_its_own_scripts_run(client: TestClient, spans: Spans) -> None:
    page = client.get(f"/runs/{spans.run_id}/export.html").text
    policy = html.unescape(re.findall(r'http-equiv="Content-Security-Policy" content="([^"]*)"', page)[0])
    assert policy.startswith("default-src 'none'")
    assert "unsafe" not in policy
    scripts = re.findall(r'<script(?: type="module")?>(.*?)</script>', page, flags=re.DOTALL)
    assert len(scripts) == 2
    for text in scripts:
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"'sha256-{digest}'" in policy


def test_redacted_file_keeps_structure_and_holds_nothing_that_was_said(client: TestClient, spans: Spans) -> None:
    whole = client.get(f"/runs/{spans.run_id}/export.html").text
    redacted = client.get(f"/runs/{spans.run_id}/export.html?redact=1").text
    for said in ("I bin the spectrum", "healpy", "bins are not finite", "Yes; mind the beam", "team of cosmologists"):
        assert said in whole
        assert said not in redacted
    for kept in (
        "Power spectrum",
        "Beam was applied twice",
        "ValueError",
        "plot_judge",
        "view_plot",
        "without what was said",
    ):
        assert kept in redacted


def test_command_line_makes_the_same_file(migrated_sqlite_url: str, client: TestClient, spans: Spans) -> None:
    made = data_of(export_html(migrated_sqlite_url, spans.run_id[:8]))
    served = data_of(client.get("/runs/last/export.html").text)
    assert made["inside"].keys() == served["inside"].keys()
    assert made["cards"] == served["cards"]


def test_text_of_other_tools_is_that_of_the_command_line(client: TestClient, spans: Spans) -> None:
    from cmbagent_otel.query.export import dot, mermaid

    view = client.app.state.viewer.snapshot(spans.run_id).view  # type: ignore[attr-defined]
    assert client.get("/runs/last/export.mmd").text == mermaid(view)
    assert client.get("/runs/last/export.dot").text == dot(view)
    assert client.get("/runs/last/export.json").json()["run"]["id"] == spans.run_id
    assert client.get("/runs/last/export.pdf").status_code == 404


def test_hostile_text_stays_text_in_the_file(client: TestClient, write: Write) -> None:
    hostile = "</script><script>alert(1)</script><img src=x onerror=alert(2)>"
    run = Spans()
    with run.inside(run.workflow(hostile, 0, 9, hostile)), run.inside(run.agent(hostile, 1, 8)):
        run.llm(2, 3, hostile, asked=hostile)
        run.code(4, 5, hostile, hostile, exit_code=1)
    write(run.records())
    page = client.get("/runs/last/export.html").text
    assert "<img" not in page
    assert "<script>alert" not in page
