from __future__ import annotations

import asyncio

import pytest
from tests.support.exchange_steps import (
    REQUEST,
    STREAM_HEAD,
    TIMEOUTS,
    chunk,
    started,
    state_of,
    timed_out,
    used,
)
from tests.support.fake_upstream import answer, connect

from mcp_gateway.errors import (
    ConnectionLost,
    RemoteProtocolError,
    UpstreamTimeout,
)
from mcp_gateway.upstream.connection import HIGH_WATER, State


async def test_a_stream_gives_its_head_at_once_and_its_body_as_it_comes() -> None:
    connection, transport = connect()
    task = await started(connection.stream(REQUEST, TIMEOUTS))
    transport.feed(STREAM_HEAD[:20])
    assert not task.done()
    transport.feed(STREAM_HEAD[20:] + chunk(b"one"))
    stream = await task
    assert stream.status == 200
    assert await stream.read() == b"one"
    reading = await started(stream.read())
    transport.feed(chunk(b"two") + chunk(b"three"))
    assert await reading == b"twothree"
    transport.feed(b"0\r\n\r\n")
    assert await stream.read() == b""
    assert await stream.read() == b""
    assert connection.reusable
    stream.close()
    assert connection.reusable


async def test_a_whole_answer_at_once_is_a_stream_too() -> None:
    connection, transport = connect()
    task = await started(connection.stream(REQUEST, TIMEOUTS))
    transport.feed(answer(b"all"))
    stream = await task
    assert connection.reusable
    assert await stream.body() == b"all"


async def test_a_stream_can_end_with_its_connection() -> None:
    connection, transport = connect()
    task = await started(connection.stream(REQUEST, TIMEOUTS))
    transport.feed(b"HTTP/1.1 200 OK\r\n\r\nhel")
    stream = await task
    transport.feed(b"lo")
    transport.eof()
    assert await stream.body() == b"hello"
    assert connection.state is State.CLOSED


async def test_what_arrived_before_a_break_is_read_first() -> None:
    connection, transport = connect()
    task = await started(connection.stream(REQUEST, TIMEOUTS))
    transport.feed(STREAM_HEAD + chunk(b"half"))
    stream = await task
    transport.reset()
    await asyncio.sleep(0)
    assert await stream.read() == b"half"
    with pytest.raises(ConnectionLost) as caught:
        await stream.read()
    assert caught.value.answered
    with pytest.raises(ConnectionLost):
        await stream.body()
    assert connection.state is State.CLOSED


async def test_a_break_before_the_head_fails_the_stream() -> None:
    connection, transport = await used()
    task = await started(connection.stream(REQUEST, TIMEOUTS))
    transport.eof()
    with pytest.raises(ConnectionLost):
        await task
    assert connection.stale


async def test_a_reader_that_is_slow_makes_the_provider_wait() -> None:
    connection, transport = connect()
    task = await started(connection.stream(REQUEST, TIMEOUTS))
    transport.feed(STREAM_HEAD)
    stream = await task
    transport.feed(chunk(b"x" * HIGH_WATER))
    assert not transport.paused
    transport.feed(chunk(b"x"))
    assert transport.paused
    await asyncio.sleep(20)  # longer than `idle`: the reader's own slowness does not count
    assert len(await stream.read()) == HIGH_WATER + 1
    assert not transport.paused
    reading = await started(stream.read())
    assert await timed_out(connection, reading) == ("idle", 5.0)


async def test_a_slow_reader_has_no_more_than_the_total_either() -> None:
    connection, transport = connect()
    task = await started(connection.stream(REQUEST, TIMEOUTS))
    transport.feed(STREAM_HEAD + chunk(b"x" * (HIGH_WATER + 1)))
    stream = await task
    await asyncio.sleep(31)
    assert state_of(connection) is State.CLOSED
    assert len(await stream.read()) == HIGH_WATER + 1
    with pytest.raises(UpstreamTimeout) as caught:
        await stream.read()
    assert caught.value.phase == "total"


async def test_an_answer_that_completes_while_paused_lets_the_connection_go_on() -> None:
    connection, transport = connect()
    task = await started(connection.stream(REQUEST, TIMEOUTS))
    transport.feed(STREAM_HEAD + chunk(b"x" * (HIGH_WATER + 1)))
    stream = await task
    assert transport.paused
    transport.feed(b"0\r\n\r\n")  # had been read from the socket already
    assert not transport.paused
    assert connection.reusable
    assert len(await stream.body()) == HIGH_WATER + 1


async def test_a_stream_that_is_given_up_closes_the_connection() -> None:
    connection, transport = connect()
    task = await started(connection.stream(REQUEST, TIMEOUTS))
    transport.feed(STREAM_HEAD + chunk(b"one"))
    stream = await task
    stream.close()
    assert transport.ended == "abort"
    assert await stream.read() == b"one"
    with pytest.raises(ConnectionLost):
        await stream.read()


async def test_cancelling_a_read_closes_the_connection() -> None:
    connection, transport = connect()
    task = await started(connection.stream(REQUEST, TIMEOUTS))
    transport.feed(STREAM_HEAD)
    stream = await task
    reading = await started(stream.read())
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    assert connection.state is State.CLOSED
    assert transport.ended == "abort"


async def test_garbage_within_a_stream_is_an_error_in_it() -> None:
    connection, transport = connect()
    task = await started(connection.stream(REQUEST, TIMEOUTS))
    transport.feed(STREAM_HEAD + chunk(b"good"))
    stream = await task
    transport.feed(b"zzz\r\n")
    assert await stream.read() == b"good"
    with pytest.raises(RemoteProtocolError):
        await stream.read()
    assert connection.state is State.CLOSED


async def test_a_collected_stream_is_bounded() -> None:
    connection, transport = connect()
    task = await started(connection.stream(REQUEST, TIMEOUTS))
    transport.feed(STREAM_HEAD + chunk(b"x" * 11))
    stream = await task
    with pytest.raises(RemoteProtocolError, match="at most 10"):
        await stream.body(10)
    assert connection.state is State.CLOSED
