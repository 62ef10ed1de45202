"""Write the reference pages and the SQL files that come from code: ``python docs/generate.py``.

``tests/docs/test_generated.py`` fails where a page and the code no longer agree.
"""

from __future__ import annotations

import ast
import itertools
from pathlib import Path

from pydantic_core import PydanticUndefined

from cmbagent_otel import semconv
from cmbagent_otel.settings import Settings, variable_of
from cmbagent_otel.store.schema import OURS, metadata
from cmbagent_otel.store.scripts import scripts

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
    """The page of the vocabulary, from ``semconv.py``: every key with the comment of its section."""
    source = (ROOT / "cmbagent_otel" / "semconv.py").read_text()
    lines = [
        "# Attributes",
        "",
        "What stands on the spans that we emit. `gen_ai.*` follows the OpenTelemetry GenAI conventions; where they",
        "have no word, `cmbagent.*` is ours. **content** marks what is recorded only behind the",
        f"[gate](configuration.md) `{semconv.CONTENT_GATE_VARIABLE}`. Generated from `cmbagent_otel/semconv.py`.",
    ]
    docs = _docstrings(source)
    for section, names in _sections(source):
        rows = [name for name in names if isinstance(getattr(semconv, name), str)]
        if not rows:
            continue
        lines += ["", f"## {section}", "", "| key | meaning |", "|---|---|"]
        for name in rows:
            key = getattr(semconv, name)
            mark = "**content** " if key in semconv.CONTENT_KEYS else ""
            meaning = docs.get(name, name.replace("_", " ").lower())
            lines.append(f"| `{key}` | {mark}{meaning} |")
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
    return _page(lines)


SCRIPTS = ROOT / "cmbagent_otel" / "store" / "migrations" / "sql"
PAGES = {"configuration.md": configuration, "attributes.md": attributes, "schema.md": schema}


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
