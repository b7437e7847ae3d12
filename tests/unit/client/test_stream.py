from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

import pytest

from mcp_gateway.api.chat import ChatDelta, Usage
from mcp_gateway.client.stream import ChatStream
from mcp_gateway.client.wire import Progress, Result
from mcp_gateway.errors import ConnectionLost, DeadlineExceeded, UpstreamTimeout

WHOLE = {
    "structuredContent": {
        "content": "Hello",
        "usage": {"prompt_tokens": 1, "completion_tokens": 2},
    }
}
FAILED = {
    "structuredContent": {
        "error": {"code": "UpstreamTimeout", "message": "silent", "phase": "idle"}
    },
    "isError": True,
}


class Source:
    """Events, each a second after the one before; knows whether it was closed."""

    def __init__(self, *events: str | dict[str, Any] | Exception) -> None:
        self.script = events
        self.closed = False

    async def events(self) -> AsyncGenerator[Progress | Result, None]:
        try:
            for event in self.script:
                await asyncio.sleep(1)
                if isinstance(event, Exception):
                    raise event
                yield Progress(1, event) if isinstance(event, str) else Result(1, event)
        finally:
            self.closed = True


async def test_pieces_come_and_then_the_whole() -> None:
    source = Source("Hel", "", "lo", WHOLE)
    stream = ChatStream(source.events(), None)

    assert [delta async for delta in stream] == [ChatDelta("Hel"), ChatDelta("lo")]
    assert stream.response.content == "Hello"
    assert stream.response.usage == Usage(1, 2)
    assert source.closed


async def test_there_is_no_response_before_the_end() -> None:
    source = Source("Hel", WHOLE)
    async with ChatStream(source.events(), None) as stream:
        await anext(stream)
        with pytest.raises(RuntimeError, match="iterate"):
            _ = stream.response


async def test_iterating_after_the_end_stays_at_the_end() -> None:
    stream = ChatStream(Source(WHOLE).events(), None)

    assert [delta async for delta in stream] == []
    assert [delta async for delta in stream] == []


@pytest.mark.parametrize(
    ("failure", "cls"), [(FAILED, UpstreamTimeout), (ConnectionLost("gone"), ConnectionLost)]
)
async def test_a_failure_in_the_middle_is_raised_and_keeps_what_came(
    failure: Any, cls: type[Exception]
) -> None:
    source = Source("Hel", "lo", failure)
    stream = ChatStream(source.events(), None)

    with pytest.raises(cls):
        await drained(stream)
    assert stream.response.text == "Hello"
    assert isinstance(stream.response.error, cls)
    with pytest.raises(cls):
        _ = stream.response.content
    assert source.closed


async def test_a_stream_without_an_end_is_lost() -> None:
    stream = ChatStream(Source("Hel").events(), None)

    with pytest.raises(ConnectionLost):
        await drained(stream)
    assert stream.response.text == "Hel"


async def test_a_deadline_holds_for_the_whole_stream() -> None:
    source = Source(*["x"] * 100)
    loop = asyncio.get_running_loop()
    start = loop.time()
    stream = ChatStream(source.events(), start + 5.5)

    with pytest.raises(DeadlineExceeded):
        await drained(stream)
    assert loop.time() - start == 5.5
    assert stream.response.text == "xxxxx"
    assert source.closed


async def test_leaving_early_closes_what_is_behind() -> None:
    source = Source(*["x"] * 100)
    async with ChatStream(source.events(), None) as stream:
        async for _ in stream:
            break

    assert source.closed


async def drained(stream: ChatStream) -> list[ChatDelta]:
    return [delta async for delta in stream]
