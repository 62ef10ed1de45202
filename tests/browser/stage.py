"""What the browser tests and the screenshots share: a Chromium, a served viewer, and the demo's run."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import uvicorn
from playwright.sync_api import Browser, sync_playwright

from cmbagent_otel import semconv
from cmbagent_otel.web.app import create_viewer

ROOT = Path(__file__).parents[2]
ARTEFACTS = ROOT / "artefacts" / "browser"
DESKTOP = {"width": 1440, "height": 900}
PHONE = {"width": 390, "height": 844}

_FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@contextmanager
def chromium() -> Iterator[Browser]:
    """The browser that the make target found, with a new profile."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=os.environ["CHROMIUM"], args=list(_FLAGS))
        yield browser
        browser.close()


@contextmanager
def served(database_url: str) -> Iterator[str]:
    """The address of a viewer of that database."""
    listener = socket.create_server(("127.0.0.1", 0))
    app = create_viewer(database_url, jaeger_url="http://localhost:16686")
    serving = uvicorn.Server(uvicorn.Config(app, log_level="error", timeout_graceful_shutdown=1))
    thread = threading.Thread(target=serving.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    while not serving.started:
        time.sleep(0.01)
    yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    serving.should_exit = True
    thread.join(10)
    listener.close()


def run_demo(folder: Path) -> str:
    """Run the demo offline, what was said kept; returns the URL of its database."""
    url = f"sqlite:///{folder / 'cmbagent_otel.db'}"
    environment = {
        **os.environ,
        "CMBAGENT_OTEL_DATABASE_URL": url,
        "XDG_STATE_HOME": str(folder),
        semconv.CONTENT_GATE_VARIABLE: "SPAN_AND_EVENT",
    }
    subprocess.run(
        [sys.executable, ROOT / "examples" / "demo.py"], cwd=folder, env=environment, check=True, capture_output=True
    )
    return url
