"""Messages with images: of Pillow, in data URLs, in text, by their address.

Those with images of Pillow are silent: AG2 overwrites an image in a message that it prints.
"""

from __future__ import annotations

import asyncio
import base64
from importlib.util import find_spec
from io import BytesIO
from typing import Any

from autogen import ConversableAgent
from autogen.agentchat.contrib.multimodal_conversable_agent import MultimodalConversableAgent

from cmbagent_otel.testing import call_tool, say
from tests.scenarios.programs.chats import assistant, user, with_tools
from tests.scenarios.world import World, program

HAS_PILLOW = find_spec("PIL") is not None
SIZE = (48, 32)


def image() -> Any:
    """A picture of Pillow."""
    from PIL import Image

    return Image.linear_gradient("L").resize(SIZE).convert("RGB")


def png() -> bytes:
    """The same as a file."""
    file = BytesIO()
    image().save(file, format="PNG")
    return file.getvalue()


def base64_of_png() -> str:
    """The file as text."""
    return base64.b64encode(png()).decode()


def data_url() -> str:
    """The file as an address."""
    return f"data:image/png;base64,{base64_of_png()}"


def content(url: Any) -> dict[str, Any]:
    """A message with an image."""
    return {"content": [{"type": "text", "text": "What is it?"}, {"type": "image_url", "image_url": {"url": url}}]}


def viewer(world: World) -> ConversableAgent:
    """An agent that looks at images."""
    return MultimodalConversableAgent(
        "viewer", llm_config=world.llm_config(), system_message="You are viewer.", human_input_mode="NEVER"
    )


def seen(chat: Any) -> Any:
    """What a user sees of a chat; of an image its size, since it tells its place in memory."""
    history = [
        [part if part.get("type") == "text" else str(getattr(part["image_url"]["url"], "size", part)) for part in said]
        if isinstance(said := message["content"], list)
        else said
        for message in chat.chat_history
    ]
    return {"history": history, "summary": str(chat.summary), "cost": chat.cost}


SEES = (say("A gradient."), say("From black to white."))


@program(*SEES, possible=HAS_PILLOW)
def image_of_pillow(world: World) -> Any:
    asking = user(default_auto_reply="More.")
    return seen(asking.initiate_chat(viewer(world), message=content(image()), max_turns=2, silent=True))


@program(*SEES, possible=HAS_PILLOW)
def image_of_pillow_async(world: World) -> Any:
    asking = user(default_auto_reply="More.")
    chat = asking.a_initiate_chat(viewer(world), message=content(image()), max_turns=2, silent=True)
    return seen(asyncio.run(chat))


@program(*SEES, possible=HAS_PILLOW)
def image_in_the_text(world: World) -> Any:
    asking = user(default_auto_reply="More.")
    return seen(asking.initiate_chat(viewer(world), message=f"What is <img {data_url()}>?", max_turns=2))


@program(*SEES, possible=HAS_PILLOW)
def image_in_a_data_url(world: World) -> Any:
    asking = user(default_auto_reply="More.")
    return seen(asking.initiate_chat(assistant(world, "viewer"), message=content(data_url()), max_turns=2))


@program(say("A star."))
def image_by_its_address(world: World) -> Any:
    message = content("https://example.org/star.png")
    return seen(user().initiate_chat(assistant(world, "viewer"), message=message, max_turns=1))


@program(call_tool("draw"), say("Drawn. TERMINATE"), possible=HAS_PILLOW)
def image_from_a_tool(world: World) -> Any:
    asking, drawer = with_tools(world)
    asking.register_function({"draw": lambda: {"image": data_url(), "file": str(world.folder.name)}})
    return seen(asking.initiate_chat(drawer, message="Draw."))
