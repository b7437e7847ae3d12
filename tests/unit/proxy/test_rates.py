import asyncio
from typing import Any

import msgspec
import pytest

from mcp_gateway.api import AccountLimits, ModelLimits
from mcp_gateway.providers.base import ChatAnswer, ChatCall
from mcp_gateway.proxy.rates import (
    BURST_SECONDS,
    DRAINED,
    LARGEST_ANSWER_TOKENS,
    LONGEST_DRAIN,
    Rates,
    estimated_tokens,
)


def call(characters: int = 40, max_tokens: int | None = 10) -> ChatCall:
    fields = {"messages": msgspec.Raw(b"x" * characters)}
    if max_tokens is not None:
        fields["max_tokens"] = msgspec.Raw(str(max_tokens).encode())
    return ChatCall(model="m", fields=fields)


def now() -> float:
    return asyncio.get_running_loop().time()


def rates(**limits: Any) -> Rates:
    return Rates(AccountLimits(**limits), asyncio.get_running_loop())


async def test_what_is_not_limited_never_waits() -> None:
    unlimited = rates()
    assert not unlimited.limited
    assert await unlimited.take(call(), now()) == 0.0


async def test_requests_are_spread_over_the_minute() -> None:
    limited = rates(requests_per_minute=60)
    burst = int(BURST_SECONDS)
    for _ in range(burst):
        assert await limited.take(call(), now() + 1) == 0.0
    waited = await limited.take(call(), now() + 5)
    assert waited is not None
    assert 0.9 < waited < 1.1


async def test_a_turn_that_is_too_far_away_is_not_waited_for() -> None:
    limited = rates(requests_per_minute=6)
    assert await limited.take(call(), now()) == 0.0
    started = now()
    assert await limited.take(call(), now() + 3) is None
    assert now() == started


async def test_tokens_are_charged_by_estimate_and_corrected_by_usage() -> None:
    limited = rates(tokens_per_minute=6_000)
    assert estimated_tokens(call()) == 20
    assert await limited.take(call(), now()) == 0.0
    assert limited.levels(now())["tokens"] == 980.0
    limited.settle(now(), call(), ChatAnswer(prompt_tokens=10, completion_tokens=30))
    assert limited.levels(now())["tokens"] == 960.0
    limited.settle(now(), call(), ChatAnswer(prompt_tokens=2, completion_tokens=3))
    assert limited.levels(now())["tokens"] == 975.0


@pytest.mark.parametrize("asked", [10**9, 10**18, 10**4000, 10**4299])
async def test_no_request_can_take_more_than_the_longest_answer(asked: int) -> None:
    assert estimated_tokens(call(max_tokens=asked)) == 10 + LARGEST_ANSWER_TOKENS
    limited = rates(tokens_per_minute=6_000_000)
    assert await limited.take(call(max_tokens=asked), now()) == 0.0
    assert await limited.take(call(), now() + 60) is not None


async def test_the_newer_name_of_the_answers_length_counts_too() -> None:
    fields = {"messages": msgspec.Raw(b"x" * 40), "max_completion_tokens": msgspec.Raw(b"7")}
    assert estimated_tokens(ChatCall(model="m", fields=fields)) == 17


async def test_what_was_not_sent_or_not_generated_is_given_back() -> None:
    limited = rates(requests_per_minute=60, tokens_per_minute=6_000, tokens_per_day=100_000)
    full = limited.levels(now())
    await limited.take(call(), now())
    limited.undo_tokens(call())
    assert limited.levels(now()) == {**full, "requests": full["requests"] - 1}
    await limited.take(call(), now())
    limited.undo(call())
    assert limited.levels(now()) == {**full, "requests": full["requests"] - 1}


async def test_a_refusal_cannot_stop_sending_for_ever() -> None:
    unlimited = rates()
    unlimited.drain_requests(now(), float("inf"))
    unlimited.drain_tokens(now(), 10.0**12)
    waited = await unlimited.take(call(), now() + 2 * LONGEST_DRAIN)
    assert waited is not None
    assert waited <= LONGEST_DRAIN + 1.0


async def test_an_answer_without_usage_keeps_the_estimate() -> None:
    limited = rates(tokens_per_minute=6_000)
    await limited.take(call(), now())
    limited.settle(now(), call(), ChatAnswer())
    assert limited.levels(now())["tokens"] == 980.0


async def test_nothing_is_taken_where_one_of_two_rates_refuses() -> None:
    limited = rates(requests_per_minute=6, tokens_per_minute=6_000)
    assert await limited.take(call(), now()) == 0.0
    left = limited.levels(now())["tokens"]
    assert await limited.take(call(), now()) is None
    assert limited.levels(now())["tokens"] == left


async def test_a_day_of_tokens_can_be_used_at_once_and_then_no_more() -> None:
    limited = rates(tokens_per_day=100)
    for _ in range(5):
        assert await limited.take(call(), now()) == 0.0
    assert await limited.take(call(), now() + 60) is None


async def test_a_refusal_for_frequency_stops_sending_even_where_no_rate_is_known() -> None:
    unlimited = rates()
    unlimited.drain_requests(now(), 7.0)
    assert unlimited.limited
    waited = await unlimited.take(call(), now() + 60)
    assert waited is not None
    assert 6.9 < waited < 7.1


async def test_a_refusal_that_names_no_time_stops_for_a_moment() -> None:
    unlimited = rates()
    unlimited.drain_tokens(now(), None)
    waited = await unlimited.take(call(), now() + 60)
    assert waited is not None
    assert abs(waited - DRAINED) < 0.01


async def test_a_changed_document_changes_the_rate_and_keeps_what_was_used() -> None:
    limited = rates(requests_per_minute=60)
    for _ in range(10):
        await limited.take(call(), now())
    limited.configure(AccountLimits(requests_per_minute=600))
    assert limited.levels(now())["requests"] == 0.0
    limited.configure(AccountLimits())
    assert not limited.limited


async def test_models_have_rates_of_their_own() -> None:
    of_model = Rates(ModelLimits(requests_per_minute=6), asyncio.get_running_loop())
    assert await of_model.take(call(), now()) == 0.0
    assert await of_model.take(call(), now()) is None
