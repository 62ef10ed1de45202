"""The vocabulary agrees with OpenTelemetry's, and stands in one place."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from opentelemetry.semconv._incubating.attributes import error_attributes, gen_ai_attributes, process_attributes

from cmbagent_otel import semconv

PACKAGE = Path(semconv.__file__).parent
KEYS = {name: value for name, value in vars(semconv).items() if name.isupper() and isinstance(value, str)}

NEWER = {
    # In the GenAI conventions of their own repository, state of 2026-11-22, not yet in opentelemetry.semconv.
    "gen_ai.usage.cache_write.input_tokens",
    "gen_ai.request.stream",
    "gen_ai.workflow.name",
    "gen_ai.usage.reasoning.output_tokens",
}


# What AG2 1.x writes in its own way is read by a dialect, and never written.
WRITTEN = {name: value for name, value in KEYS.items() if not name.startswith("AG2_")}


@pytest.mark.parametrize("name", sorted(name for name, value in WRITTEN.items() if value.startswith("gen_ai.")))
def test_a_gen_ai_key_is_one_of_the_conventions(name: str) -> None:
    known = {value for value in vars(gen_ai_attributes).values() if isinstance(value, str)}
    metrics = {"gen_ai.client.operation.duration", "gen_ai.client.token.usage"}
    assert KEYS[name] in known | metrics | NEWER


def test_general_keys_are_those_of_opentelemetry() -> None:
    assert semconv.ERROR_TYPE == error_attributes.ERROR_TYPE
    assert semconv.PROCESS_EXIT_CODE == process_attributes.PROCESS_EXIT_CODE


def test_every_key_of_ours_is_said_once() -> None:
    ours = [value for value in KEYS.values() if value.startswith("cmbagent.")]
    assert len(ours) == len(set(ours))


def test_no_other_module_spells_a_key() -> None:
    spelled = re.compile(r"""["'](gen_ai|cmbagent|ag2)\.[a-z_.]+["']""")
    found = {
        f"{path.relative_to(PACKAGE)}: {match.group(0)}"
        for path in PACKAGE.rglob("*.py")
        if path.name != "semconv.py"
        for match in spelled.finditer(path.read_text())
    }
    # Module paths of AG2 and CMBAgent look the same; they are named where they are hooked.
    assert not {line for line in found if not line.startswith(("instrumentation/", "composition"))}


def test_content_keys_are_keys() -> None:
    assert set(KEYS.values()) >= semconv.CONTENT_KEYS
