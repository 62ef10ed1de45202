"""All of the package with the lowest and with the newest versions that it allows, on each Python that it names."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.packaging.environments import environment, interpreter, uv

ROOT = Path(__file__).parents[2]
VERSIONS = ("3.11", "3.12", "3.13")
RESOLUTIONS = ("lowest-direct", "highest")
EXTRAS = "auto,serve,sink,test"
SMOKE = (
    "tests/test_public_names.py",
    "tests/spans/test_lean.py",
    "tests/graph/test_cost.py",
    "tests/cli/test_reading.py",
    "tests/ingest/test_sink.py",
    "tests/web/test_pages.py",
    "tests/store/test_migrations.py",
    "tests/door/test_composition.py",
)
"""They need every dependency: the SDK, databases, command line, pages, sink. The hooks have `make test-matrix`."""


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("resolution", RESOLUTIONS)
@pytest.mark.parametrize("framework", ["ag2", "autogen"])
def test_the_extras_resolve_to_wheels(wheel: Path, framework: str, version: str, resolution: str) -> None:
    extras = f"{framework},auto,serve,sink,threads"
    options = ("--only-binary", ":all:", "--python-version", version, "--resolution", resolution)
    pinned = uv("pip", "compile", *options, "-", given=f"cmbagent-otel[{extras}] @ {wheel.as_uri()}\n")
    assert "opentelemetry-sdk==" in pinned


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("resolution", RESOLUTIONS)
def test_the_smoke_tests_pass(wheel: Path, tmp_path: Path, version: str, resolution: str) -> None:
    interpreter_path = interpreter(version)
    if interpreter_path is None:
        pytest.skip(f"no Python {version} on this machine")
    wanted = [f"cmbagent-otel[{EXTRAS}] @ {wheel.as_uri()}"]
    python = environment(tmp_path / "venv", interpreter_path, wanted, "--resolution", resolution)
    # What other packages warn of is not ours to mend, and differs from version to version.
    options = ("-q", "-p", "no:cacheprovider", "-o", "filterwarnings=default")
    ran = subprocess.run(
        [python, "-m", "pytest", *options, *SMOKE], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stdout[-8000:] + ran.stderr[-2000:]
