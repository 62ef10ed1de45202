"""What is public is written down, and loads only when it is used."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import distribution

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


def test_the_entry_points_are_these() -> None:
    ours = distribution("cmbagent-otel").entry_points
    assert sorted((point.group, point.name) for point in ours) == [
        ("console_scripts", "cmbagent-otel"),
        ("opentelemetry_instrumentor", "ag2"),
        ("opentelemetry_instrumentor", "autogen"),
        ("opentelemetry_instrumentor", "cmbagent"),
        ("opentelemetry_post_instrument", "cmbagent_dag"),
        ("opentelemetry_traces_exporter", "cmbagent_dag"),
    ]
    assert all(point.load() is not None for point in ours)


def test_the_processor_reads_the_environment_and_prices_before_it_has_a_thread() -> None:
    # Two threads in the middle of the same imports see half of a module: OpenAI's client looks at what prices import.
    program = (
        "import sys, threading, cmbagent_otel as otel; otel.DagSpanProcessor(); "
        "print('genai_prices' in sys.modules, threading.active_count())"
    )
    printed = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert printed.split() == ["True", "1"]
