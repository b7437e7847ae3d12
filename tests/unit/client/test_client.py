"""The client over a transport that answers as the test says."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping
from typing import Any

import pytest

from mcp_gateway.api.chat import ChatRequest
from mcp_gateway.client import Client, Model
from mcp_gateway.client.http import HTTPTransport
from mcp_gateway.client.websocket import WebSocketTransport
from mcp_gateway.client.wire import Progress, Result, ToolCall
from mcp_gateway.errors import (
    ConnectionLost,
    DeadlineExceeded,
    NoRoute,
    Overloaded,
    RateLimited,
)

REQUEST = ChatRequest(model="m", messages=[{"role": "user", "content": "Hello!"}])


class Transport:
    """Answers every call with the same events, each after `delay` seconds."""

    def __init__(self, *events: str | Mapping[str, Any] | Exception, delay: float = 0.0) -> None:
        self.script = events
        self.delay = delay
        self.calls: list[ToolCall] = []
        self.running = 0
        self.most_running = 0
        self.closed = False

    async def events(self, call: ToolCall) -> AsyncGenerator[Progress | Result, None]:
        self.calls.append(call)
        self.running += 1
        self.most_running = max(self.most_running, self.running)
        try:
            for event in self.script:
                await asyncio.sleep(self.delay)
                if isinstance(event, Exception):
                    raise event
                if isinstance(event, str):
                    yield Progress(call.id, event)
                else:
                    yield Result(call.id, event)
        finally:
            self.running -= 1

    async def aclose(self) -> None:
        self.closed = True


def client(transport: Transport, **settings: Any) -> Client:
    return Client("ws://gateway/mcp", transport=transport, **settings)


WHOLE = {"structuredContent": {"content": "Hi", "provider": "kimi"}}


@pytest.mark.parametrize(
    ("url", "kind"),
    [
        ("ws://127.0.0.1:8079/mcp", WebSocketTransport),
        ("WSS://gateway.example/mcp", WebSocketTransport),
        ("http://[::1]:8079/mcp", HTTPTransport),
        ("https://gateway.example/mcp", HTTPTransport),
    ],
)
async def test_the_url_says_how_to_go(url: str, kind: type) -> None:
    async with Client(url) as made:
        assert type(made._transport) is kind


@pytest.mark.parametrize(
    "url", ["", "127.0.0.1:8079", "ftp://x/", "ws://", "http://x:99999/", "ws://x:0"]
)
def test_another_url_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match=r"URL|range"):
        Client(url)


async def test_a_chat_is_the_tool_chat() -> None:
    transport = Transport(WHOLE)
    request = ChatRequest(
        model="m",
        messages=[{"role": "user", "content": "Hello!"}],
        provider="kimi",
        max_tokens=5,
        timeout=3.0,
        extra={"top_p": 0.5},
    )

    response = await client(transport).chat(request)

    assert response.content == "Hi"
    (call,) = transport.calls
    assert call.tool == "chat"
    assert call.arguments == {
        "model": "m",
        "messages": [{"role": "user", "content": "Hello!"}],
        "max_tokens": 5,
        "top_p": 0.5,
        "provider": "kimi",
    }
    assert not call.stream
    assert call.timeout == 3.0


async def test_each_call_has_an_id_of_its_own() -> None:
    transport = Transport(WHOLE)
    asked = client(transport)
    for _ in range(3):
        await asked.chat(REQUEST)

    assert len({call.id for call in transport.calls}) == 3
    assert "provider" not in transport.calls[0].arguments


async def test_a_failure_is_the_responses_error_and_not_an_empty_answer() -> None:
    response = await client(Transport(NoRoute("nowhere", provider="kimi"))).chat(REQUEST)

    assert response.text == ""
    assert response.provider == "kimi"
    with pytest.raises(NoRoute):
        _ = response.content


async def test_a_request_ends_at_its_timeout_and_is_cancelled() -> None:
    transport = Transport(WHOLE, delay=100.0)
    request = ChatRequest(model="m", messages=[], timeout=3.0)
    start = asyncio.get_running_loop().time()

    response = await client(transport).chat(request)

    assert isinstance(response.error, DeadlineExceeded)
    assert asyncio.get_running_loop().time() - start == 3.0
    assert transport.running == 0


async def test_the_clients_timeout_is_for_requests_that_name_none() -> None:
    response = await client(Transport(WHOLE, delay=100.0), timeout=50.0).chat(REQUEST)
    assert isinstance(response.error, DeadlineExceeded)

    response = await client(Transport(WHOLE, delay=10_000.0), timeout=None).chat(REQUEST)
    assert response.content == "Hi"


async def test_a_call_that_ends_without_its_result_is_lost() -> None:
    response = await client(Transport("Hel")).chat(REQUEST)

    assert isinstance(response.error, ConnectionLost)


async def test_no_more_calls_than_allowed_are_on_their_way() -> None:
    transport = Transport(WHOLE, delay=1.0)
    asked = client(transport, max_in_flight=3)

    async with asyncio.TaskGroup() as tasks:
        calls = [tasks.create_task(asked.chat(REQUEST)) for _ in range(10)]

    assert transport.most_running == 3
    assert all(call.result().error is None for call in calls)


async def test_more_waiting_calls_than_allowed_are_refused_at_once() -> None:
    asked = client(Transport(WHOLE, delay=1.0), max_in_flight=1, max_waiting=2)

    async with asyncio.TaskGroup() as tasks:
        calls = [tasks.create_task(asked.chat(REQUEST)) for _ in range(5)]

    refused = [call.result() for call in calls if call.result().error is not None]
    assert len(refused) == 2
    assert all(isinstance(response.error, Overloaded) for response in refused)


async def test_a_place_is_free_again_however_a_call_ends() -> None:
    asked = client(Transport(WHOLE, delay=100.0), max_in_flight=1)
    for _ in range(3):
        call = asyncio.ensure_future(asked.chat(REQUEST))
        await asyncio.sleep(1)
        call.cancel()
        await asyncio.wait([call])

    assert (await asked.chat(REQUEST)).content == "Hi"


async def test_models_are_listed() -> None:
    value = {"structuredContent": {"models": [{"id": "kimi-k3", "provider": "kimi"}]}}
    transport = Transport(value)

    assert await client(transport).models() == [Model("kimi-k3", "kimi")]
    assert transport.calls[0].tool == "models"


async def test_models_that_are_refused_raise() -> None:
    with pytest.raises(RateLimited):
        await client(Transport(RateLimited("later"))).models()


async def test_leaving_the_client_closes_its_transport() -> None:
    transport = Transport()
    async with client(transport):
        pass

    assert transport.closed
