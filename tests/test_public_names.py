"""What is public is written down, and loads only when it is used."""

from __future__ import annotations

import subprocess
import sys

import cmbagent_otel as otel


def test_the_public_names_are_these() -> None:
    assert sorted(otel.__all__) == [
        "CmbagentOtelError",
        "DagSpanExporter",
        "DagSpanProcessor",
        "DecodeError",
        "InstrumentationError",
        "RedoLimitExceeded",
        "SchemaOutOfDateError",
        "SettingsError",
        "StoreError",
        "StoreUnavailableError",
        "UnknownRunError",
        "__version__",
        "agent",
        "child_env",
        "configure",
        "flush",
        "phase",
        "shutdown",
        "step",
        "tool",
        "workflow",
    ]
    assert all(getattr(otel, name) is not None for name in otel.__all__)


def test_importing_the_package_and_its_blocks_loads_no_database_and_no_sdk() -> None:
    program = (
        "import sys, cmbagent_otel as otel; otel.workflow; "
        "print([name for name in ('sqlalchemy', 'pydantic', 'opentelemetry.sdk', 'typer') if name in sys.modules])"
    )
    printed = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert printed.strip() == "[]"


def test_an_unknown_name_is_an_attribute_error() -> None:
    assert not hasattr(otel, "no_such_name")
