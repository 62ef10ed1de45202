"""``python -m cmbagent_otel.testing``."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from cmbagent_otel.testing.__main__ import read_script

COMMAND = [sys.executable, "-m", "cmbagent_otel.testing"]
ASK = """
import json, os, sys, urllib.request
url = os.environ["OPENAI_BASE_URL"] + "/chat/completions"
body = json.dumps({"model": "m", "messages": [{"role": "user", "content": "hi"}]}).encode()
answer = json.load(urllib.request.urlopen(urllib.request.Request(url, body)))
print(answer["choices"][0]["message"]["content"], sys.argv[1:])
sys.exit(3)
"""


@pytest.fixture
def script(tmp_path: Path) -> Path:
    path = tmp_path / "script.json"
    path.write_text(json.dumps(["hello"]))
    return path


def test_a_command_is_run_against_the_server_and_its_exit_code_is_kept(script: Path) -> None:
    said = subprocess.run(
        [*COMMAND, script, sys.executable, "-c", ASK, "--its", "own"], capture_output=True, text=True, check=False
    )
    assert (said.stdout, said.stderr, said.returncode) == ("hello ['--its', 'own']\n", "", 3)


def test_without_a_command_it_says_what_to_set_and_serves_until_interrupted(script: Path) -> None:
    # What a shell starts in the background ignores interrupts, and so do its children.
    with subprocess.Popen(
        ["env", "--default-signal=INT", *COMMAND, script], stdout=subprocess.PIPE, text=True
    ) as server:
        assert server.stdout is not None
        exported = server.stdout.readline().strip()
        asked = subprocess.run(
            ["sh", "-c", f"{exported}; exec {sys.executable} -c '{ASK}'"], capture_output=True, text=True, check=False
        )
        server.send_signal(signal.SIGINT)
        assert server.wait(10) == 0
    assert asked.stdout == "hello []\n"


def test_what_is_no_reply_is_named_with_what_would_be() -> None:
    with pytest.raises(ValueError, match=r"not a reply: \{'txt': 'hi'\}; use \"text\", \{\"tool\": \.\.\."):
        read_script('[{"txt": "hi"}]')
