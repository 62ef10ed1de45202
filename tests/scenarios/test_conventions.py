"""Spans by the GenAI conventions, as the table has them: names, kinds, attributes and their types."""

from __future__ import annotations

import pytest

from cmbagent_otel import semconv
from tests.conventions import ATTRIBUTES, OPERATIONS, OPERATIONS_OF_OURS, PYTHON_TYPES
from tests.scenarios.programs import chats, code, groups, models, people
from tests.scenarios.stage import Play
from tests.scenarios.trace import attribute
from tests.scenarios.world import Program

PROGRAMS = [
    chats.two_agents_with_a_tool,
    chats.nested_chat_async,
    code.code_by_an_executor_of_ones_own,
    groups.handoffs_of_each_kind,
    groups.group_led_by_a_model,
    models.answer_with_cached_tokens,
    models.program_that_draws_lots,
    people.person_answers,
]


@pytest.mark.usefixtures("content_on")
@pytest.mark.parametrize("program", PROGRAMS, ids=str)
def test_every_span_is_named_and_described_as_the_conventions_say(play: Play, program: Program) -> None:
    for span in play(program).trace.spans:
        for key, value in (span.attributes or {}).items():
            if key.startswith("gen_ai."):
                assert isinstance(value, PYTHON_TYPES[ATTRIBUTES[key]]), key
                assert ATTRIBUTES[key] == "boolean" or not isinstance(value, bool), key
        operation = attribute(span, semconv.OPERATION_NAME)
        if operation is None:
            assert span.name == "speaker_selection"
            continue
        kind, follows = {**OPERATIONS, **OPERATIONS_OF_OURS}[operation]
        assert span.kind.name == kind
        assert span.name == f"{operation} {attribute(span, follows)}"
