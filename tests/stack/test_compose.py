"""``compose.yaml`` as far as it can be checked without a container engine."""

from __future__ import annotations

import re
import subprocess
import sys
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]

from tests.stack.binaries import ROOT

SERVICES: dict[str, dict[str, Any]] = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]
OURS = [name for name, service in SERVICES.items() if service.get("build", {}).get("target") == "cmbagent-otel"]


@pytest.mark.parametrize("name", SERVICES)
def test_what_a_service_is_made_of_is_here(name: str) -> None:
    service = SERVICES[name]
    assert set(service.get("depends_on", ())) <= SERVICES.keys()
    if build := service.get("build"):
        stages = re.findall(r"^FROM \S+ AS (\S+)$", (ROOT / build["dockerfile"]).read_text(), re.MULTILINE)
        assert build["target"] in stages
    for volume in service.get("volumes", ()):
        source = volume.split(":")[0]
        assert not source.startswith(".") or (ROOT / source).exists()


@pytest.mark.parametrize("name", SERVICES)
def test_every_port_is_published_on_loopback_only(name: str) -> None:
    assert all(port.startswith("127.0.0.1:") for port in SERVICES[name].get("ports", ()))


@pytest.mark.parametrize("name", OURS)
def test_our_services_run_commands_that_there_are(name: str) -> None:
    command = SERVICES[name]["command"]
    said = subprocess.run(
        [sys.executable, "-m", "cmbagent_otel.cli.main", *command, "--help"],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
    )
    assert said.returncode == 0, said.stderr


def test_what_the_images_copy_is_here() -> None:
    dockerfile = (ROOT / "collector" / "Dockerfile").read_text()
    copied = [
        line.split()[1:-1] for line in dockerfile.splitlines() if line.startswith("COPY") and "--from" not in line
    ]
    assert all((ROOT / source).exists() for sources in copied for source in sources)


def test_the_variables_that_it_sets_are_those_that_the_configurations_read() -> None:
    configurations = [ROOT / "otel-collector.yaml", ROOT / "collector" / "jaeger.yaml"]
    read = {name for file in configurations for name in re.findall(r"\$\{env:(\w+)", file.read_text())}
    for name in ("otelcol", "jaeger"):
        assert SERVICES[name]["environment"].keys() <= read
