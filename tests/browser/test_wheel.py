"""The wheel, installed in an empty environment, serves the pages where there is no network."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import venv
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from cmbagent_otel.store.writer import Writer
from tests.browser.stage import ROOT
from tests.web.spans import research


@pytest.fixture(scope="module")
def command(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The command of the installed wheel."""
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "build", "--wheel", "--outdir", folder / "dist", ROOT]
    subprocess.run([*map(str, build)], check=True, capture_output=True, cwd=folder)
    wheel = next((folder / "dist").glob("*.whl"))
    venv.create(folder / "empty", with_pip=True)
    install = [
        folder / "empty/bin/python",
        "-m",
        "pip",
        "install",
        "--quiet",
        f"cmbagent-otel[serve] @ {wheel.as_uri()}",
    ]
    subprocess.run([*map(str, install)], check=True, cwd=folder)
    return folder / "empty/bin/cmbagent-otel"


@contextmanager
def serving(command: Path, database_url: str, folder: Path) -> Iterator[str]:
    arguments = [command, "serve", "--port", "0", "--database", database_url]
    # A proxy that nobody is behind: whatever asks another machine fails.
    environment = {"PATH": os.environ["PATH"], "http_proxy": "http://127.0.0.1:9", "https_proxy": "http://127.0.0.1:9"}
    process = subprocess.Popen([*map(str, arguments)], cwd=folder, env=environment, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    try:
        said = process.stderr.readline()
        address = re.search(r"http://\S+", said)
        assert address is not None, said + process.stderr.read()
        yield address.group().rstrip("/")
    finally:
        process.terminate()
        process.wait(10)
        process.stderr.close()


@pytest.mark.timeout(600)
def test_installed_wheel_serves_every_page_and_asset(
    command: Path, writer: Writer, migrated_sqlite_url: str, tmp_path: Path
) -> None:
    writer.write(research().records())
    with serving(command, migrated_sqlite_url, tmp_path) as address, httpx.Client(base_url=address) as client:
        for path in ("/", "/runs/last", "/runs/last/steps/5", "/runs/last/nodes/step_5", "/runs/last/export.html"):
            answer = client.get(path, follow_redirects=True)
            assert answer.status_code == 200, path
        page = client.get("/runs/last", follow_redirects=True).text
        assets = set(re.findall(r'(?:href|src)="(/(?:static|scripts)/[^"]+)"', page))
        assert {asset.rpartition(".")[2] for asset in assets} == {"css", "js", "svg"}
        for asset in assets:
            assert client.get(asset).status_code == 200, asset
