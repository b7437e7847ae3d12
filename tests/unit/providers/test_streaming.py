from __future__ import annotations

import asyncio

import pytest
from tests.unit.providers.scripted import Recorder

from mcp_gateway.errors import ConnectionLost, RequestCancelled
from mcp_gateway.providers.streaming import TRAILER_WAIT, drained, read_rest
from mcp_gateway.upstream.connection import StreamedResponse


class Connection:
    """Where a stream comes from, which is not asked for anything here."""

    def resume(self) -> None:
        pass

    def abort(self) -> None:
        pass


async def test_a_client_that_never_reads_is_given_up_when_the_time_is_over() -> None:
    class Stuck(Recorder):
        async def drained(self) -> None:
            await asyncio.Event().wait()

    loop = asyncio.get_running_loop()
    until = loop.time() + 7.0
    await drained(Recorder(), until)
    with pytest.raises(RequestCancelled):
        await drained(Stuck(), until)
    assert loop.time() == until


async def test_the_rest_of_a_message_is_read_but_not_waited_for_long() -> None:
    loop = asyncio.get_running_loop()
    started = loop.time()
    response = StreamedResponse(Connection(), 200, {})
    response.feed(b"rest")
    await read_rest(response)
    assert loop.time() == started + TRAILER_WAIT
    response.finish(ConnectionLost("gone"))
    await read_rest(response)
