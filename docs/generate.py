"""Write the reference pages and the SQL files that come from code: ``python docs/generate.py``.

``tests/docs/test_generated.py`` fails where a page and the code no longer agree.
"""

from __future__ import annotations

import ast
import inspect
import itertools
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import sqlalchemy
import typer
from pydantic_core import PydanticUndefined

import cmbagent_otel as otel
from cmbagent_otel import semconv, testing
from cmbagent_otel.cli.app import app
from cmbagent_otel.cli.run import HELP as RUN_HELP
from cmbagent_otel.settings import Settings, variable_of
from cmbagent_otel.store.engine import open_engine
from cmbagent_otel.store.migrate import upgrade
from cmbagent_otel.store.schema import OURS, metadata
from cmbagent_otel.store.scripts import scripts
from cmbagent_otel.store.views import VIEWS

HERE = Path(__file__).parent
ROOT = HERE.parent


def configuration() -> str:
    """The page of the environment variables, from ``settings.py``."""
    lines = [
        "# Configuration",
        "",
        "Every variable, its meaning and its default. `configure(...)` takes the same as keyword arguments, under the",
        "name in the last column; an argument wins over the environment. An empty variable counts as unset.",
        "This page is generated from `cmbagent_otel/settings.py`.",
        "",
        "| variable | meaning | default | argument |",
        "|---|---|---|---|",
    ]
    for name, field in Settings.model_fields.items():
        default = "unset" if field.default in (None, (), "", PydanticUndefined) else f"`{field.default}`"
        lines.append(f"| `{variable_of(name)}` | {field.description} | {default} | `{name}` |")
    lines += [
        "",
        "All other `OTEL_*` variables (`OTEL_SERVICE_NAME`, `OTEL_RESOURCE_ATTRIBUTES`, `OTEL_TRACES_SAMPLER`,",
        "`OTEL_EXPORTER_OTLP_HEADERS`, ...) are read by the OpenTelemetry SDK, as its specification says.",
        "The graph obeys the sampler.",
    ]
    return _page(lines)


def attributes() -> str:
    """The page of the vocabulary, from ``semconv.py``: every key with its docstring."""
    source = (ROOT / "cmbagent_otel" / "semconv.py").read_text()
    lines = [
        "# Attributes",
        "",
        "What stands on the spans that we emit. Where OpenTelemetry's conventions have a word, it is theirs, with [its",
        "meaning](https://opentelemetry.io/docs/specs/semconv/registry/attributes/gen-ai/); where they have none,",
        "`cmbagent.*` is ours. **content** marks what is recorded only behind the",
        f"[gate](configuration.md) `{semconv.CONTENT_GATE_VARIABLE}`. Words of others are read, never written.",
        "Generated from `cmbagent_otel/semconv.py`.",
    ]
    docs = _docstrings(source)
    for section, names in _sections(source):
        rows = [name for name in names if isinstance(getattr(semconv, name), str)]
        if not rows:
            continue
        lines += ["", f"## {section[0].upper()}{section[1:]}", "", "| key | meaning |", "|---|---|"]
        for name in rows:
            key = getattr(semconv, name)
            theirs = name.replace("_", " ").capitalize() if section.startswith("words of others") else ""
            mark = "**content**" if key in semconv.CONTENT_KEYS else ""
            meaning = f"{mark} {_plain(docs.get(name, theirs))}".strip()
            lines.append(f"| `{key}` | {meaning} |")
    for name, values in inspect.getmembers(semconv, inspect.isclass):
        words = [value for key, value in vars(values).items() if key.isupper()]
        lines += ["", f"## {name}", "", _plain(inspect.getdoc(values) or ""), ""]
        lines.append(", ".join(f"`{word}`" for word in words))
    return _page(lines)


def schema() -> str:
    """The page of the tables, from the store's one schema."""
    lines = [
        "# Tables",
        "",
        "The words are those of CMBAgent's database, so that one can be adopted in place. Columns marked *ours* are",
        "added beside CMBAgent's and are nullable. Generated from `cmbagent_otel/store/schema.py`.",
    ]
    for table in metadata.sorted_tables:
        lines += ["", f"## {table.name}{' (ours)' if table.info == OURS else ''}", ""]
        lines += ["| column | type | null | references |", "|---|---|---|---|"]
        for column in table.columns:
            references = ", ".join(sorted(f"`{key.target_fullname}`" for key in column.foreign_keys))
            null = "yes" if column.nullable else "no"
            comment = " *ours*" if column.info == OURS else ""
            lines.append(f"| `{column.name}` | {column.type} | {null} | {references}{comment} |")
    lines += ["", "## Views", "", "| view | columns |", "|---|---|"]
    lines += [f"| `{view}` | {', '.join(columns)} |" for view, columns in _views().items()]
    return _page(lines)


def _views() -> dict[str, list[str]]:
    """The columns of each view, as a new database has them."""
    with tempfile.TemporaryDirectory() as folder:
        engine = open_engine(f"sqlite:///{Path(folder) / 'new.db'}")
        upgrade(engine)
        inspector = sqlalchemy.inspect(engine)
        columns = {view: [str(column["name"]) for column in inspector.get_columns(view)] for view in VIEWS}
        engine.dispose()
    return columns


def command_line() -> str:
    """The page of the commands, from the command line itself."""
    lines = [
        "# Command line",
        "",
        "Every command and option. What goes wrong is one line on standard error that names the fix: exit code 2 for",
        "what was typed or set, 1 for all else. `run` exits as the program does. Generated from `cmbagent_otel/cli/`.",
    ]
    for words, command in _commands(typer.main.get_command(app), ("cmbagent-otel",)):
        arguments = [_argument(param) for param in command.params if _is_argument(param)]
        lines += ["", f"## {' '.join([*words, *arguments])}", ""]
        if words[-1] == "run":  # it reads its words itself, since most of them are the program's
            lines += ["```text", RUN_HELP.rstrip(), "```"]
            continue
        lines += [_plain(inspect.cleandoc(command.help or ""))]
        if command.params:
            lines += ["", "| | meaning |", "|---|---|"]
        for param in command.params:
            names = [_argument(param)] if _is_argument(param) else [*param.opts, *param.secondary_opts]
            default = f" Default: `{param.default}`." if param.default not in (None, False) else ""
            lines.append(f"| {', '.join(f'`{name}`' for name in names)} | {_plain(param.help or '')}{default} |")
    return _page(lines)


def _commands(command: Any, words: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    if not hasattr(command, "commands"):
        yield words, command
        return
    for name, below in command.commands.items():
        if not below.hidden:
            yield from _commands(below, (*words, name))


def _is_argument(param: Any) -> bool:
    return not param.opts[0].startswith("-")


def _argument(param: Any) -> str:
    """In brackets, where it may be left out."""
    name = (param.metavar or param.name).strip("[]").upper()
    return name if param.required else f"[{name}]"


def python_api() -> str:
    """The page of the public names, from the package itself."""
    lines = [
        "# Python",
        "",
        "All that `import cmbagent_otel as otel` offers. The blocks work as context managers, sync and async, and as",
        "decorators. `cmbagent_otel.testing` is public too: [what that means](stability.md). Made from the package.",
    ]
    for name in [name for name in otel.__all__ if name != "__version__"]:
        public = getattr(otel, name)
        is_error = isinstance(public, type) and issubclass(public, Exception)
        lines += ["", f"## {name}", ""]
        if not is_error:
            lines += ["```text", f"otel.{name}{_signature(public)}", "```", ""]
        lines += _documented(public)
        if isinstance(public, type) and not is_error:
            lines += _members(public)
    lines += ["", "## cmbagent_otel.testing", "", _first_paragraph(testing), "", "| name | meaning |", "|---|---|"]
    lines += [f"| `{name}` | {_first_paragraph(getattr(testing, name))} |" for name in testing.__all__]
    return _page(lines)


def _signature(public: Any) -> str:
    parameters = [
        parameter.replace(annotation=inspect.Parameter.empty)
        for name, parameter in inspect.signature(public).parameters.items()
        if name != "self"
    ]
    return str(inspect.Signature(parameters))


def _documented(public: Any) -> list[str]:
    """The docstring, with its arguments, results and errors as lists."""
    lines: list[str] = []
    for line in (inspect.getdoc(public) or "").splitlines():
        if re.fullmatch(r"[A-Z][a-z]+:", line):
            lines += [f"*{line[:-1]}*", ""]
        elif named := re.fullmatch(r"    ([\w*]+): (.*)", line):
            lines.append(f"- `{named[1]}`: {_plain(named[2])}")
        elif lines and lines[-1].startswith("- ") and line.strip():
            lines[-1] += f" {_plain(line.strip())}"
        else:
            lines.append(_plain(line.strip()))
    return lines


_FOR_HOOKS = {"begin", "begin_around", "claim", "finish", "node", "redo_seen"}
"""Members that are there for the hooks of this package, and may change with them."""


def _members(public: type) -> list[str]:
    rows = []
    for name, member in inspect.getmembers(public):
        if name.startswith("_") or name in _FOR_HOOKS or not inspect.getdoc(member) or isinstance(member, type):
            continue
        call = _signature(member) if callable(member) else ""
        rows.append(f"| `{name}{call}` | {_first_paragraph(member)} |")
    return ["", "| member | meaning |", "|---|---|", *rows] if rows else []


def _first_paragraph(public: Any) -> str:
    return _plain(" ".join((inspect.getdoc(public) or "").partition("\n\n")[0].split()))


def _plain(text: str) -> str:
    """A docstring's marks as those of a page."""
    return re.sub(r":\w+:`~?\.?([^`]+)`", r"`\1`", text).replace("``", "`").replace("|", "\\|")


SCRIPTS = ROOT / "cmbagent_otel" / "store" / "migrations" / "sql"
PAGES = {
    "api.md": python_api,
    "attributes.md": attributes,
    "cli.md": command_line,
    "configuration.md": configuration,
    "schema.md": schema,
}


def _sections(source: str) -> list[tuple[str, list[str]]]:
    sections: list[tuple[str, list[str]]] = []
    for line in source.splitlines():
        if line.startswith("# -- "):
            sections.append((line.strip("# -"), []))
        elif sections and " = " in line and line.split(" = ")[0].isidentifier() and line[0].isupper():
            sections[-1][1].append(line.split(" = ")[0])
    return sections


def _docstrings(source: str) -> dict[str, str]:
    found: dict[str, str] = {}
    body = ast.parse(source).body
    for before, after in itertools.pairwise(body):
        if (
            isinstance(before, ast.Assign)
            and isinstance(before.targets[0], ast.Name)
            and isinstance(after, ast.Expr)
            and isinstance(after.value, ast.Constant)
        ):
            found[before.targets[0].id] = " ".join(str(after.value.value).split())
    return found


def _page(lines: list[str]) -> str:
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    for name, make in PAGES.items():
        (HERE / name).write_text(make())
    for script in scripts():
        (SCRIPTS / script.name).write_text(script.text)
