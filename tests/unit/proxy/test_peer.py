"""Pods that hold no slot, and those that do: what a request meets on its way between them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.support.fake_transport import settle
from tests.support.fake_upstream import FakeTransport
from tests.support.pods_in_memory import MemoryFleet, MemoryPod, memory_fleet
from tests.support.scripted_provider import (
    Collector,
    breaks,
    chat_exchange,
    hangs,
    refuses,
    says,
    streams,
)

from mcp_gateway.api.quota import Peer
from mcp_gateway.errors import (
    CircuitOpen,
    ConnectFailed,
    ConnectionLost,
    DeadlineExceeded,
    Misdirected,
    PoolTimeout,
    RemoteProtocolError,
    UpstreamRefused,
    UpstreamTimeout,
)
from mcp_gateway.providers.base import ChatAnswer
from mcp_gateway.proxy.exchange import Client, Exchange
from mcp_gateway.proxy.failure import judge
from mcp_gateway.proxy.peer_call import HEARD
from mcp_gateway.upstream.pool import NOTICED


@pytest.fixture
async def fleet(tmp_path: Path) -> AsyncIterator[MemoryFleet]:
    async with memory_fleet(tmp_path) as made:
        yield made


async def asked(pod: MemoryPod, exchange: Exchange | None = None) -> ChatAnswer:
    """What the pod's own client is answered, by way of other pods."""
    exchange = exchange or chat_exchange()
    assert exchange.call is not None
    return await pod.caller.attempt(pod.script.account, exchange, exchange.call, "kimi-k2")


async def test_a_pod_without_a_slot_has_its_request_made_by_one_that_has(
    fleet: MemoryFleet,
) -> None:
    poor, rich = fleet.add("web-1", hangs, share=0), fleet.add("web-2", says("Hi."), share=1)
    fleet.grant(0, 1)
    exchange = chat_exchange()
    answer = await asked(poor, exchange)
    assert (answer.content, answer.prompt_tokens, answer.completion_tokens) == ("Hi.", 3, 5)
    (attempt,) = exchange.attempts
    assert (attempt.outcome, attempt.status, attempt.pod) == ("ok", 200, "web-2")
    assert poor.script.requests == []
    assert (poor.hops("out"), rich.hops("in")) == ({"ok": 1}, {"ok": 1})
    assert rich.script.account.pool.in_flight == 0


async def test_the_next_request_takes_the_same_connection(fleet: MemoryFleet) -> None:
    poor, rich = fleet.add("web-1", hangs, share=0), fleet.add("web-2", says("Hi."), share=1)
    fleet.grant(0, 1)
    for _ in range(3):
        await asked(poor)
    assert len(rich.pipes) == 1


async def test_events_are_passed_on_as_they_come(fleet: MemoryFleet) -> None:
    poor, rich = fleet.add("web-1", hangs, share=0), fleet.add("web-2", hangs, share=1)
    fleet.grant(0, 1)
    sink = Collector()
    asking = asyncio.create_task(asked(poor, chat_exchange(sink=sink)))
    await settle()
    (provider,) = rich.script.connector.transports
    provider.feed(
        b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
    )
    event(provider, b'{"choices":[{"index":0,"delta":{"content":"One"}}]}')
    await settle()
    assert sink.text == "One"
    assert not asking.done()
    event(
        provider,
        b'{"choices":[{"index":0,"delta":{"content":" two"},"finish_reason":"stop"}],'
        b'"usage":{"prompt_tokens":7,"completion_tokens":2}}',
    )
    event(provider, b"[DONE]")
    provider.feed(b"0\r\n\r\n")
    answer = await asking
    assert sink.text == "One two"
    assert sink.events[-1].data == b"[DONE]"
    assert (answer.content, answer.prompt_tokens, answer.completion_tokens) == ("One two", 7, 2)


async def test_a_stream_leaves_the_connection_to_the_next(fleet: MemoryFleet) -> None:
    poor = fleet.add("web-1", hangs, share=0)
    rich = fleet.add("web-2", streams("Hi", "!"), share=1)
    fleet.grant(0, 1)
    for _ in range(3):
        sink = Collector()
        assert (await asked(poor, chat_exchange(sink=sink))).content == "Hi!"
    assert len(rich.pipes) == 1


async def test_the_clients_going_away_ends_the_call_at_the_provider(fleet: MemoryFleet) -> None:
    poor, rich = fleet.add("web-1", hangs, share=0), fleet.add("web-2", hangs, share=1)
    fleet.grant(0, 1)
    for sink in (None, Collector()):
        exchange = chat_exchange(sink=sink)
        asking = asyncio.create_task(asked(poor, exchange))
        await settle()
        assert rich.script.account.pool.in_flight == 1
        asking.cancel()
        await settle()
        assert rich.script.connector.transports[-1].ended == "abort"
        await asyncio.sleep(NOTICED)
        assert rich.script.account.pool.in_flight == 0
        assert exchange.attempts[-1].outcome == "cancelled"
    assert (poor.hops("out"), rich.hops("in")) == ({"cancelled": 2}, {"cancelled": 2})


REFUSAL = refuses(429, "rate_limit_reached_error", "max RPM: 3", b"Retry-After: 2\r\n")


@pytest.mark.parametrize("streamed", [False, True])
async def test_a_refusal_comes_back_as_if_it_had_been_said_here(
    fleet: MemoryFleet, *, streamed: bool
) -> None:
    poor, _rich = fleet.add("web-1", hangs, share=0), fleet.add("web-2", REFUSAL, share=1)
    fleet.grant(0, 1)
    exchange = chat_exchange(sink=Collector() if streamed else None)
    with pytest.raises(UpstreamRefused) as caught:
        await asked(poor, exchange)
    error = caught.value
    assert (error.kind, error.http_status, error.retry_after) == ("frequency", 429, 2.0)
    assert error.provider == "kimi"
    assert judge(error).outcome == "frequency"
    (attempt,) = exchange.attempts
    assert (attempt.outcome, attempt.status) == ("frequency", 429)


async def test_a_failure_in_the_middle_of_a_stream_keeps_its_type(fleet: MemoryFleet) -> None:
    poor = fleet.add("web-1", hangs, share=0)
    fleet.add("web-2", streams("One", ends=False), share=1)
    fleet.grant(0, 1)
    sink = Collector()
    with pytest.raises(ConnectionLost) as caught:
        await asked(poor, chat_exchange(sink=sink))
    assert caught.value.answered
    assert sink.text == "One"


async def test_a_provider_that_cannot_be_reached_is_not_a_pod_that_cannot(
    fleet: MemoryFleet,
) -> None:
    poor, rich = fleet.add("web-1", hangs, share=0), fleet.add("web-2", hangs, share=1)
    rich.script.connector.fail_with = lambda: ConnectFailed("no connection to the provider")
    fleet.grant(0, 1)
    with pytest.raises(ConnectFailed, match="to the provider"):
        await asked(poor)
    assert poor.hops("out") == {"failed": 1}


async def test_many_failures_open_the_breaker_here_too(fleet: MemoryFleet) -> None:
    poor = fleet.add("web-1", hangs, share=0)
    fleet.add("web-2", refuses(500, "server_error"), share=1)
    fleet.grant(0, 1)
    for _ in range(20):
        with pytest.raises(UpstreamRefused):
            await asked(poor)
    with pytest.raises(CircuitOpen):
        await asked(poor)
    assert not poor.script.account.available()


async def test_a_used_up_quota_closes_the_provider_here_too(fleet: MemoryFleet) -> None:
    poor = fleet.add("web-1", hangs, share=0)
    fleet.add("web-2", refuses(429, "exceeded_current_quota_error", "no balance"), share=1)
    fleet.grant(0, 1)
    with pytest.raises(UpstreamRefused):
        await asked(poor)
    assert not poor.script.account.available()


async def test_what_came_from_another_pod_is_not_sent_on(fleet: MemoryFleet) -> None:
    first = fleet.add("web-1", hangs, share=0)
    second = fleet.add("web-2", hangs, share=0)
    third = fleet.add("web-3", says("Hi."), share=1)
    fleet.grant(0, 0, 1)
    # An outdated word: the second pod holds nothing any more.
    outdated = Peer(address=second.address, provider="kimi", share=1)
    first.script.account.set_peers({"": [outdated]})
    exchange = chat_exchange(deadline=asyncio.get_running_loop().time() + 1.0)
    with pytest.raises(DeadlineExceeded):
        await asked(first, exchange)
    assert third.hops("in") == {}
    assert set(second.hops("in")) == {"elsewhere"}
    with pytest.raises(Misdirected):
        await asked(second, chat_exchange(origin="web-1"))


async def test_a_pod_that_lost_its_slot_sends_back_who_waits_for_it(fleet: MemoryFleet) -> None:
    poor = fleet.add("web-1", hangs, share=0)
    before, after = fleet.add("web-2", hangs, share=1), fleet.add("web-3", says("Hi."), share=0)
    fleet.grant(0, 1, 0)
    first = asyncio.create_task(asked(poor))
    await settle()
    second = asyncio.create_task(asked(poor))
    await settle()
    assert before.script.account.pool.waiting == 1
    fleet.grant(0, 0, 1)
    assert (await second).content == "Hi."
    assert after.hops("in") == {"ok": 1}
    first.cancel()


async def test_who_waits_for_word_of_a_slot_goes_where_one_is(fleet: MemoryFleet) -> None:
    poor, rich = fleet.add("web-1", hangs, share=0), fleet.add("web-2", says("Hi."), share=0)
    exchange = chat_exchange()
    asking = asyncio.create_task(asked(poor, exchange))
    await settle()
    assert poor.script.account.pool.waiting == 1, "its operator must see that it waits"
    await asyncio.sleep(1.0)
    fleet.grant(0, 1)
    assert (await asking).content == "Hi."
    assert rich.hops("in") == {"ok": 1}
    assert [attempt.outcome for attempt in exchange.attempts] == ["ok"]
    assert exchange.queued == pytest.approx(1.0, abs=0.01)


async def test_a_slot_of_ones_own_ends_the_wait(fleet: MemoryFleet) -> None:
    poor = fleet.add("web-1", says("Mine."), share=0)
    asking = asyncio.create_task(asked(poor))
    await settle()
    fleet.grant(1)
    assert (await asking).content == "Mine."
    assert poor.hops("out") == {}


async def test_nobody_waits_for_longer_than_the_document_says(fleet: MemoryFleet) -> None:
    poor, rich = fleet.add("web-1", hangs, share=0), fleet.add("web-2", hangs, share=1)
    rich.reachable = False
    loop = asyncio.get_running_loop()
    for grant in ((0, 0), (0, 1)):
        fleet.grant(*grant)
        began = loop.time()
        with pytest.raises(PoolTimeout, match="here or in another pod"):
            await asked(poor)
        limit = poor.script.account.spec.pool.acquire_timeout
        assert loop.time() - began == pytest.approx(limit, abs=0.5)


async def test_a_pod_that_is_away_costs_only_the_way_to_another(fleet: MemoryFleet) -> None:
    poor = fleet.add("web-1", hangs, share=0)
    away, here = fleet.add("web-2", hangs, share=9), fleet.add("web-3", says("Hi."), share=1)
    fleet.grant(0, 9, 1)
    away.reachable = False
    exchange = chat_exchange()
    assert (await asked(poor, exchange)).content == "Hi."
    assert [attempt.pod for attempt in exchange.attempts] == ["web-3"]
    assert poor.hops("out") == {"elsewhere": 1, "ok": 1}
    # For a moment nobody else even tries it.
    await asked(poor)
    assert poor.hops("out") == {"elsewhere": 1, "ok": 2}
    assert here.hops("in") == {"ok": 2}


async def test_a_pod_killed_while_a_request_waits_there_loses_nothing(fleet: MemoryFleet) -> None:
    poor = fleet.add("web-1", hangs, share=0)
    doomed, spare = fleet.add("web-2", hangs, share=2), fleet.add("web-3", says("Hi."), share=1)
    fleet.grant(0, 1, 0)
    served = asyncio.create_task(asked(poor))
    await settle()
    waits = asyncio.create_task(asked(poor))
    await settle()
    assert doomed.script.account.pool.waiting == 1
    fleet.grant(0, 1, 1)
    doomed.kill()
    assert (await waits).content == "Hi."
    with pytest.raises(ConnectionLost):
        await served
    assert spare.hops("in") == {"ok": 1}


async def test_a_pod_that_shuts_down_sends_back_who_still_waits(fleet: MemoryFleet) -> None:
    poor = fleet.add("web-1", hangs, share=0)
    leaving, spare = fleet.add("web-2", hangs, share=1), fleet.add("web-3", says("Hi."), share=0)
    fleet.grant(0, 1, 0)
    served = asyncio.create_task(asked(poor))
    await settle()
    waits = asyncio.create_task(asked(poor))
    await settle()
    fleet.grant(0, 1, 1)
    leaving.reachable = False
    assert await leaving.listener.drain(1.0) == 2
    assert (await waits).content == "Hi."
    with pytest.raises(ConnectionLost):
        await served
    assert spare.hops("in") == {"ok": 1}


async def test_a_refusal_after_a_long_silence_of_a_stream_keeps_its_type(
    fleet: MemoryFleet,
) -> None:
    poor, rich = fleet.add("web-1", hangs, share=0), fleet.add("web-2", hangs, share=1)
    fleet.grant(0, 1)
    exchange = chat_exchange(sink=Collector())
    asking = asyncio.create_task(asked(poor, exchange))
    # Long enough for the other pod to have begun its response, to keep the way open.
    await asyncio.sleep(50.0)
    assert b"keep-alive" in rich.pipes[0].written
    REFUSAL(rich.script.connector.transports[0])
    with pytest.raises(UpstreamRefused) as caught:
        await asking
    assert (caught.value.kind, caught.value.retry_after) == ("frequency", 2.0)
    assert not exchange.streamed
    assert len(rich.pipes) == 1


async def test_a_pod_that_falls_silent_in_a_stream_is_given_up(fleet: MemoryFleet) -> None:
    poor, rich = fleet.add("web-1", hangs, share=0), fleet.add("web-2", hangs, share=1)
    fleet.grant(0, 1)
    asking = asyncio.create_task(asked(poor, chat_exchange(sink=Collector())))
    await settle()
    rich.pipes[0].mute = True
    began = asyncio.get_running_loop().time()
    with pytest.raises(UpstreamTimeout):
        await asking
    assert asyncio.get_running_loop().time() - began == pytest.approx(HEARD, abs=2.0)


async def test_clients_take_turns_where_the_slot_is(fleet: MemoryFleet) -> None:
    first = fleet.add("web-1", hangs, share=0)
    second = fleet.add("web-2", hangs, share=0)
    rich = fleet.add("web-3", hangs, share=1)
    fleet.grant(0, 0, 1)
    greedy = [
        asyncio.create_task(asked(first, chat_exchange(client=Client("greedy")))) for _ in range(20)
    ]
    await settle()
    polite = asyncio.create_task(asked(second, chat_exchange(client=Client("polite"))))
    await settle()
    assert rich.script.account.pool.waiting == 20
    served = 0
    while not polite.done():
        says("Hi.")(rich.script.connector.transports[0])
        served += 1
        await settle(200)
    assert served <= 3
    assert sum(task.done() for task in greedy) == served - 1
    for task in greedy:
        task.cancel()


async def test_a_new_token_is_shown_where_it_is_known_and_the_former_elsewhere(
    fleet: MemoryFleet,
) -> None:
    poor, rich = fleet.add("web-1", hangs, share=0), fleet.add("web-2", says("Hi."), share=1)
    fleet.grant(0, 1)
    await asked(poor)
    fleet.write(token=b"another")
    for ways in fleet.ways:
        ways.reload()
    # The other pod has not read its files again.
    assert (await asked(poor)).content == "Hi."
    assert set(rich.hops("in")) == {"ok"}


async def test_a_stranger_on_the_port_is_no_provider(fleet: MemoryFleet) -> None:
    poor, rich = fleet.add("web-1", hangs, share=0), fleet.add("web-2", hangs, share=1)
    fleet.grant(0, 1)
    asking = asyncio.create_task(asked(poor))
    await settle()
    rich.pipes[-1].write(b"SSH-2.0-OpenSSH_9.6\r\n")
    with pytest.raises(RemoteProtocolError):
        await asking


async def test_a_provider_that_breaks_off_does_not_break_the_way(fleet: MemoryFleet) -> None:
    poor, rich = fleet.add("web-1", hangs, share=0), fleet.add("web-2", breaks, share=1)
    fleet.grant(0, 1)
    for _ in range(2):
        with pytest.raises(ConnectionLost):
            await asked(poor)
    assert len(rich.pipes) == 1


def event(provider: FakeTransport, data: bytes) -> None:
    """The provider sends one event."""
    framed = b"data: %b\n\n" % data
    provider.feed(b"%x\r\n%b\r\n" % (len(framed), framed))
