"""Text with colours: code by its language, tracebacks by their last line. Markup of ours, text of theirs escaped."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from markupsafe import Markup, escape
from pygments.lexer import Lexer
from pygments.lexers import get_lexer_by_name
from pygments.token import Comment, Keyword, Name, Number, Operator, String
from pygments.util import ClassNotFound

_CLASSES: tuple[tuple[Any, str], ...] = (
    (Comment, "com"),
    (String, "str"),
    (Number, "num"),
    (Keyword, "kw"),
    (Operator.Word, "kw"),
    (Name.Tag, "kw"),
    (Name.Attribute, "num"),
)
_COLOURED_CHARACTERS = 200_000
"""Beyond this a text is shown without colours: nobody waits for a lexer."""


@dataclass(frozen=True)
class Line:
    """A numbered line."""

    number: int
    markup: Markup
    hit: bool = False
    """Whether it is the one to look at."""


def lines(text: str, language: str | None = None, hit: int | None = None) -> list[Line]:
    """``text`` by lines, coloured as ``language`` where that is known; line ``hit`` is marked."""
    plain = text.expandtabs(4).splitlines() or [""]
    lexer = _lexer(language) if language and len(text) <= _COLOURED_CHARACTERS else None
    coloured = [escape(line) for line in plain] if lexer is None else _coloured("\n".join(plain), lexer)
    return [Line(number, markup, number == hit) for number, markup in enumerate(coloured, 1)]


def failing_line(source: str, output: str) -> int | None:
    """The line of ``source`` that a Python traceback in ``output`` blames."""
    found = [int(number) for number in re.findall(r'File "[^"]*", line (\d+), in <module>', output)]
    # A syntax error has no frame of its own: its "File" line stands last.
    found = found or [int(number) for number in re.findall(r'File "[^"]*", line (\d+)\s*$', output, re.MULTILINE)]
    return found[0] if found and found[0] <= len(source.splitlines()) else None


def error_line(output: str) -> int | None:
    """The line of ``output`` that names the error: the last ``SomethingError: ...``."""
    error = re.compile(r"[A-Za-z_][\w.]*(?:Error|Exception|Warning|Interrupt|Exit)\b")
    numbers = [number for number, line in enumerate(output.splitlines(), 1) if error.match(line)]
    return numbers[-1] if numbers else None


@lru_cache(maxsize=32)
def _lexer(language: str) -> Lexer | None:
    try:
        return get_lexer_by_name({"sh": "bash", "py": "python"}.get(language, language), stripnl=False, ensurenl=False)
    except ClassNotFound:
        return None


def _coloured(text: str, lexer: Lexer) -> list[Markup]:
    made: list[list[Markup]] = [[]]
    for kind, value in lexer.get_tokens(text):
        name = next((css for token, css in _CLASSES if kind in token), None)
        for place, part in enumerate(value.split("\n")):
            if place:
                made.append([])
            if part:
                made[-1].append(Markup('<span class="{}">{}</span>').format(name, part) if name else escape(part))
    return [Markup("").join(parts) for parts in made]
