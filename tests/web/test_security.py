"""Who may ask, and what a browser may do with the answer."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.testclient import TestClient

from cmbagent_otel.errors import SettingsError
from cmbagent_otel.web import app as web_app
from cmbagent_otel.web.app import create_viewer, serve
from cmbagent_otel.web.security import COOKIE
from tests.web.conftest import BASE
from tests.web.spans import Spans

STATIC = Path(web_app.__file__).parent / "static"


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8520", "localhost.evil.example", "127.0.0.1.nip.io", ""]
)
def test_name_that_is_not_allowed_is_refused(client: TestClient, host: str) -> None:
    assert client.get("/healthz", headers={"host": host}).status_code == 400


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:8520", "127.0.0.1:1", "[::1]:8520", "[::1]"])
def test_loopback_names_are_allowed(client: TestClient, host: str) -> None:
    assert client.get("/healthz", headers={"host": host}).status_code == 200


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
@pytest.mark.parametrize("path", ["/", "/api/runs", "/static/run.js", "/nothing"])
def test_only_get_is_answered(client: TestClient, method: str, path: str) -> None:
    assert client.request(method, path).status_code == 405


def test_api_refuses_pages_of_other_sites(client: TestClient) -> None:
    assert client.get("/api/runs", headers={"sec-fetch-site": "cross-site"}).status_code == 403
    assert client.get("/api/runs", headers={"sec-fetch-site": "same-origin"}).status_code == 200


@pytest.mark.parametrize("path", ["/", "/runs/last", "/api/runs", "/static/run.js", "/nothing", "/runs/none"])
@pytest.mark.usefixtures("spans")
def test_every_answer_forbids_what_is_not_ours(client: TestClient, path: str) -> None:
    headers = client.get(path).headers
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'self';" in policy
    assert "unsafe" not in policy
    assert "http" not in policy
    assert "frame-ancestors 'none'" in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cross-origin-resource-policy"] == "same-origin"
    assert "access-control-allow-origin" not in headers


def test_refusals_have_the_same_headers(client: TestClient) -> None:
    assert "content-security-policy" in client.get("/", headers={"host": "evil.example"}).headers


@pytest.mark.usefixtures("spans")
def test_pages_with_what_was_said_are_not_kept(client: TestClient) -> None:
    assert client.get("/runs/last").headers["cache-control"] == "no-store"
    assert client.get("/static/run.js").headers["cache-control"] == "no-cache"


def test_static_files_do_not_lead_out_of_their_folder(client: TestClient) -> None:
    for path in ("/static/../app.py", "/static/%2e%2e/app.py", "/static/..%2fapp.py"):
        assert client.get(path).status_code == 404


# -- the token ----------------------------------------------------------------------------------------------


@pytest.fixture
def guarded(migrated_sqlite_url: str) -> TestClient:
    return TestClient(create_viewer(migrated_sqlite_url, token="s3cret"), base_url=BASE)


@pytest.mark.parametrize("path", ["/", "/api/runs", "/static/run.js", "/healthz", "/?token=wrong"])
def test_without_the_token_nothing_is_answered(guarded: TestClient, path: str) -> None:
    answer = guarded.get(path)
    assert answer.status_code == 401
    assert "token" in answer.text


def test_bearer_token_opens(guarded: TestClient) -> None:
    assert guarded.get("/healthz", headers={"authorization": "Bearer s3cret"}).status_code == 200


def test_link_with_the_token_opens_and_leaves_no_token_in_the_address(guarded: TestClient) -> None:
    answer = guarded.get("/?token=s3cret", follow_redirects=False)
    assert answer.status_code == 303
    assert answer.headers["location"] == "/"
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    assert "s3cret" not in cookie
    assert guarded.get("/").status_code == 200


def test_forged_cookie_does_not_open(guarded: TestClient) -> None:
    for value in ("s3cret", "", "é", "x" * 5000):
        answer = guarded.get("/", headers=[(b"cookie", f"{COOKIE}={value}".encode())])
        assert answer.status_code == 401


def test_other_addresses_need_a_token() -> None:
    with pytest.raises(SettingsError, match="--token auto"):
        serve("sqlite:///none.db", host="0.0.0.0")


# -- mounted ------------------------------------------------------------------------------------------------


def test_mounted_in_a_host_application_all_links_stay_below_the_mount(migrated_sqlite_url: str, spans: Spans) -> None:
    host = Starlette(routes=[Mount("/otel", create_viewer(migrated_sqlite_url))])
    asking = TestClient(host, base_url=BASE)
    for path in ("/otel/", "/otel/runs/last", f"/otel/runs/{spans.run_id}/nodes/step_5", "/otel/runs/last/steps/5"):
        text = asking.get(path).text
        links = re.findall(r'(?:href|src|action)="(/[^"]*)"', text)
        assert links
        assert [link for link in links if not link.startswith("/otel/")] == []
        assert 'data-root="/otel"' in text
    assert asking.get("/otel/api/runs", headers={"sec-fetch-site": "cross-site"}).status_code == 403
    script = re.findall(r'src="(/otel/scripts/[^"]+)"', asking.get("/otel/runs/last").text)
    assert asking.get(script[0]).status_code == 200
    assert asking.get("/otel/scripts/run.0.js").status_code == 404


def test_engine_of_a_host_application_is_taken_too(migrated_sqlite_url: str, spans: Spans) -> None:
    from cmbagent_otel.store.engine import open_engine

    asking = TestClient(create_viewer(open_engine(migrated_sqlite_url)), base_url=BASE)
    assert asking.get(f"/runs/{spans.run_id}").status_code == 200


# -- our own files ------------------------------------------------------------------------------------------


def test_assets_name_no_other_site() -> None:
    for file in sorted(STATIC.iterdir()):
        found = re.findall(r"https?://[^\s\"'`)]+", file.read_text())
        assert set(found) <= {"http://www.w3.org/2000/svg"}, file.name


def test_scripts_never_parse_markup_of_a_run() -> None:
    for file in sorted(STATIC.glob("*.js")):
        text = file.read_text()
        for way in (
            "innerHTML",
            "outerHTML",
            "insertAdjacentHTML",
            "document.write",
            "eval(",
            "new Function",
            "srcdoc",
        ):
            assert way not in text, f"{file.name} has {way}"


def test_templates_have_no_script_or_style_of_their_own() -> None:
    for file in sorted((STATIC.parent / "templates").iterdir()):
        text = file.read_text()
        assert not re.search(r"\sstyle=", text), file.name
        assert not re.search(r"\son[a-z]+=", text), file.name
        assert "|safe" not in text, file.name
        for script in re.findall(r"<script[^>]*>", text):
            # The exported file names the hashes of its scripts in its policy: test_export.py.
            assert file.name == "export.html" or "src=" in script or 'type="application/json"' in script, file.name


def test_colours_are_written_only_in_the_token_block() -> None:
    text = (STATIC / "style.css").read_text()
    after = text[text.index("/* -- ground") :]
    assert re.findall(r"#[0-9a-fA-F]{3,8}\b|rgba?\(|hsla?\(", after) == []
