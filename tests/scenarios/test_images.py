"""Images in messages: the trace is as without them, and they themselves are in no row, only their type and size."""

from __future__ import annotations

import json
from typing import Any

import pytest
from sqlalchemy import Engine, inspect, text

from cmbagent_otel import content, semconv
from cmbagent_otel.semconv import NodeKind
from cmbagent_otel.spans.from_sdk import from_sdk
from cmbagent_otel.store.writer import Writer
from tests.scenarios.programs import images
from tests.scenarios.stage import Perform, Play, Recorder
from tests.scenarios.trace import Trace, attribute, lines
from tests.scenarios.world import Program

WITH_A_VIEWER = [
    images.image_of_pillow,
    images.image_of_pillow_async,
    images.image_in_the_text,
    images.image_in_a_data_url,
]
ALL = [*WITH_A_VIEWER, images.image_by_its_address, images.image_from_a_tool]


def parts(trace: Trace, kind: str, key: str) -> list[dict[str, Any]]:
    """The parts of the messages under ``key`` of the first span of that kind."""
    return [part for message in json.loads(attribute(trace.of(kind)[0], key)) for part in message["parts"]]


@pytest.mark.parametrize("program", WITH_A_VIEWER, ids=str)
def test_chat_with_an_image_is_a_chat(play: Play, program: Program) -> None:
    _, world, trace = play(program)
    assert images.base64_of_png() in json.dumps(world.server.requests[0].body)
    assert trace.outline() == lines("""
        invoke_workflow viewer
          invoke_agent viewer
            chat gpt-4o-mini
          invoke_agent user
          invoke_agent viewer
            chat gpt-4o-mini
    """)
    assert trace.messages == [("user", "viewer"), ("viewer", "user")] * 2
    words = "".join(span.to_json() for span in trace.spans)
    assert not any(said in words for said in ("What is", "image/png", "pixels", "base64", "gradient"))


@pytest.mark.usefixtures("content_on")
@pytest.mark.parametrize("program", [images.image_of_pillow, images.image_of_pillow_async], ids=str)
def test_image_of_pillow_is_told_by_its_size_and_as_the_model_gets_it_by_its_type(play: Play, program: Program) -> None:
    _, _, trace = play(program)
    text_part, image = parts(trace, NodeKind.AGENT, semconv.INPUT_MESSAGES)
    assert text_part == {"type": "text", "content": "What is it?"}
    assert image == {"type": "blob", "modality": "image", "content": "[image, 48 x 32 pixels]"}
    sent = parts(trace, NodeKind.LLM, semconv.INPUT_MESSAGES)[1]
    assert sent == {"type": "blob", "modality": "image", "mime_type": "image/png", "content": png_marker()}


def png_marker() -> str:
    return f"[image/png, {len(images.png())} bytes]"


@pytest.mark.usefixtures("content_on")
def test_image_in_the_text_is_told_by_its_type_and_size(play: Play) -> None:
    _, _, trace = play(images.image_in_the_text)
    first = trace.events(semconv.MESSAGE_EVENT)[0].attributes[semconv.MESSAGE_CONTENT]
    assert first == f"What is <img {png_marker()}>?"


@pytest.mark.usefixtures("content_on")
def test_image_by_its_address_keeps_the_address(play: Play) -> None:
    _, _, trace = play(images.image_by_its_address)
    image = parts(trace, NodeKind.LLM, semconv.INPUT_MESSAGES)[1]
    assert image == {"type": "uri", "modality": "image", "uri": "https://example.org/star.png"}


@pytest.mark.usefixtures("content_on")
def test_image_that_a_tool_gives_is_told_by_its_type_and_size(play: Play) -> None:
    _, _, trace = play(images.image_from_a_tool)
    assert png_marker() in attribute(trace.named("execute_tool draw"), semconv.TOOL_CALL_RESULT)


@pytest.mark.usefixtures("hooks")
@pytest.mark.parametrize("on_spans", [True, False], ids=["on spans", "in our tables alone"])
@pytest.mark.parametrize("program", ALL, ids=str)
def test_no_row_holds_an_image(
    program: Program, on_spans: bool, recorder: Recorder, perform: Perform, engine: Engine
) -> None:
    content.configure(recorded=True, on_spans=on_spans, limit=65536)
    perform(program)
    records = [content.complete(record) for span in recorder.ended if (record := from_sdk(span)) is not None]
    content.reset()
    Writer(engine).write(records)
    stored = []
    with engine.connect() as connection:
        for table in inspect(engine).get_table_names():
            stored += [str(tuple(row)) for row in connection.execute(text(f"SELECT * FROM {table}"))]
    assert any("What is" in row or "Draw" in row for row in stored)
    if images.HAS_PILLOW:
        whole = images.base64_of_png()
        assert not any(whole[start : start + 32] in row for row in stored for start in range(0, len(whole) - 32, 32))
