"""``doctor``: what is set, installed, reachable and lost, and how to mend it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from pydantic import SecretStr
from rich.text import Text

from cmbagent_otel import settings
from cmbagent_otel.cli import health, installed, lost, reachable
from cmbagent_otel.cli.findings import Finding, State, mend
from cmbagent_otel.cli.terminal import out, print_json, say
from cmbagent_otel.errors import CmbagentOtelError, SettingsError
from cmbagent_otel.query.document import SCHEMA
from cmbagent_otel.query.words import one_line
from cmbagent_otel.settings import Settings, variable_of

_MARKS = {State.FINE: ("✓", "green"), State.NOTE: ("·", "dim"), State.MEND: ("✗", "bold red")}


class Setting(NamedTuple):
    """A setting as it is in force."""

    variable: str
    value: str
    """As people may see it: secrets are masked."""
    source: str
    """``option``, ``environment`` or ``default``."""


def examine(database: str | None, *, tables: bool = False, json: bool) -> int:
    """Look at everything, print it, and return the exit code: 1 when something needs mending."""
    overrides = {"database_url": database} if database else {}
    found: health.Look | None = None
    try:
        config = settings.load(**overrides)
    except SettingsError as error:
        in_force: list[Setting] = []
        sections = {"installed": list(installed.look()), "set": [_unreadable(error)]}
    else:
        in_force = list(_settings(config, overrides))
        sections = {
            "installed": list(installed.look()),
            "reachable": list(reachable.look(config)),
            "lost": list(lost.look(config)),
        }
        if tables:
            try:
                found = health.look(config.resolved_database_url)
            except CmbagentOtelError as error:
                sections["tables"] = [mend("tables", str(error), "see the database above")]
    if json:
        _print_json(in_force, sections, found)
    else:
        _print(in_force, sections, found)
    return int(any(finding.state is State.MEND for findings in sections.values() for finding in findings))


def _unreadable(error: SettingsError) -> Finding:
    return mend("settings", str(error), "correct or unset that variable")


def _settings(config: Settings, overrides: Mapping[str, str]) -> Iterator[Setting]:
    for field in Settings.model_fields:
        source = "option" if field in overrides else "environment" if field in config.model_fields_set else "default"
        yield Setting(variable_of(field), _shown(field, config), source)


def _shown(field: str, config: Settings) -> str:
    value: Any = getattr(config, field)
    if field == "database_url":
        value = config.resolved_database_url
    elif field == "spool_dir":
        value = config.resolved_spool_dir
    elif field == "traces_exporter":
        value = config.exporters
    if value is None or value == ():
        return "–"  # noqa: RUF001 - a dash is what people write for "none"
    if isinstance(value, SecretStr):
        return "set, not shown"
    if isinstance(value, tuple):
        return ",".join(value)
    if isinstance(value, bool):
        return str(value).lower()
    return _without_password(str(value))


def _without_password(value: str) -> str:
    try:
        parts = urlsplit(value)
        if not parts.password:
            return value
    except ValueError:
        return value
    return value.replace(f":{parts.password}@", ":***@")


def _print(in_force: Sequence[Setting], sections: Mapping[str, Sequence[Finding]], tables: health.Look | None) -> None:
    if in_force:
        say(Text("set", "bold"))
        width = max(len(setting.variable) for setting in in_force)
        for setting in in_force:
            style = "dim" if setting.source == "default" else ""
            say(Text(f"  {setting.variable:<{width}}  {one_line(setting.value)}  ({setting.source})", style))
    for section, findings in sections.items():
        say(Text(section, "bold"))
        width = max((len(finding.name) for finding in findings), default=0)
        for finding in findings:
            sign, style = _MARKS[finding.state]
            line = Text.assemble("  ", (sign, style), f" {finding.name:<{width}}  {one_line(finding.text)}")
            if finding.fix:
                line.append(f"  → {one_line(finding.fix)}", "bold" if finding.state is State.MEND else "dim")
            out().print(line, soft_wrap=True)
    broken = sum(finding.state is State.MEND for findings in sections.values() for finding in findings)
    if tables is not None:
        say(Text("tables", "bold"))
        health.show(tables)
    else:
        say()
    if broken:
        say(Text(f"{broken} to mend: see ✗ above, the fix stands behind →.", "bold red"))
    else:
        say(Text("All is well.", "green"))


def _print_json(
    in_force: Sequence[Setting], sections: Mapping[str, Sequence[Finding]], tables: health.Look | None
) -> None:
    print_json(
        {
            "schema": SCHEMA,
            "settings": [setting._asdict() for setting in in_force],
            **{section: [finding._asdict() for finding in findings] for section, findings in sections.items()},
            **({"database": health.document(tables)} if tables is not None else {}),
            "to_mend": sum(finding.state is State.MEND for findings in sections.values() for finding in findings),
        }
    )
