"""The blocking client over a transport in memory. Real threads, no sockets."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator
from concurrent.futures import ThreadPoolExecutor

import pytest

from mcp_gateway.api.chat import ChatDelta, ChatRequest
from mcp_gateway.client import Model, SyncClient
from mcp_gateway.client.wire import Progress, Result, ToolCall
from mcp_gateway.errors import ConnectionLost, NoRoute

REQUEST = ChatRequest(model="m", messages=[{"role": "user", "content": "Hello!"}])
URL = "ws://gateway/mcp"


class Echo:
    """Answers each call by what was asked; the model `wait` is never answered."""

    def __init__(self) -> None:
        self.closed = threading.Event()
        self.left = threading.Event()
        self.asked = threading.Event()

    async def events(self, call: ToolCall) -> AsyncGenerator[Progress | Result, None]:
        model = call.arguments.get("model")
        if call.tool == "models":
            yield Result(call.id, {"structuredContent": {"models": [{"id": "m"}]}})
            return
        if model == "nowhere":
            raise NoRoute("nowhere")
        try:
            self.asked.set()
            if call.stream:
                yield Progress(call.id, "Hel")
                yield Progress(call.id, "lo")
            if model == "wait":
                await asyncio.Event().wait()
            yield Result(call.id, {"structuredContent": {"content": f"Hello {model}"}})
        finally:
            self.left.set()

    async def aclose(self) -> None:
        self.closed.set()


def threads() -> set[str]:
    return {thread.name for thread in threading.enumerate()}


def test_a_chat_blocks_until_its_answer() -> None:
    with SyncClient(URL, transport=Echo()) as client:
        assert client.chat(REQUEST).content == "Hello m"
        assert client.models() == [Model("m")]


def test_a_stream_is_iterated() -> None:
    with SyncClient(URL, transport=Echo()) as client, client.stream(REQUEST) as stream:
        assert list(stream) == [ChatDelta("Hel"), ChatDelta("lo")]
        assert stream.response.content == "Hello m"


def test_a_failing_stream_raises() -> None:
    with SyncClient(URL, transport=Echo()) as client:
        stream = client.stream(ChatRequest(model="nowhere", messages=[]))
        with pytest.raises(NoRoute):
            next(stream)


def test_leaving_a_stream_cancels_it() -> None:
    echo = Echo()
    with SyncClient(URL, transport=echo) as client:
        with client.stream(ChatRequest(model="wait", messages=[])) as stream:
            assert next(stream) == ChatDelta("Hel")
        assert echo.left.wait(60)


def test_many_threads_share_a_client() -> None:
    with SyncClient(URL, transport=Echo()) as client, ThreadPoolExecutor(8) as pool:
        asked = [ChatRequest(model=str(n), messages=[]) for n in range(50)]
        answers = [response.content for response in pool.map(client.chat, asked)]

    assert answers == [f"Hello {n}" for n in range(50)]


async def test_it_works_where_a_loop_runs_already() -> None:
    with SyncClient(URL, transport=Echo()) as client:
        assert client.chat(REQUEST).content == "Hello m"


def test_closing_ends_the_thread_and_is_idempotent() -> None:
    echo = Echo()
    client = SyncClient(URL, transport=echo)
    assert "mcp-client" in threads()

    client.close()
    client.close()

    assert echo.closed.is_set()
    assert "mcp-client" not in threads()
    with pytest.raises(RuntimeError, match="closed"):
        client.chat(REQUEST)


def test_closing_frees_a_caller_that_waits_in_another_thread() -> None:
    echo = Echo()
    client = SyncClient(URL, transport=echo)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(client.chat, ChatRequest(model="wait", messages=[]))
        assert echo.asked.wait(60)
        client.close()

        with pytest.raises(ConnectionLost):
            waiting.result(60)


def test_a_client_nobody_holds_is_closed() -> None:
    echo = Echo()
    client = SyncClient(URL, transport=echo)
    client.chat(REQUEST)

    del client

    assert echo.closed.wait(60)


def test_a_wrong_url_starts_no_thread() -> None:
    with pytest.raises(ValueError, match="URL"):
        SyncClient("gateway")

    assert "mcp-client" not in threads()
