"""What a scenario's program lives in: a model that follows a script, a folder, and a record of what its tools did.

The programs know nothing of tracing. Each returns what its user could see of it, as plain values, so that a run
with hooks can be compared with one without.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import autogen

from cmbagent_otel.testing import Reply, ScriptedModelServer
from cmbagent_otel.testing.script import Script


@dataclass
class World:
    """A program's surroundings."""

    server: ScriptedModelServer
    folder: Path
    done: list[str] = field(default_factory=list)
    """What the tools, the executors and the people of the program did, written down by themselves."""

    def llm_config(self, model: str = "gpt-4o-mini", **settings: Any) -> dict[str, Any]:
        """For an agent; each one gets a copy of its own."""
        return self.server.llm_config(model, **settings)


@dataclass(frozen=True)
class Program:
    """A user's program, and what its model says."""

    name: str
    run: Callable[[World], Any]
    replies: Callable[[], Script | Iterable[Reply]]
    traces: int = 1
    """How many traces it makes when nothing stands around it."""
    possible: bool = True
    """Whether this AG2 can do what it asks for."""

    def __str__(self) -> str:
        return self.name


IS_CMBAGENTS = find_spec("autogen.cmbagent_utils") is not None
"""Whether this is the fork of AG2 that CMBAgent depends on."""
IS_OLD = autogen.__version__.startswith(("0.9.", "0.0."))
"""Whether this AG2 counts streamed tokens itself, with a table from the network, and is new to the responses API."""
PROGRAMS: dict[str, Program] = {}


def program(
    *replies: Reply,
    script: Callable[[], Script] | None = None,
    traces: int = 1,
    listed: bool = True,
    possible: bool = True,
) -> Callable[[Callable[[World], Any]], Program]:
    """Make a function a program whose model gives these replies in order, or follows ``script``.

    One that is ``listed`` is also looked at without hooks, and compared.
    """

    def register(run: Callable[[World], Any]) -> Program:
        made = Program(run.__name__, run, script or (lambda: replies), traces, possible)
        if listed and possible:
            PROGRAMS[made.name] = made
        return made

    return register


def seen(chat: Any) -> dict[str, Any]:
    """What a user sees of AG2's ``ChatResult``."""
    return {"history": chat.chat_history, "summary": chat.summary, "cost": chat.cost, "human": chat.human_input}
