"""AG2 classic with OpenInference's instrumentors."""

from openinference.instrumentation.ag2 import AG2Instrumentor  # type: ignore[import-not-found]
from openinference.instrumentation.openai import OpenAIInstrumentor  # type: ignore[import-not-found]

from tests.stack.foreign.telling import provider

tracing = provider("openinference")
AG2Instrumentor().instrument(tracer_provider=tracing, skip_dep_check=True)
OpenAIInstrumentor().instrument(tracer_provider=tracing, skip_dep_check=True)

from tests.stack.foreign.classic_agents import agents  # noqa: E402 - after the instrumentors, as their page says

student, astronomer = agents()
student.initiate_chat(astronomer, message="How large is the universe?", max_turns=6)
tracing.shutdown()
