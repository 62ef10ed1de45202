"""What a hostile name, address or row can do to those who read: nothing but look odd."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import quote

import pytest
from sqlalchemy import Engine, text
from starlette.testclient import TestClient

from cmbagent_otel.store.writer import Writer
from cmbagent_otel.web.app import create_viewer
from tests.web.spans import Spans, research

NAMES = (
    "'; DROP TABLE dag_nodes; --",
    "' OR '1'='1",
    "%",
    "_______",
    "..",
    "../../../../etc/passwd",
    "\x00",
    "{{7*7}}",
    "<script>alert(1)</script>",
    "a" * 30_000,
)


@pytest.fixture
def run(engine: Engine) -> Spans:
    made = research()
    Writer(engine).write(made.records())
    return made


@pytest.fixture
def client(engine: Engine) -> Iterator[TestClient]:
    url = engine.url.render_as_string(hide_password=False)
    with TestClient(create_viewer(url), base_url="http://localhost") as asking:
        yield asking


@pytest.mark.usefixtures("run")
@pytest.mark.parametrize("name", NAMES, ids=lambda name: repr(name[:30]))
def test_the_name_of_a_run_is_a_value_and_never_part_of_a_query_or_a_path(
    engine: Engine, client: TestClient, name: str
) -> None:
    for path in (f"/runs/{quote(name, safe='')}", f"/api/runs/{quote(name, safe='')}/graph", f"/?q={quote(name)}"):
        answer = client.get(path)
        assert answer.status_code in (200, 400, 404, 414), path
        assert "json" in answer.headers["content-type"] or "<script>alert" not in answer.text
        assert "root:" not in answer.text
    with engine.connect() as connection:
        assert (connection.scalar(text("SELECT count(*) FROM dag_nodes")) or 0) > 50


HOSTILE_ROWS = (
    "UPDATE dag_nodes SET meta = '[]'",
    "UPDATE dag_nodes SET meta = '\"text\"'",
    """UPDATE dag_nodes SET meta = '{"kind": 7, "label": {"a": 1}, "attempt": "x", "tokens": "y", "goal": []}'""",
    "UPDATE dag_nodes SET meta = NULL, status = 'no such status', node_type = '<b>', name = NULL, agent = NULL",
    "UPDATE dag_nodes SET start_time_unix_nano = -9000000000000000000, end_time_unix_nano = 9000000000000000000",
    "UPDATE dag_nodes SET end_time_unix_nano = start_time_unix_nano - 1, depth = -5, order_index = -1, attempt = -3",
    "UPDATE dag_nodes SET parent_node_id = id",
    "UPDATE workflow_runs SET meta = '[1, 2]', status = 'unheard of', started_at = NULL, mode = '', model = ''",
    "UPDATE execution_events SET inputs = '7', outputs = '[[[[]]]]', meta = '\"x\"', event_type = '<i>'",
    "UPDATE dag_edges SET to_node_id = from_node_id, condition = '<script>alert(1)</script>'",
    "UPDATE workflow_steps SET step_number = -1, goal = '<script>alert(1)</script>', meta = '3'",
)


@pytest.mark.usefixtures("run")
@pytest.mark.parametrize("change", HOSTILE_ROWS, ids=range(len(HOSTILE_ROWS)))
def test_rows_that_are_not_as_we_write_them_break_no_page_and_no_export(
    engine: Engine, client: TestClient, change: str
) -> None:
    with engine.begin() as connection:
        connection.execute(text(change.replace(":", r"\:")))
        run_id = connection.scalar(text("SELECT id FROM workflow_runs"))
    paths = ("/", f"/runs/{run_id}", f"/api/runs/{run_id}/graph", f"/runs/{run_id}/steps/1")
    for path in (*paths, *(f"/runs/{run_id}/export.{form}" for form in ("html", "json", "mmd", "dot"))):
        answer = client.get(path)
        assert answer.status_code < 500, path
        if "json" not in answer.headers["content-type"]:
            assert "<script>alert" not in answer.text
    assert client.get(f"/runs/{run_id}").status_code == 200
