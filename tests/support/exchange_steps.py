"""Steps that tests of one connection share."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

import pytest
from tests.support.fake_upstream import FakeTransport, answer, connect

from mcp_gateway.errors import UpstreamTimeout
from mcp_gateway.upstream.connection import Connection, State, Timeouts

T = TypeVar("T")
TIMEOUTS = Timeouts(connect=1.0, first_byte=10.0, idle=5.0, total=30.0)
REQUEST = b"POST / HTTP/1.1\r\n\r\n"
STREAM_HEAD = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


async def started(awaitable: Awaitable[T]) -> asyncio.Task[T]:
    """Run `awaitable` in a task, until it waits."""
    task = asyncio.ensure_future(awaitable)
    assert isinstance(task, asyncio.Task)
    await asyncio.sleep(0)
    return task


async def used(body: bytes = b"{}") -> tuple[Connection, FakeTransport]:
    """A connection that has carried one exchange."""
    connection, transport = connect()
    task = await started(connection.exchange(REQUEST, TIMEOUTS))
    transport.feed(answer(body))
    await task
    return connection, transport


def state_of(connection: Connection) -> State:
    """Its state, which a type checker would take for unchanged after an assert."""
    return connection.state


async def timed_out(connection: Connection, task: asyncio.Task[T]) -> tuple[str, float]:
    """The phase and the moment of a timeout."""
    start = asyncio.get_running_loop().time()
    with pytest.raises(UpstreamTimeout) as caught:
        await task
    assert connection.state is State.CLOSED
    return caught.value.phase, round(asyncio.get_running_loop().time() - start, 2)
