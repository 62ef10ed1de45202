"""What a model call costs, by the offline price list of genai-prices."""

from __future__ import annotations

import functools
import importlib
from datetime import UTC, datetime
from types import ModuleType


@functools.cache
def load() -> ModuleType:
    """The price list; large, so loaded only where prices are wanted.

    Its package imports an HTTP client. A program must call this on the thread that does its imports, before a
    thread of ours needs prices: two threads in the middle of the same imports can see half of a module.
    """
    return importlib.import_module("genai_prices")


def price(
    model: str,
    provider: str,
    *,
    input_tokens: int,
    output_tokens: int,
    cache_read_tokens: int = 0,
    time_unix_nano: int,
) -> float | None:
    """The price in US dollars, or None for a model that the list does not know.

    Args:
        model: the model's name as the vendor gives it.
        provider: ``gen_ai.provider.name``; empty where unknown.
        input_tokens: all of the input, those read from a cache included.
        output_tokens: all of the output.
        cache_read_tokens: how many of the input tokens came from the vendor's cache.
        time_unix_nano: when the call began; prices change.
    """
    day = time_unix_nano // _DAY
    if not _is_known(model, provider, day):
        return None
    return _calculate(model, provider, (input_tokens, output_tokens, cache_read_tokens), day)


_DAY = 86_400_000_000_000
_LAST_DAY = 2_900_000


@functools.lru_cache(maxsize=1024)
def _is_known(model: str, provider: str, day: int) -> bool:
    return 0 <= day < _LAST_DAY and _calculate(model, provider, (1, 1, 0), day) is not None


def _calculate(model: str, provider: str, tokens: tuple[int, int, int], day: int) -> float | None:
    import genai_prices

    try:
        found = genai_prices.calc_price(
            genai_prices.Usage(input_tokens=tokens[0], output_tokens=tokens[1], cache_read_tokens=tokens[2]),
            model_ref=model,
            provider_id=_PROVIDERS.get(provider),
            genai_request_timestamp=datetime.fromtimestamp(day * 86_400, UTC),
        )
    except (LookupError, ValueError):
        return None
    return float(found.total_price)


_PROVIDERS = {
    "openai": "openai",
    "anthropic": "anthropic",
    "azure.ai.openai": "azure",
    "gcp.gemini": "google",
    "gcp.vertex_ai": "google",
    "gcp.gen_ai": "google",
    "mistral_ai": "mistral",
    "deepseek": "deepseek",
    "groq": "groq",
    "x_ai": "x-ai",
    "cohere": "cohere",
    "perplexity": "perplexity",
    "aws.bedrock": "aws",
}
"""``gen_ai.provider.name`` in the words of the price list; others are found by the model's name alone."""
