import asyncio
from typing import Any

import msgspec
import pytest

from mcp_gateway.api import AccountLimits, ModelLimits
from mcp_gateway.providers.base import ChatCall
from mcp_gateway.proxy.rates import (
    BURST_SECONDS,
    CHARGED_ANSWER_TOKENS,
    DRAINED,
    LARGEST_ANSWER_TOKENS,
    LONGEST_DRAIN,
    Rates,
    estimated_tokens,
)
from mcp_gateway.proxy.turn import Turn


def call(characters: int = 40, max_tokens: int | None = 10) -> ChatCall:
    fields = {"messages": msgspec.Raw(b"x" * characters)}
    if max_tokens is not None:
        fields["max_tokens"] = msgspec.Raw(str(max_tokens).encode())
    return ChatCall(model="m", fields=fields)


def now() -> float:
    return asyncio.get_running_loop().time()


def rates(**limits: Any) -> Rates:
    return Rates(AccountLimits(**limits), asyncio.get_running_loop())


async def taken(limited: Rates, wanted: ChatCall, until: float) -> float | None:
    """Take a turn and begin it; seconds waited."""
    started = now()
    turn = await limited.take(wanted, until)
    if turn is None:
        return None
    turn.begin(now())
    return now() - started


async def sent(limited: Rates, wanted: ChatCall) -> Turn:
    """A turn of a request that was sent at once."""
    turn = limited.take_now(wanted)
    assert turn is not None
    turn.begin(now())
    return turn


async def test_what_is_not_limited_never_waits() -> None:
    unlimited = rates()
    assert not unlimited.limited
    assert await taken(unlimited, call(), now()) == 0.0


async def test_requests_are_spread_over_the_minute() -> None:
    limited = rates(requests_per_minute=60)
    burst = int(BURST_SECONDS)
    for _ in range(burst):
        assert await taken(limited, call(), now() + 1) == 0.0
    waited = await taken(limited, call(), now() + 5)
    assert waited is not None
    assert 0.9 < waited < 1.1


async def test_a_turn_that_is_too_far_away_is_not_waited_for() -> None:
    limited = rates(requests_per_minute=6)
    assert await taken(limited, call(), now()) == 0.0
    started = now()
    assert await taken(limited, call(), now() + 3) is None
    assert now() == started


async def test_tokens_are_charged_by_estimate_and_corrected_by_usage() -> None:
    limited = rates(tokens_per_minute=6_000)
    assert estimated_tokens(call()) == 20
    first = await sent(limited, call())
    assert limited.levels(now())["tokens"] == 980.0
    first.settle(now(), 40)
    assert limited.levels(now())["tokens"] == 960.0
    assert limited.in_window(now()) == (0, 40)
    (await sent(limited, call())).settle(now(), 5)
    assert limited.levels(now())["tokens"] == 955.0
    assert limited.in_window(now()) == (0, 45)


async def test_a_provider_that_charges_beforehand_gives_nothing_back() -> None:
    limits = AccountLimits(tokens_per_minute=60_000)
    limited = Rates(limits, asyncio.get_running_loop(), charged_beforehand=True)
    first = await sent(limited, call(max_tokens=None))
    assert limited.in_window(now()) == (0, 10 + CHARGED_ANSWER_TOKENS)
    first.settle(now(), 50)
    assert limited.in_window(now()) == (0, 10 + CHARGED_ANSWER_TOKENS)


@pytest.mark.parametrize("asked", [10**9, 10**18, 10**4000, 10**4299])
async def test_no_request_can_take_more_than_the_longest_answer(asked: int) -> None:
    assert estimated_tokens(call(max_tokens=asked)) == 10 + LARGEST_ANSWER_TOKENS
    limited = rates(tokens_per_minute=6_000_000)
    assert await taken(limited, call(max_tokens=asked), now()) == 0.0
    assert await taken(limited, call(), now() + 60) is not None


async def test_the_newer_name_of_the_answers_length_counts_too() -> None:
    fields = {"messages": msgspec.Raw(b"x" * 40), "max_completion_tokens": msgspec.Raw(b"7")}
    assert estimated_tokens(ChatCall(model="m", fields=fields)) == 17


async def test_what_was_not_sent_or_not_generated_is_given_back() -> None:
    limited = rates(requests_per_minute=60, tokens_per_minute=6_000, tokens_per_day=100_000)
    full = limited.levels(now())
    (await sent(limited, call())).refused()
    assert limited.levels(now()) == {**full, "requests": full["requests"] - 1}
    assert limited.in_window(now()) == (1, 0)
    unsent = limited.take_now(call())
    assert unsent is not None
    assert limited.in_window(now()) == (2, 20)
    unsent.cancel()
    unsent.cancel()
    assert limited.levels(now()) == {**full, "requests": full["requests"] - 1}
    assert limited.in_window(now()) == (1, 0)


async def test_a_refusal_cannot_stop_sending_for_ever() -> None:
    unlimited = rates()
    unlimited.drain_requests(now(), float("inf"))
    unlimited.drain_tokens(now(), 10.0**12)
    waited = await taken(unlimited, call(), now() + 2 * LONGEST_DRAIN)
    assert waited is not None
    assert waited <= LONGEST_DRAIN + 1.0


async def test_nothing_is_taken_where_one_of_two_rates_refuses() -> None:
    limited = rates(requests_per_minute=6, tokens_per_minute=6_000)
    assert await taken(limited, call(), now()) == 0.0
    left = limited.levels(now())["tokens"]
    assert await taken(limited, call(), now()) is None
    assert limited.levels(now())["tokens"] == left


async def test_a_day_of_tokens_can_be_used_at_once_and_then_no_more() -> None:
    limited = rates(tokens_per_day=100)
    for _ in range(5):
        assert await taken(limited, call(), now()) == 0.0
    assert await taken(limited, call(), now() + 60) is None


async def test_a_refusal_for_frequency_stops_sending_even_where_no_rate_is_known() -> None:
    unlimited = rates()
    unlimited.drain_requests(now(), 7.0)
    assert unlimited.limited
    waited = await taken(unlimited, call(), now() + 60)
    assert waited is not None
    assert 6.9 < waited < 7.1


async def test_a_refusal_that_names_no_time_stops_for_a_moment() -> None:
    unlimited = rates()
    unlimited.drain_tokens(now(), None)
    waited = await taken(unlimited, call(), now() + 60)
    assert waited is not None
    assert abs(waited - DRAINED) < 0.01


async def test_a_changed_document_changes_the_rate_and_keeps_what_was_used() -> None:
    limited = rates(requests_per_minute=60)
    for _ in range(10):
        await taken(limited, call(), now())
    limited.configure(AccountLimits(requests_per_minute=600))
    assert limited.levels(now())["requests"] == 0.0
    limited.configure(AccountLimits())
    assert not limited.limited


async def test_models_have_rates_of_their_own() -> None:
    of_model = Rates(ModelLimits(requests_per_minute=6), asyncio.get_running_loop())
    assert await taken(of_model, call(), now()) == 0.0
    assert await taken(of_model, call(), now()) is None
