"""The changelog names what there is."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import typer

from cmbagent_otel.cli.app import app
from cmbagent_otel.store.views import VIEWS
from cmbagent_otel.version import __version__

CHANGELOG = (Path(__file__).parents[2] / "CHANGELOG.md").read_text()
COMMANDS = typer.main.get_command(app).commands  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", [*COMMANDS, *VIEWS])
def test_every_command_and_view_is_in_the_changelog(name: str) -> None:
    assert re.search(rf"`(?:cmbagent-otel )?{name}`", CHANGELOG)


def test_a_version_is_released_with_its_date_or_is_not_yet() -> None:
    headings = re.findall(r"^## \[(.+?)\](?: - (\d{4}-\d\d-\d\d))?$", CHANGELOG, re.MULTILINE)
    assert headings[0][0] in ("Unreleased", __version__)
    assert all(date for version, date in headings if version != "Unreleased")
