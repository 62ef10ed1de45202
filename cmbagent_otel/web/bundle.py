"""Our scripts as one: a page from a file can't import modules, and a served one asks once instead of twenty times.

Each module becomes a function that returns what it exports. This reads only the forms in which our own modules
are written: ``import {a, b} from "./x.js"``, ``import * as x from "./x.js"``, and ``export`` before a declaration.
"""

from __future__ import annotations

import hashlib
import re
from functools import cache
from pathlib import Path

STATIC = Path(__file__).parent / "static"

_IMPORT = re.compile(r'^import (?:\{([^}]*)\}|\* as (\w+)) from "\./(\w+)\.js";\n', re.MULTILINE)
_EXPORT = re.compile(r"^export ((?:async )?function|class|const|let) (\w+)", re.MULTILINE)


@cache
def bundle(entry: str) -> str:
    """The module ``entry`` and all that it needs, as one script."""
    done: dict[str, str] = {}
    _add(entry, done)
    return '"use strict";\n' + "\n".join(done.values())


@cache
def name_of(entry: str) -> str:
    """A file name for the bundle that is another one when any of its modules is."""
    return f"{entry}.{hashlib.sha256(bundle(entry).encode()).hexdigest()[:12]}.js"


def _add(name: str, done: dict[str, str]) -> None:
    text = (STATIC / f"{name}.js").read_text(encoding="utf-8")
    for _, _, other in _IMPORT.findall(text):
        if other not in done:
            _add(other, done)
    names = [exported for _, exported in _EXPORT.findall(text)]
    body = _EXPORT.sub(r"\1 \2", _IMPORT.sub(_bound, text))
    done[name] = f"const ${name} = (() => {{\n{body}\nreturn {{ {', '.join(names)} }};\n}})();"


def _bound(found: re.Match[str]) -> str:
    names, everything, module = found.groups()
    return f"const {everything or '{' + names + '}'} = ${module};\n"
