"""AG2 1.x with its own tracing: a tool, a tool that runs code, and an agent used as a tool."""

import asyncio
import os

from ag2 import Agent, tool
from ag2.config import OpenAIConfig
from ag2.middleware.builtin import TelemetryMiddleware

from tests.stack.foreign.telling import provider

tracing = provider("ag2")
MODEL = OpenAIConfig("gpt-4o-mini", api_key=os.environ["OPENAI_API_KEY"], base_url=os.environ["OPENAI_BASE_URL"])


def traced(name: str) -> TelemetryMiddleware:
    """The middleware as AG2's page shows it."""
    return TelemetryMiddleware(tracer_provider=tracing, agent_name=name)


@tool  # type: ignore[untyped-decorator]
def volume(distance: float) -> str:
    """Volume of a sphere."""
    return f"{4.18879 * distance**3:.1f} Gpc^3"


@tool  # type: ignore[untyped-decorator]
def run_code(code: str) -> str:
    """Run Python."""
    return f"ran {len(code)} characters"


checker = Agent("checker", "You are the checker.", config=MODEL, middleware=[traced("checker")])
astronomer = Agent(
    "astronomer",
    "You are the astronomer.",
    config=MODEL,
    tools=[volume, run_code, checker.as_tool(description="Checks a number.", name="checker")],
    middleware=[traced("astronomer")],
)
asyncio.run(astronomer.ask("How large is the universe?"))
tracing.shutdown()
