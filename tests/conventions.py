"""The GenAI conventions as they were on 2026-11-24: what we write, of which type, and how spans are named.

Taken from ``opentelemetry.semconv`` 0.66b2 (``_incubating.attributes.gen_ai_attributes``, schema 1.44.0) and from the
GenAI conventions' own repository. They are in development: where a newer package disagrees, this table is what moves.
"""

from __future__ import annotations

PACKAGE = "0.66b2"

STRINGS = "string[]"
# What our hooks put on spans -> its type.
ATTRIBUTES: dict[str, str] = {
    "gen_ai.agent.name": "string",
    "gen_ai.input.messages": "string",  # JSON: attributes of the SDK have no structure
    "gen_ai.operation.name": "string",
    "gen_ai.output.messages": "string",  # as above
    "gen_ai.provider.name": "string",
    "gen_ai.request.choice.count": "int",
    "gen_ai.request.max_tokens": "int",
    "gen_ai.request.model": "string",
    "gen_ai.request.seed": "int",
    "gen_ai.request.stream": "boolean",
    "gen_ai.request.temperature": "double",
    "gen_ai.request.top_p": "double",
    "gen_ai.response.finish_reasons": STRINGS,
    "gen_ai.response.id": "string",
    "gen_ai.response.model": "string",
    "gen_ai.system_instructions": "string",  # as above
    "gen_ai.tool.call.arguments": "string",
    "gen_ai.tool.call.id": "string",
    "gen_ai.tool.call.result": "string",
    "gen_ai.tool.name": "string",
    "gen_ai.tool.type": "string",
    "gen_ai.usage.cache_read.input_tokens": "int",
    "gen_ai.usage.cache_write.input_tokens": "int",
    "gen_ai.usage.input_tokens": "int",
    "gen_ai.usage.output_tokens": "int",
    "gen_ai.usage.reasoning.output_tokens": "int",
    "gen_ai.workflow.name": "string",
}
# In the conventions' own repository; the package calls it `cache_creation` yet.
NEWER = {"gen_ai.usage.cache_write.input_tokens"}
METRICS = {"gen_ai.client.operation.duration", "gen_ai.client.token.usage"}
# Operation -> kind of its span, and the attribute that follows it in the span's name.
OPERATIONS: dict[str, tuple[str, str]] = {
    "chat": ("CLIENT", "gen_ai.request.model"),
    "execute_tool": ("INTERNAL", "gen_ai.tool.name"),
    "invoke_agent": ("INTERNAL", "gen_ai.agent.name"),
    "invoke_workflow": ("INTERNAL", "gen_ai.workflow.name"),
}
# What the conventions have no word for.
OPERATIONS_OF_OURS: dict[str, tuple[str, str]] = {
    "await_human_input": ("INTERNAL", "gen_ai.agent.name"),
    "execute_code": ("INTERNAL", "gen_ai.agent.name"),
}
PYTHON_TYPES: dict[str, tuple[type, ...]] = {
    "boolean": (bool,),
    "double": (float, int),
    "int": (int,),
    "string": (str,),
    STRINGS: (tuple,),
}
