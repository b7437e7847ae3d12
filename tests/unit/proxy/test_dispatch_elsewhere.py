"""The dispatcher of a pod among others: what its policy makes of hops, model by model."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.support.fake_transport import settle
from tests.support.pods_in_memory import MemoryFleet, MemoryPod, memory_fleet
from tests.support.scripted_provider import Script, chat_exchange, hangs, refuses, says

from mcp_gateway.api.quota import Peer
from mcp_gateway.errors import UpstreamRefused
from mcp_gateway.limits.retry import RetryBudget, RetryPolicy
from mcp_gateway.proxy.balancer import Backend, round_robin
from mcp_gateway.proxy.dispatch import Dispatcher
from mcp_gateway.proxy.pattern import compile_pattern
from mcp_gateway.proxy.router import Route, Router

OVERLOADED = refuses(429, "engine_overloaded_error", "busy")
NO_QUOTA = refuses(429, "exceeded_current_quota_error", "no balance")


@pytest.fixture
async def fleet(tmp_path: Path) -> AsyncIterator[MemoryFleet]:
    async with memory_fleet(tmp_path) as made:
        yield made


def dispatcher(pod: MemoryPod, *others: Script) -> Dispatcher:
    scripts = [pod.script, *others]
    backends = tuple(
        Backend(script.account.name, script.account, priority=number)
        for number, script in enumerate(scripts)
    )
    matchers = ((Router.FIELDS.index("model"), compile_pattern(".*")),)
    router = Router([Route("all", matchers, backends, round_robin)])
    accounts = {script.account.name: script.account for script in scripts}
    return Dispatcher(router, accounts, RetryPolicy(), RetryBudget(), elsewhere=pod.caller)


async def test_a_hop_that_was_refused_is_tried_again_as_the_policy_says(
    fleet: MemoryFleet,
) -> None:
    poor = fleet.add("web-1", hangs, share=0)
    rich = fleet.add("web-2", OVERLOADED, OVERLOADED, says("Hi."), share=1)
    fleet.grant(0, 1)
    exchange = chat_exchange()
    answer = await dispatcher(poor)(exchange)
    assert answer is not None
    assert answer.content == "Hi."
    assert [attempt.outcome for attempt in exchange.attempts] == ["overload", "overload", "ok"]
    assert rich.hops("in") == {"failed": 2, "ok": 1}


async def test_a_refusal_for_quota_leads_to_another_provider(fleet: MemoryFleet) -> None:
    poor = fleet.add("web-1", hangs, share=0)
    fleet.add("web-2", NO_QUOTA, share=1)
    fleet.grant(0, 1)
    spare = Script("spare", says("Here."))
    made = dispatcher(poor, spare)
    exchange = chat_exchange()
    answer = await made(exchange)
    assert answer is not None
    assert answer.content == "Here."
    assert [(a.provider, a.pod) for a in exchange.attempts] == [("kimi", "web-2"), ("spare", "")]
    # And the next one goes there at once.
    again = chat_exchange()
    await made(again)
    assert [attempt.provider for attempt in again.attempts] == ["spare"]


async def test_a_mistake_of_the_request_is_the_clients_to_hear(fleet: MemoryFleet) -> None:
    poor = fleet.add("web-1", hangs, share=0)
    fleet.add("web-2", refuses(400, "invalid_request_error", "bad temperature"), share=1)
    fleet.grant(0, 1)
    exchange = chat_exchange()
    with pytest.raises(UpstreamRefused, match="bad temperature") as caught:
        await dispatcher(poor)(exchange)
    assert caught.value.http_status == 400
    assert len(exchange.attempts) == 1


async def test_who_waits_when_the_share_goes_away_follows_it(fleet: MemoryFleet) -> None:
    poor, rich = fleet.add("web-1", hangs, share=1), fleet.add("web-2", says("Hi."), share=0)
    fleet.grant(1, 0)
    made = dispatcher(poor)
    first = asyncio.ensure_future(made(chat_exchange()))
    exchange = chat_exchange()
    second = asyncio.ensure_future(made(exchange))
    await settle()
    assert (poor.script.account.in_flight, rich.hops("in")) == (2, {})
    fleet.grant(0, 1)
    answer = await second
    assert answer is not None
    assert answer.content == "Hi."
    assert [(attempt.outcome, attempt.pod) for attempt in exchange.attempts] == [("ok", "web-2")]
    assert poor.script.account.pool.in_flight == 1, "what is in flight stays where it is"
    first.cancel()


async def test_new_requests_stay_as_soon_as_there_is_a_share(fleet: MemoryFleet) -> None:
    pod, other = fleet.add("web-1", says("Mine."), share=0), fleet.add("web-2", hangs, share=1)
    fleet.grant(0, 1)
    made = dispatcher(pod)
    away = asyncio.ensure_future(made(chat_exchange()))
    await settle()
    fleet.grant(1, 1)
    answer = await made(chat_exchange())
    assert answer is not None
    assert answer.content == "Mine."
    assert other.script.account.pool.in_flight == 1
    away.cancel()


async def test_models_with_limits_of_their_own_go_their_own_ways(fleet: MemoryFleet) -> None:
    pod, other = (
        fleet.add("web-1", says("Here."), share=9),
        fleet.add("web-2", says("There."), share=9),
    )
    account = pod.script.account
    account.pool.set_share(0, lane="kimi-large", governed=True)
    account.pool.set_share(5, lane="kimi-small", governed=True)
    large = Peer(address=other.address, provider="kimi", model="kimi-large", share=1)
    account.set_peers({"kimi-large": [large]})
    made = dispatcher(pod)
    for model, text in (("kimi-large", "There."), ("kimi-small", "Here."), ("kimi-new", "Here.")):
        answer = await made(chat_exchange(model))
        assert answer is not None
        assert answer.content == text, model
    assert b'"model":"kimi-large"' in other.script.requests[0]
