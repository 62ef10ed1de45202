"""AG2 classic with its own tracing."""

from autogen.opentelemetry import instrument_agent, instrument_llm_wrapper

from tests.stack.foreign.classic_agents import agents
from tests.stack.foreign.telling import provider

tracing = provider("ag2-classic")
student, astronomer = agents()
instrument_llm_wrapper(tracer_provider=tracing)
instrument_agent(student, tracer_provider=tracing)
instrument_agent(astronomer, tracer_provider=tracing)
student.initiate_chat(astronomer, message="How large is the universe?", max_turns=6)
tracing.shutdown()
