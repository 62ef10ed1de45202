"""A program that follows OpenTelemetry's GenAI conventions by hand, with names of today and of yesterday."""

from opentelemetry.trace import SpanKind, Status, StatusCode

from tests.stack.foreign.telling import provider

tracing = provider("genai-plain")
tracer = tracing.get_tracer("handmade")
with tracer.start_as_current_span(
    "invoke_workflow survey",
    attributes={"gen_ai.operation.name": "invoke_workflow", "gen_ai.workflow.name": "survey"},
):
    with tracer.start_as_current_span(
        "invoke_agent astronomer",
        attributes={"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": "astronomer"},
    ) as agent:
        with tracer.start_as_current_span(
            "chat gpt-4o-mini",
            kind=SpanKind.CLIENT,
            attributes={
                "gen_ai.operation.name": "chat",
                "gen_ai.provider.name": "openai",
                "gen_ai.request.model": "gpt-4o-mini",
                "gen_ai.usage.input_tokens": 100,
                "gen_ai.usage.output_tokens": 10,
                "gen_ai.usage.cache_read.input_tokens": 60,
                "gen_ai.response.finish_reasons": ["stop"],
            },
        ):
            pass
        with tracer.start_as_current_span("HTTP GET", kind=SpanKind.CLIENT, attributes={"http.request.method": "GET"}):
            pass
        with tracer.start_as_current_span(
            "execute_tool volume",
            attributes={
                "gen_ai.operation.name": "execute_tool",
                "gen_ai.tool.name": "volume",
                "error.type": "KeyError",
            },
        ) as tool:
            tool.set_status(Status(StatusCode.ERROR))
        agent.set_attribute("gen_ai.usage.input_tokens", 142)
        agent.set_attribute("gen_ai.usage.output_tokens", 17)
    with tracer.start_as_current_span(
        "chat old-model",
        kind=SpanKind.CLIENT,
        attributes={
            "gen_ai.operation.name": "chat",
            "gen_ai.system": "openai",
            "gen_ai.request.model": "gpt-4o-mini",
            "gen_ai.usage.prompt_tokens": 42,
            "gen_ai.usage.completion_tokens": 7,
        },
    ):
        pass
tracing.shutdown()
