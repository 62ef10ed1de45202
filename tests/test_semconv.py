"""The vocabulary agrees with OpenTelemetry's, and stands in one place."""

from __future__ import annotations

import re
from importlib.metadata import version
from pathlib import Path

import pytest
from opentelemetry.semconv._incubating.attributes import error_attributes, gen_ai_attributes, process_attributes

from cmbagent_otel import semconv
from tests import conventions

PACKAGE = Path(semconv.__file__).parent
KEYS = {name: value for name, value in vars(semconv).items() if name.isupper() and isinstance(value, str)}

# What AG2 1.x writes in its own way is read by a dialect, and never written.
WRITTEN = {name: value for name, value in KEYS.items() if not name.startswith("AG2_")}


@pytest.mark.parametrize("name", sorted(name for name, value in WRITTEN.items() if value.startswith("gen_ai.")))
def test_a_gen_ai_key_is_one_of_the_conventions(name: str) -> None:
    known = {value for value in vars(gen_ai_attributes).values() if isinstance(value, str)}
    assert KEYS[name] in known | conventions.METRICS | conventions.NEWER


def test_the_table_of_the_conventions_is_of_the_package_that_is_tested_with() -> None:
    assert version("opentelemetry-semantic-conventions") == conventions.PACKAGE
    known = {value for value in vars(gen_ai_attributes).values() if isinstance(value, str)}
    assert set(conventions.ATTRIBUTES) - known == conventions.NEWER
    operations = {value.value for value in gen_ai_attributes.GenAiOperationNameValues}
    assert set(conventions.OPERATIONS) <= operations
    assert not set(conventions.OPERATIONS_OF_OURS) & operations


def test_providers_are_named_as_the_conventions_name_them() -> None:
    from cmbagent_otel.instrumentation.autogen import model

    assert set(model._PROVIDERS.values()) <= {value.value for value in gen_ai_attributes.GenAiProviderNameValues}


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
