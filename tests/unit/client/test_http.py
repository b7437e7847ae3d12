"""The transport against a network that answers as the test says."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from typing import Any

import httpx
import pytest

from mcp_gateway.client.backoff import Backoff
from mcp_gateway.client.http import HTTPTransport
from mcp_gateway.client.transport import Settings
from mcp_gateway.client.wire import Progress, Result, ToolCall
from mcp_gateway.errors import (
    ConnectFailed,
    ConnectionLost,
    NoRoute,
    RateLimited,
    RemoteProtocolError,
    UpstreamError,
)

CALL = ToolCall(1, "chat", {"model": "m"}, stream=True)
RESULT = b'{"jsonrpc":"2.0","id":1,"result":{"a":1}}'
JSON = {"Content-Type": "application/json"}
EVENTS = {"Content-Type": "text/event-stream; charset=utf-8"}

Answer = Callable[[httpx.Request], httpx.Response]


class Body(httpx.AsyncByteStream):
    """A response body in pieces; an exception among them is raised, None waits for ever."""

    def __init__(self, *pieces: bytes | Exception | None) -> None:
        self.pieces = pieces
        self.closed = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self.pieces:
            if isinstance(piece, Exception):
                raise piece
            if piece is None:
                await asyncio.Event().wait()
            else:
                yield piece

    async def aclose(self) -> None:
        self.closed = True


class Network(httpx.AsyncBaseTransport):
    """Answers each request with the next of what it was given, or raises it."""

    def __init__(self, *answers: httpx.Response | Exception) -> None:
        self.answers = list(answers)
        self.requests: list[httpx.Request] = []
        self.times: list[float] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        self.times.append(asyncio.get_running_loop().time())
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


@asynccontextmanager
async def transport(network: Network, **settings: Any) -> AsyncIterator[HTTPTransport]:
    made = HTTPTransport(
        Settings(url="http://gateway/mcp", **settings),
        backoff=Backoff(1.0, 8.0, random=lambda: 1.0),
        network=network,
    )
    try:
        yield made
    finally:
        await made.aclose()


async def ask(network: Network, **settings: Any) -> list[Progress | Result]:
    async with transport(network, **settings) as client:
        return [event async for event in client.events(CALL)]


def sse(*messages: bytes) -> list[bytes]:
    return [b"event: message\ndata: " + message + b"\n\n" for message in messages]


def progress(text: str, token: int = 1) -> bytes:
    params = {"progressToken": token, "progress": 1, "message": text}
    message = {"jsonrpc": "2.0", "method": "notifications/progress", "params": params}
    return json.dumps(message).encode()


async def test_a_json_answer_is_the_result() -> None:
    network = Network(httpx.Response(200, headers=JSON, content=RESULT))

    assert await ask(network, api_key="k") == [Result(1, {"a": 1})]
    (request,) = network.requests
    assert request.headers["Authorization"] == "Bearer k"
    assert request.headers["Mcp-Method"] == "tools/call"
    assert request.headers["Mcp-Name"] == "chat"
    assert json.loads(request.content)["params"]["arguments"] == {"model": "m"}


async def test_a_stream_gives_progress_and_then_the_result() -> None:
    body = Body(
        b": ping\n\n", *sse(progress("Hel"), progress("no", token=9), progress("lo"), RESULT)
    )
    network = Network(httpx.Response(200, headers=EVENTS, stream=body))

    assert await ask(network) == [
        Progress(1, "Hel"),
        Progress(1, "lo"),
        Result(1, {"a": 1}),
    ]
    assert body.closed


async def test_leaving_a_stream_closes_it() -> None:
    body = Body(*sse(progress("Hel")), None)
    network = Network(httpx.Response(200, headers=EVENTS, stream=body))
    async with transport(network) as client:
        async with aclosing(client.events(CALL)) as events:
            assert await anext(events) == Progress(1, "Hel")
        assert body.closed


async def test_a_stream_that_ends_without_a_result_is_lost() -> None:
    network = Network(httpx.Response(200, headers=EVENTS, stream=Body(*sse(progress("Hel")))))

    with pytest.raises(ConnectionLost):
        await ask(network)


async def test_a_stream_that_breaks_off_is_lost() -> None:
    body = Body(*sse(progress("Hel")), httpx.ReadError("reset"))

    with pytest.raises(ConnectionLost, match="reset"):
        await ask(Network(httpx.Response(200, headers=EVENTS, stream=body)))


async def test_an_error_keeps_its_class_whatever_the_status() -> None:
    error = {"code": 404, "message": "none", "data": {"reason": "NoRoute"}}
    answer = httpx.Response(404, headers=JSON, json={"jsonrpc": "2.0", "id": 1, "error": error})
    (result,) = await ask(Network(answer))

    assert isinstance(result, Result)
    assert isinstance(result.error, NoRoute)
    assert str(result.error) == "none"


async def test_an_answer_of_something_else_on_the_way_is_told_by_its_status() -> None:
    page = httpx.Response(
        429, headers={"Content-Type": "text/html", "Retry-After": "7"}, content=b"<html>"
    )
    with pytest.raises(RateLimited) as caught:
        await ask(Network(page))

    assert caught.value.retry_after == 7.0


@pytest.mark.parametrize("content", [b"{}", b"", b'{"error": "upstream"}'])
async def test_json_that_is_no_json_rpc_is_told_by_its_status(content: bytes) -> None:
    with pytest.raises(UpstreamError, match="502"):
        await ask(Network(httpx.Response(502, headers=JSON, content=content)))


async def test_success_that_is_no_json_rpc_breaks_the_protocol() -> None:
    with pytest.raises(RemoteProtocolError):
        await ask(Network(httpx.Response(200, headers=JSON, content=b"{}")))


async def test_an_answer_over_the_bound_is_refused() -> None:
    body = Body(*[b"x" * 100] * 20)

    with pytest.raises(RemoteProtocolError, match="over 1000 bytes"):
        await ask(Network(httpx.Response(200, headers=JSON, stream=body)), max_message=1000)
    assert body.closed


async def test_what_was_not_sent_is_tried_again() -> None:
    network = Network(
        httpx.ConnectError("refused"),
        httpx.ConnectTimeout("slow"),
        httpx.Response(200, headers=JSON, content=RESULT),
    )

    assert await ask(network) == [Result(1, {"a": 1})]
    assert [moment - network.times[0] for moment in network.times] == [0, 1, 3]


async def test_tries_end_when_patience_does() -> None:
    network = Network(*[httpx.ConnectError("refused") for _ in range(20)])

    with pytest.raises(ConnectFailed, match="refused"):
        await ask(network, reconnect_for=10.0)
    assert [moment - network.times[0] for moment in network.times] == [0, 1, 3, 7, 10]


@pytest.mark.parametrize(
    "error",
    [
        httpx.WriteError("x"),
        httpx.ReadError("x"),
        httpx.RemoteProtocolError("x"),
        httpx.ReadTimeout("x"),
    ],
    ids=lambda error: type(error).__name__,
)
async def test_what_may_have_been_sent_is_never_sent_again(error: Exception) -> None:
    network = Network(error)

    with pytest.raises(ConnectionLost):
        await ask(network)
    assert len(network.requests) == 1


async def test_a_redirect_is_not_followed() -> None:
    network = Network(httpx.Response(307, headers={"Location": "http://elsewhere/"}))

    with pytest.raises(UpstreamError, match="307"):
        await ask(network, api_key="k")
    assert len(network.requests) == 1


async def test_a_closed_transport_refuses_calls() -> None:
    network = Network()
    async with transport(network) as client:
        await client.aclose()
        with pytest.raises(RuntimeError, match="closed"):
            await anext(client.events(CALL))
