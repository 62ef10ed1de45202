"""Prices: the library's, to the last digit, and quickly."""

from __future__ import annotations

from datetime import UTC, datetime

import genai_prices
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cmbagent_otel.graph import cost

TIME = 1_790_000_000_000_000_000


@settings(deadline=None, max_examples=40)
@given(
    model=st.sampled_from(
        ["gpt-4o", "gpt-4.1-2025-04-14", "o3-mini-2025-01-31", "claude-sonnet-4-5", "gemini-2.5-pro"]
    ),
    fresh=st.integers(0, 2_000_000),
    cached=st.integers(0, 500_000),
    output=st.integers(0, 500_000),
)
def test_a_price_is_the_librarys_also_where_the_list_has_steps(
    model: str, fresh: int, cached: int, output: int
) -> None:
    counts = {"input_tokens": fresh + cached, "output_tokens": output, "cache_read_tokens": cached}
    theirs = genai_prices.calc_price(
        genai_prices.Usage(**counts),
        model_ref=model,
        genai_request_timestamp=datetime.fromtimestamp(TIME // 86_400_000_000_000 * 86_400, UTC),
    )
    ours = cost.price(model, "", time_unix_nano=TIME, **counts)
    assert ours == pytest.approx(float(theirs.total_price), rel=1e-12)


@pytest.mark.parametrize("time_unix_nano", [-1, 2**70])
def test_absurd_times_and_unknown_models_have_no_price(time_unix_nano: int) -> None:
    assert cost.price("gpt-4o", "openai", input_tokens=1, output_tokens=1, time_unix_nano=time_unix_nano) is None
    assert cost.price("my-own-model", "", input_tokens=1, output_tokens=1, time_unix_nano=TIME) is None
