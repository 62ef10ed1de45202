"""``python -m cmbagent_otel.testing script.json COMMAND``: run a program whose OpenAI model follows a script.

Without a command it serves until interrupted, and says what to set. The script is a JSON list of replies
to be given in order, or an object of such lists by agent. A reply is a text,
``{"tool": name, "arguments": {...}}``, or ``{"status": 429}``.
"""

from __future__ import annotations

import argparse
import json
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

from cmbagent_otel.testing.model_server import ScriptedModelServer
from cmbagent_otel.testing.script import Reply, Script, by_agent, call_tool, fail, in_order, say


def read_script(text: str) -> Script:
    """The script in a JSON text.

    Raises:
        ValueError: The text is not JSON, or holds something that is no reply.
    """
    found = json.loads(text)
    if isinstance(found, dict):
        return by_agent({name: [_reply(each) for each in replies] for name, replies in found.items()})
    return in_order([_reply(each) for each in found])


def _reply(value: Any) -> Reply:
    match value:
        case str():
            return say(value)
        case {"tool": name}:
            return call_tool(name, value.get("arguments"), text=value.get("text"))
        case {"status": status}:
            return fail(status, value.get("message", "scripted failure"))
    message = f'not a reply: {value!r}; use "text", {{"tool": ..., "arguments": ...}} or {{"status": ...}}'
    raise ValueError(message)


def main() -> int:
    """Serve until the command given has ended, or until interrupted where none is given."""
    parser = argparse.ArgumentParser(prog="python -m cmbagent_otel.testing", description=__doc__)
    parser.add_argument("script", type=Path, help="JSON file")
    parser.add_argument("command", nargs=argparse.REMAINDER, help="program to run against the server")
    options = parser.parse_args()
    with ScriptedModelServer(read_script(options.script.read_text())) as server:
        variables = [f"OPENAI_BASE_URL={server.base_url}", "OPENAI_API_KEY=sk-scripted"]
        if options.command:
            return subprocess.run(["/usr/bin/env", *variables, *options.command], check=False).returncode
        sys.stdout.write(f"export {' '.join(variables)}\n")
        sys.stdout.flush()
        with suppress(KeyboardInterrupt):
            signal.pause()
    return 0


if __name__ == "__main__":
    sys.exit(main())
