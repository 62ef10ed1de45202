"""The command line in this process."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import pytest
from sqlalchemy import Engine

from cmbagent_otel.cli import terminal
from cmbagent_otel.cli.app import start


class Done(NamedTuple):
    """How a command ended, and what it wrote."""

    code: int
    out: str
    err: str


Call = Callable[..., Done]


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Call:
    """Run ``cmbagent-otel`` with these words."""
    monkeypatch.delenv("COLUMNS", raising=False)

    def run(*words: str) -> Done:
        terminal.out.cache_clear()
        monkeypatch.setattr("sys.argv", ["cmbagent-otel", *words])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            start()
        written = capsys.readouterr()
        return Done(int(ended.value.code or 0), written.out, written.err)

    return run


@pytest.fixture
def stored(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> Engine:
    """A database with our tables, which the environment names."""
    monkeypatch.setenv("CMBAGENT_OTEL_DATABASE_URL", engine.url.render_as_string(hide_password=False))
    return engine
