"""What a model call costs, by the offline price list of genai-prices."""

from __future__ import annotations

import functools
import importlib
from datetime import UTC, datetime
from decimal import Decimal
from types import ModuleType
from typing import NamedTuple


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
    tokens = (input_tokens, output_tokens, cache_read_tokens)
    rates = _rates(model, provider, time_unix_nano // _DAY)
    if rates is None:
        return None
    if rates.are_linear:
        return float(sum((rate * count for rate, count in zip(rates.each, tokens, strict=True)), rates.call))
    found = _calculate(model, provider, tokens, time_unix_nano // _DAY)
    return None if found is None else float(found)


_DAY = 86_400_000_000_000
_LAST_DAY = 2_900_000


class _Rates(NamedTuple):
    """What a call costs, and each token of the three kinds; where the list has steps, these are not enough."""

    call: Decimal
    each: tuple[Decimal, Decimal, Decimal]
    are_linear: bool


_UNIT = 1_000
_PROBES = ((_UNIT, _UNIT, 0), (100_000, 7_000, 30_000), (250_000, 250_000, 0), (3_000_000, 1_000_000, 2_000_000))


@functools.lru_cache(maxsize=1024)
def _rates(model: str, provider: str, day: int) -> _Rates | None:
    """The library looks a call up in its list in a third of the time of a write: so once a model and day."""
    if not 0 <= day < _LAST_DAY:
        return None
    call = _calculate(model, provider, (0, 0, 0), day)
    of_input = _calculate(model, provider, (_UNIT, 0, 0), day)
    of_output = _calculate(model, provider, (0, _UNIT, 0), day)
    of_cached = _calculate(model, provider, (_UNIT, 0, _UNIT), day)
    if call is None or of_input is None or of_output is None or of_cached is None:
        return None
    each = ((of_input - call) / _UNIT, (of_output - call) / _UNIT, (of_cached - of_input) / _UNIT)
    are_linear = all(
        _calculate(model, provider, probe, day)
        == sum((rate * count for rate, count in zip(each, probe, strict=True)), call)
        for probe in _PROBES
    )
    return _Rates(call, each, are_linear)


def _calculate(model: str, provider: str, tokens: tuple[int, int, int], day: int) -> Decimal | None:
    prices = load()
    try:
        found = prices.calc_price(
            prices.Usage(input_tokens=tokens[0], output_tokens=tokens[1], cache_read_tokens=tokens[2]),
            model_ref=model,
            provider_id=_PROVIDERS.get(provider),
            genai_request_timestamp=datetime.fromtimestamp(day * 86_400, UTC),
        )
    except (LookupError, ValueError):
        return None
    return Decimal(found.total_price)


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
