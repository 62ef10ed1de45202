"""A command that is no Python program of this interpreter: it gets the environment."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from cmbagent_otel import settings

if TYPE_CHECKING:
    from cmbagent_otel.cli.trigger import Trigger


def run_command(command: Sequence[str], overrides: Mapping[str, str], trigger: Trigger | None) -> int:
    """Become the command, or with a ``trigger`` be the run around it; returns its exit code.

    A signal that ends the command ends us too, so that the exit status is the same.
    """
    if not os.access(command[0], os.X_OK):
        sys.stderr.write(
            f"cmbagent-otel: there is no file {command[0]!r} that can be run, and no such command on PATH. "
            "For a module of Python write: cmbagent-otel run -m MODULE.\n"
        )
        return 2
    environment = settings.child_environment({settings.variable_of(name): value for name, value in overrides.items()})
    if trigger is None:
        os.execve(command[0], list(command), environment)  # noqa: S606 - no shell is wanted
    return _around(command, environment, trigger)


def _around(command: Sequence[str], environment: Mapping[str, str], trigger: Trigger) -> int:
    from cmbagent_otel.composition import shutdown

    trigger.start_now()
    child = subprocess.Popen([*command], env={**environment, **trigger.child_environment()})
    # Ctrl-C reaches the child too, and how it ends is for the child to say.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda number, _frame: child.send_signal(number))
    code = child.wait()
    shutdown(None if code == 0 else subprocess.CalledProcessError(code, command[0]))
    if code < 0:
        signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    return code
