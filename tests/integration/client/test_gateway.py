"""The client against a real gateway, over both ways."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from urllib.parse import urlsplit

import pytest
from tests.support.eventually import eventually

from mcp_gateway.api import ChatRequest, ChatResponse
from mcp_gateway.app import Gateway
from mcp_gateway.client import Client, Model, SyncClient
from mcp_gateway.errors import (
    DeadlineExceeded,
    InvalidArguments,
    NoRoute,
    PermissionDenied,
    Unauthenticated,
    UpstreamRefused,
)
from mcp_gateway.simulator import Latency, LogNormal, Simulator

pytestmark = pytest.mark.integration

HELLO = [{"role": "user", "content": "Hello!"}]
FAST = ChatRequest(model="fast", messages=HELLO, max_tokens=5)


async def test_a_chat_is_answered(url: str, key: str) -> None:
    async with Client(url, key) as client:
        response = await client.chat(
            ChatRequest(model="fast", messages=HELLO, provider="kimi", max_tokens=7)
        )

    assert response.content
    assert len(response.id) == 32
    assert (response.provider, response.model) == ("kimi", "fast")
    assert response.usage.completion_tokens == 7
    assert response.finish_reason == "length"
    assert response.attempts == 1
    assert 0 < response.timings.upstream <= response.timings.total
    assert response.timings.first_token is None


async def test_a_stream_says_what_the_whole_answer_says(url: str, key: str) -> None:
    async with Client(url, key) as client, client.stream(FAST) as stream:
        pieces = [delta.content async for delta in stream]

    assert len(pieces) > 1
    assert "".join(pieces) == stream.response.content
    assert stream.response.usage.completion_tokens == 5
    assert stream.response.timings.first_token is not None


async def test_models_are_listed_by_what_the_key_may_call(url: str, key: str) -> None:
    async with Client(url, key) as client:
        assert await client.models() == [Model("slow", "kimi"), Model("fast", "kimi")]


@pytest.mark.parametrize(
    ("request_", "cls"),
    [
        (ChatRequest(model="other", messages=HELLO), NoRoute),
        (ChatRequest(model="forbidden", messages=HELLO), PermissionDenied),
        (ChatRequest(model="fast", messages=[]), InvalidArguments),
        (ChatRequest(model="fast", messages=HELLO, provider="nobody"), InvalidArguments),
        (
            ChatRequest(model="fast", messages=[{"role": "user", "content": object()}]),
            InvalidArguments,
        ),
        (ChatRequest(model="gone", messages=HELLO), UpstreamRefused),
    ],
    ids=["no route", "not allowed", "no messages", "no provider", "no JSON", "refused upstream"],
)
async def test_failures_have_their_types(
    request_: ChatRequest, cls: type[Exception], url: str, key: str
) -> None:
    async with Client(url, key) as client:
        response = await client.chat(request_)
        assert type(response.error) is cls
        stream = client.stream(request_)
        with pytest.raises(cls):
            await anext(stream)
        assert type(stream.response.error) is cls


@pytest.mark.parametrize("wrong", ["", "mgw_wrong"])
async def test_a_wrong_key_is_told_at_once(wrong: str, url: str) -> None:
    async with Client(url, wrong) as client:
        response = await client.chat(FAST)

    assert type(response.error) is Unauthenticated


async def test_hundreds_of_requests_share_what_is_there(url: str, key: str) -> None:
    async with Client(url, key) as client, asyncio.TaskGroup() as tasks:
        calls = [tasks.create_task(client.chat(FAST)) for _ in range(300)]

    responses = [call.result() for call in calls]
    assert all(response.content for response in responses)
    assert len({response.id for response in responses}) == 300


async def test_leaving_a_stream_cancels_it_at_the_provider(
    url: str, key: str, simulator: Simulator
) -> None:
    long = ChatRequest(model="slow", messages=HELLO, max_tokens=4000)
    before = simulator.settings
    stretched(simulator)
    async with Client(url, key) as client:
        async with client.stream(long) as stream:
            await anext(stream)
            assert simulator.stats()["in_flight"] == 1
        await eventually(lambda: simulator.stats()["disconnected"] == 1)
        simulator.configure(before)
        assert (await client.chat(FAST)).error is None


async def test_a_cancelled_chat_is_cancelled_at_the_provider(
    url: str, key: str, simulator: Simulator
) -> None:
    stretched(simulator)
    async with Client(url, key) as client:
        call = asyncio.ensure_future(client.chat(ChatRequest(model="slow", messages=HELLO)))
        await eventually(lambda: simulator.stats()["in_flight"] == 1)
        call.cancel()
        await eventually(lambda: simulator.stats()["disconnected"] == 1)
        assert call.cancelled()


async def test_a_request_out_of_time_is_cancelled_at_the_provider(
    url: str, key: str, simulator: Simulator
) -> None:
    stretched(simulator)
    async with Client(url, key) as client:
        response = await client.chat(ChatRequest(model="slow", messages=HELLO, timeout=0.2))
        assert type(response.error) is DeadlineExceeded
        await eventually(lambda: simulator.stats()["disconnected"] == 1)


async def test_closing_the_client_cancels_what_is_in_flight(
    url: str, key: str, simulator: Simulator
) -> None:
    stretched(simulator)
    client = Client(url, key)
    calls = [
        asyncio.ensure_future(client.chat(ChatRequest(model="slow", messages=HELLO)))
        for _ in range(5)
    ]
    await eventually(lambda: simulator.stats()["in_flight"] == 5)

    await client.aclose()

    responses = await asyncio.gather(*calls)
    assert [type(response.error).__name__ for response in responses] == ["ConnectionLost"] * 5
    await eventually(lambda: simulator.stats()["disconnected"] == 5)


async def test_the_blocking_client_does_the_same(url: str, key: str) -> None:
    def work() -> tuple[ChatResponse, list[str], list[Model]]:
        with SyncClient(url, key) as client:
            with client.stream(FAST) as stream:
                pieces = [delta.content for delta in stream]
            return client.chat(FAST), pieces, client.models()

    response, pieces, models = await asyncio.to_thread(work)

    assert response.content
    assert len(pieces) > 1
    assert len(models) == 2


async def test_a_request_follows_the_gateway_over_a_restart(
    simulator: Simulator, running: Gateway, key: str
) -> None:
    url = running.urls["websocket"]
    async with Client(url, key) as client:
        assert (await client.chat(FAST)).error is None
        await running.drain(1.0)
        await running.aclose()

        waiting = asyncio.ensure_future(client.chat(FAST))
        await asyncio.sleep(0)
        async with revived(running, url):
            assert (await waiting).content


def revived(gateway: Gateway, url: str) -> Gateway:
    """The same gateway on the same port."""
    port = urlsplit(url).port
    server = gateway.document.spec.server.model_copy(update={"port": port})
    spec = gateway.document.spec.model_copy(update={"server": server})
    document = gateway.document.model_copy(update={"spec": spec})
    return Gateway(document, secrets=gateway._secrets)


def stretched(simulator: Simulator) -> None:
    """Let every answer take minutes."""
    latency = Latency(per_token=LogNormal(1.0))
    simulator.configure(replace(simulator.settings, latency=latency))
