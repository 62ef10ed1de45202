"""The demo: `make demo`, or `python examples/demo.py [--live]`.

Runs the workflow of ``power_spectrum.py``. Its models are played by a scripted server on this machine,
unless ``--live`` is given; the person's approval is scripted either way.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from autogen.io import IOStream
from power_spectrum import measure_spectral_index
from power_spectrum_replies import REPLIES
from sqlalchemy.engine import make_url

import cmbagent_otel as otel
from cmbagent_otel.cli.app import app as command_line
from cmbagent_otel.settings import load
from cmbagent_otel.testing import ScriptedModelServer, by_agent

LIVE_MODEL = "gpt-4.1-mini"
COMMAND = Path(sys.executable).with_name("cmbagent-otel")
TYPED = "cmbagent-otel" if shutil.which("cmbagent-otel") else os.path.relpath(COMMAND)
NEXT = {
    "runs": "all runs of this database",
    "diff last:2": "what the redo of step 2 did differently",
    "show last --json": "the same run, for programs",
    "serve": "the viewer, in a browser",
    "doctor": "what is set, installed and reachable",
}


class Console(IOStream):
    """AG2's window on the person: shows a line for each message, and answers ``approve`` for the person."""

    def print(self, *values: Any, **options: Any) -> None:
        """Leave out what AG2 prints around the messages."""

    def send(self, message: Any) -> None:
        """Show who says what, in a line."""
        said = getattr(message.content, "content", None)
        if message.type == "text" and said:
            sender = message.content.sender.removeprefix("_")  # AG2's own name for the one who sets the task
            print(f"  {sender:>12}  {str(said).strip().splitlines()[0][:90]}")

    def input(self, prompt: str = "", *, password: bool = False) -> str:
        """Answer for the person."""
        print(f"  {'':>12}  (the person is asked, and approves)")
        return "approve"


@contextmanager
def model(*, live: bool) -> Iterator[dict[str, Any]]:
    """The ``llm_config`` of OpenAI's model, or of the scripted one."""
    if live:
        if not os.environ.get("OPENAI_API_KEY"):
            sys.exit("--live asks OpenAI's model, and OPENAI_API_KEY is not set: export OPENAI_API_KEY=sk-...")
        yield {"config_list": [{"model": LIVE_MODEL, "api_key": os.environ["OPENAI_API_KEY"]}], "cache_seed": None}
        return
    with ScriptedModelServer(by_agent(REPLIES)) as server:
        yield server.llm_config()


def main() -> None:
    """Run the workflow, show its graph, and say what to type next."""
    parser = argparse.ArgumentParser(description="A multi-agent workflow, and the graph of its run.")
    parser.add_argument("--live", action="store_true", help="ask OpenAI's model (OPENAI_API_KEY)")
    options = parser.parse_args()

    # AG2 runs code by the name `python`: let that be this one.
    os.environ["PATH"] = f"{COMMAND.parent}{os.pathsep}{os.environ['PATH']}"
    otel.configure()
    IOStream.set_global_default(Console())
    with model(live=options.live) as llm_config, tempfile.TemporaryDirectory() as work_dir:
        measure_spectral_index(llm_config, Path(work_dir))
    otel.flush()
    show()


def show() -> None:
    """Show the run as ``cmbagent-otel show last`` does, and say what to type next."""
    print(f"\n$ {TYPED} show last", flush=True)
    try:
        command_line(["show", "last"], standalone_mode=False)
    except otel.CmbagentOtelError as error:
        sys.exit(str(error))
    database = make_url(load().resolved_database_url).render_as_string(hide_password=True)
    print(f"\nThe run is in {database}. Next:\n")
    for arguments, meaning in NEXT.items():
        print(f"  {TYPED} {arguments:<28}{meaning}")


if __name__ == "__main__":
    main()
