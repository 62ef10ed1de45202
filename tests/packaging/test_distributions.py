"""What is in the sdist and in the wheel."""

from __future__ import annotations

import subprocess
import tarfile
import zipfile
from email import message_from_bytes
from email.message import Message
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def in_wheel(wheel: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


@pytest.fixture(scope="module")
def in_sdist(sdist: Path) -> set[str]:
    with tarfile.open(sdist) as archive:
        return {name.partition("/")[2] for name in archive.getnames()}


@pytest.fixture(scope="module")
def metadata(in_wheel: dict[str, bytes]) -> Message:
    (name,) = (name for name in in_wheel if name.endswith(".dist-info/METADATA"))
    return message_from_bytes(in_wheel[name])


def tracked(*folders: str) -> set[str]:
    # What is new and not ignored will be, once it is committed.
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", *folders]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return {name for name in listed.stdout.splitlines() if (ROOT / name).exists()}


def test_the_wheel_is_the_package_and_nothing_else(in_wheel: dict[str, bytes]) -> None:
    assert {name for name in in_wheel if ".dist-info/" not in name} == tracked("cmbagent_otel")


def test_the_sdist_is_what_is_under_version_control(in_sdist: set[str]) -> None:
    mine = {name for name in tracked() if not name.startswith((".ci/", ".git"))}
    assert mine - in_sdist == set()
    assert {name for name in in_sdist - mine if name not in ("PKG-INFO", ".gitignore")} == set()


def test_the_wheel_says_that_it_is_typed(in_wheel: dict[str, bytes], metadata: Message) -> None:
    assert "cmbagent_otel/py.typed" in in_wheel
    assert "Typing :: Typed" in metadata.get_all("Classifier", [])


def test_both_have_the_licence(in_wheel: dict[str, bytes], in_sdist: set[str], metadata: Message) -> None:
    licence = (ROOT / "LICENSE").read_bytes()
    assert [text for name, text in in_wheel.items() if name.endswith(".dist-info/licenses/LICENSE")] == [licence]
    assert "LICENSE" in in_sdist
    assert metadata["License-Expression"] == "Apache-2.0"
    assert metadata.get_all("License-File") == ["LICENSE"]


def test_the_wheel_has_the_readme_as_its_description(metadata: Message) -> None:
    assert "See what your agents did" in str(metadata.get_payload())


def test_no_distribution_of_ag2_is_a_dependency(metadata: Message) -> None:
    core = [need for need in metadata.get_all("Requires-Dist", []) if "extra ==" not in need]
    assert [need for need in core if "ag2" in need.lower() or "autogen" in need.lower()] == []
