"""``run SCRIPT [ARGS] | -m MODULE [ARGS] | COMMAND [ARGS]``: an unchanged program, traced.

A Python program runs in this process, and finds it as plain ``python`` would have left it: of this package
and of what it needs only this small part is imported before the program imports AG2, or us.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence
from typing import NamedTuple, NoReturn

from cmbagent_otel.cli.program import run_module, run_path
from cmbagent_otel.cli.trigger import Trigger

HELP = """\
Usage: cmbagent-otel run [OPTIONS] SCRIPT [ARGS] | -m MODULE [ARGS] | COMMAND [ARGS]

  Run an unchanged program, traced. A Python script or module runs in this
  process; another command, `python` too, gets the environment. All that stands
  after SCRIPT, MODULE or COMMAND is the program's own.

Options:
  --database URL  The database, instead of CMBAGENT_OTEL_DATABASE_URL.
  --name NAME     Name of the workflow around what belongs to none; else the
                  program's own name.
  --session ID    The session that the run belongs to.
  --propagate     Let child processes join the run: TRACEPARENT and our run id
                  are put into the environment. Loads the tracing at once.
  -h, --help      Show this message and exit.
"""

_SCRIPT = (".py", ".pyw", ".pyc", ".pyz", ".zip")
_WITH_VALUE = {"--database": "database_url", "--name": "name", "--session": "session_id"}


class Invocation(NamedTuple):
    """What ``run`` was asked to do."""

    target: str
    arguments: list[str]
    is_module: bool
    propagate: bool
    values: dict[str, str]
    """Of our options: ``database_url``, ``name``, ``session_id``."""

    @property
    def name(self) -> str:
        """The workflow's name: the one given, else the program's."""
        given = self.values.get("name")
        if given:
            return given
        if self.is_module:
            return self.target
        base = os.path.basename(os.path.abspath(self.target))  # noqa: PTH100, PTH119 - pathlib is heavy before a script
        return base.removesuffix(".py") or base

    @property
    def overrides(self) -> dict[str, str]:
        """Settings that our options override."""
        return {field: value for field, value in self.values.items() if field != "name"}


def run(arguments: Sequence[str]) -> None:
    """Run what the arguments name; returns when the program comes to its end, and raises what it raises."""
    invocation = _parse(list(arguments))
    trigger = Trigger(invocation.name, invocation.overrides, started_at=time.time_ns())
    if not invocation.is_module:
        invocation = invocation._replace(target=_on_path(invocation.target))
        if not is_python_program(invocation.target):
            _command(invocation, trigger)
    if invocation.propagate:
        trigger.start_now()
        trigger.propagate()
    else:
        trigger.wait_for_import()
    if invocation.is_module:
        run_module(invocation.target, invocation.arguments)
    else:
        run_path(invocation.target, invocation.arguments)


def _on_path(name: str) -> str:
    """Where the shell would find a command of that name; the name itself where it is a file here, or not found."""
    if "/" not in name and not os.path.exists(name):  # noqa: PTH110
        for folder in os.get_exec_path():
            path = f"{folder}/{name}"
            if os.path.isfile(path) and os.access(path, os.X_OK):  # noqa: PTH113
                return path
    return name


def is_python_program(path: str) -> bool:
    """Whether the file or folder at ``path`` is for this Python to run; else it is a command of its own."""
    if not os.path.exists(path):  # noqa: PTH110
        return path.endswith(_SCRIPT)  # python itself says that it is not there
    if os.path.isdir(path) or path.endswith(_SCRIPT):  # noqa: PTH112
        return True
    with open(path, "rb") as file:  # noqa: PTH123
        first = file.read(256).partition(b"\n")[0]
    if not first.startswith(b"#!"):
        return not os.access(path, os.X_OK)
    interpreter = os.fsdecode(first[2:].strip())
    return "python" in interpreter and (
        interpreter.startswith("/usr/bin/env ")
        or os.path.dirname(interpreter.split()[0]) == os.path.dirname(sys.executable)  # noqa: PTH120
    )


def _parse(words: list[str]) -> Invocation:
    values: dict[str, str] = {}
    propagate = False
    while words and words[0].startswith("-") and words[0] != "-":
        word = words.pop(0)
        option, equals, value = word.partition("=")
        if word in ("-h", "--help"):
            sys.stdout.write(HELP)
            sys.exit(0)
        elif word == "--propagate":
            propagate = True
        elif option in _WITH_VALUE:
            values[_WITH_VALUE[option]] = value if equals else _next(words, option)
        elif word.startswith("-m"):
            module = word[2:] or _next(words, "-m")
            return Invocation(module, words, is_module=True, propagate=propagate, values=values)
        elif word == "--":
            break
        else:
            _refuse(f"there is no option {word}; options of your program stand after its name")
    if not words:
        _refuse("say what to run: a script, -m and a module, or a command")
    return Invocation(words[0], words[1:], is_module=False, propagate=propagate, values=values)


def _next(words: list[str], option: str) -> str:
    if not words:
        _refuse(f"{option} needs a value")
    return words.pop(0)


def _command(invocation: Invocation, trigger: Trigger) -> NoReturn:
    from cmbagent_otel.cli.command import run_command

    sys.exit(
        run_command(
            [invocation.target, *invocation.arguments],
            invocation.overrides,
            trigger if invocation.propagate else None,
        )
    )


def _refuse(message: str) -> NoReturn:
    sys.stderr.write(f"cmbagent-otel: {message}. `cmbagent-otel run --help` says more.\n")
    sys.exit(2)
