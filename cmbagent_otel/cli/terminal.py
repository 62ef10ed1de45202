"""The two streams: width, colour, and what is printed when something goes wrong."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Mapping
from functools import cache
from typing import Any

from rich.console import Console
from rich.text import Text

from cmbagent_otel.query.document import to_json
from cmbagent_otel.query.words import one_line

UNLIMITED = 10_000
"""Columns of a pipe or file: nothing is cut there, unless ``COLUMNS`` says so."""


@cache
def out() -> Console:
    """Standard output. Rich honours ``NO_COLOR``, and writes no colours to what is no terminal."""
    columns = shutil.get_terminal_size((0, 0)).columns or UNLIMITED
    return Console(width=columns, highlight=False, markup=False, emoji=False, soft_wrap=False)


def say(text: str | Text = "") -> None:
    """Print one line, cut to the width."""
    out().print(text, no_wrap=True, overflow="ellipsis", crop=True)


def tell(message: str) -> None:
    """One line on standard error, for people."""
    sys.stderr.write(f"{one_line(message)}\n")


def print_json(document: Mapping[str, Any]) -> None:
    """A document for programs."""
    sys.stdout.write(f"{to_json(document)}\n")
