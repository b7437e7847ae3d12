"""Those who wait for a rate, on a virtual clock."""

from __future__ import annotations

import asyncio

import msgspec
import pytest
from pydantic.alias_generators import to_camel

from mcp_gateway.api import AccountLimits
from mcp_gateway.errors import PoolSaturated
from mcp_gateway.providers.base import ChatCall
from mcp_gateway.proxy.rate_queue import RateQueue
from mcp_gateway.proxy.rates import Rates
from mcp_gateway.proxy.turn import Turn


def call(tokens: int = 20) -> ChatCall:
    fields = {"messages": msgspec.Raw(b"x" * 40), "max_tokens": msgspec.Raw(b"%d" % (tokens - 10))}
    return ChatCall(model="m", fields=fields)


def now() -> float:
    return asyncio.get_running_loop().time()


def rates(may_rise: bool = True, **limits: int) -> Rates:
    limits = {to_camel(name): value for name, value in limits.items()}
    made = Rates(AccountLimits.model_validate(limits), asyncio.get_running_loop())
    made.may_rise = may_rise
    return made


def waits(
    limited: Rates, client: str = "a", tokens: int = 20, patience: float = 1000.0
) -> asyncio.Task[Turn | None]:
    return asyncio.create_task(limited.take(call(tokens), now() + patience, client))


def begin(turn: Turn | None) -> Turn:
    assert turn is not None
    turn.begin(now())
    return turn


async def test_nothing_begins_at_zero_until_it_is_raised() -> None:
    limited = rates()
    limited.set_requests(0)
    waiting = waits(limited)
    await asyncio.sleep(50.0)
    assert limited.waiting == 1
    limited.set_requests(60)
    await asyncio.sleep(1.0)
    begin(waiting.result())
    assert limited.waiting == 0


async def test_a_client_with_many_requests_gets_no_more_turns_than_one_with_few() -> None:
    limited = rates(requests_per_minute=60)
    while (turn := limited.take_now(call())) is not None:
        begin(turn)
    order: list[str] = []

    async def asks(client: str) -> None:
        begin(await limited.take(call(), now() + 100.0, client))
        order.append(client)

    tasks = [asyncio.create_task(asks("many")) for _ in range(8)]
    await asyncio.sleep(0)
    tasks += [asyncio.create_task(asks("few")) for _ in range(2)]
    await asyncio.gather(*tasks)
    assert order.index("few") <= 2
    assert order[:5].count("few") == 2


async def test_who_gives_up_leaves_the_turn_to_the_next() -> None:
    limited = rates(requests_per_minute=6)
    begin(limited.take_now(call()))
    first, second = waits(limited, patience=4.0), waits(limited)
    started = now()
    assert await first is None
    assert now() - started == pytest.approx(4.0)
    begin(await second)
    assert now() - started == pytest.approx(10.0, abs=0.1)


async def test_who_is_cancelled_hands_back_what_it_was_given() -> None:
    limited = rates()
    limited.set_requests(0)
    waiting = waits(limited)
    await asyncio.sleep(1.0)
    limited.set_requests(600)
    assert limited.in_window(now()) == (1, 0), "given, and its task has not run yet"
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert limited.in_window(now()) == (0, 0)
    assert limited.waiting == 0


async def test_a_small_request_does_not_overtake_a_large_one_for_ever() -> None:
    limited = rates(tokens_per_minute=600)
    begin(limited.take_now(call(600)))
    large = waits(limited, "a", tokens=600)
    await asyncio.sleep(1.0)
    small = waits(limited, "b", tokens=20)
    begin(await large)
    assert not small.done()
    begin(await small)


async def test_the_queue_is_bounded() -> None:
    limited = rates()
    limited.set_requests(0)
    limited.max_waiting = 1
    waiting = waits(limited)
    await asyncio.sleep(0.1)
    # The one at the door is served next and stands in nobody's way.
    second = waits(limited)
    await asyncio.sleep(0.1)
    with pytest.raises(PoolSaturated):
        await limited.take(call(), now() + 10.0)
    for task in (waiting, second):
        task.cancel()
    await asyncio.gather(waiting, second, return_exceptions=True)


async def test_what_the_provider_wants_is_not_waited_for_longer_than_there_is_time() -> None:
    limited = rates(requests_per_minute=60)
    limited.drain_requests(now(), 30.0)
    started = now()
    assert await limited.take(call(), now() + 10.0) is None
    assert now() == started


async def test_a_minute_never_begins_more_than_the_rate() -> None:
    limited = rates(requests_per_minute=30)
    begun: list[float] = []

    async def asks() -> None:
        begin(await limited.take(call(), now() + 1000.0))
        begun.append(now())

    await asyncio.gather(*(asks() for _ in range(150)))
    spans = [later - earlier for earlier, later in zip(begun, begun[30:], strict=False)]
    assert min(spans) > 60.0
    assert begun[-1] - begun[0] < 150 / 30 * 61.5, "and little less than the rate"


async def test_after_a_restart_nobody_knows_what_was_begun() -> None:
    limited = rates(requests_per_minute=30)
    limited.assume_used(now())
    started = now()
    begin(await limited.take(call(), now() + 1000.0))
    assert now() - started > 60.0


async def test_a_wait_that_rounds_to_nothing_is_a_wait_all_the_same() -> None:
    started = now()

    def reserve(tokens: int) -> Turn | float:
        if now() == started:
            return 1e-18
        return Turn(
            tokens,
            requests=None,
            minute=None,
            request_bucket=None,
            token_buckets=(),
            changed=lambda: None,
            refunds=True,
        )

    queue = RateQueue(asyncio.get_running_loop(), reserve)
    assert await queue.wait("a", 1, started + 10.0, 5) is not None
    assert now() - started < 0.1
