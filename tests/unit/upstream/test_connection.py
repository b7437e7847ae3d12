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
from tests.support.fake_upstream import ENDPOINT, FakeTransport, answer, connect

from mcp_gateway.errors import (
    ConnectFailed,
    ConnectionLost,
    LocalProtocolError,
    RemoteProtocolError,
)
from mcp_gateway.upstream.connection import Connection, State, Timeouts


async def test_an_exchange_returns_the_whole_answer() -> None:
    connection, transport = connect()
    task = await started(connection.exchange(REQUEST, TIMEOUTS))
    assert not connection.reusable
    transport.feed(b"HTTP/1.1 429 Slow\r\nRetry-After: 3\r\nContent-Length: 4\r\n")
    transport.feed(b"\r\nab")
    transport.feed(b"cd")
    response = await task
    assert (response.status, response.body) == (429, b"abcd")
    assert response.headers[b"retry-after"] == b"3"
    assert transport.written == [REQUEST]
    assert connection.reusable
    assert connection.exchanges == 1


async def test_exchanges_follow_each_other() -> None:
    connection, transport = connect()
    for i in range(3):
        task = await started(connection.exchange(REQUEST, TIMEOUTS))
        transport.feed(answer(b"%d" % i))
        assert (await task).body == b"%d" % i
    assert connection.exchanges == 3
    connection.close()


async def test_two_exchanges_at_once_are_a_bug_of_ours() -> None:
    connection, transport = connect()
    task = await started(connection.exchange(REQUEST, TIMEOUTS))
    with pytest.raises(LocalProtocolError):
        await connection.exchange(REQUEST, TIMEOUTS)
    transport.feed(answer())
    await task


@pytest.mark.parametrize(
    "wire",
    [
        b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}",
        b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\n{}",
        answer() + b"more",
        answer() + answer(),
    ],
)
async def test_an_answer_that_spoils_the_connection_is_still_an_answer(wire: bytes) -> None:
    connection, transport = connect()
    task = await started(connection.exchange(REQUEST, TIMEOUTS))
    transport.feed(wire)
    assert (await task).body == b"{}"
    assert not connection.reusable
    assert connection.state is State.CLOSED
    assert transport.ended == "close"


async def test_an_answer_before_the_request_was_sent_ends_the_connection() -> None:
    connection, transport = connect()
    task = await started(connection.exchange(REQUEST, TIMEOUTS))
    transport.unsent = 4096
    transport.feed(answer(b"too large", 413))
    assert (await task).status == 413
    assert transport.ended == "abort"


async def test_the_end_of_the_connection_can_be_the_end_of_the_answer() -> None:
    connection, transport = connect()
    task = await started(connection.exchange(REQUEST, TIMEOUTS))
    transport.feed(b"HTTP/1.1 200 OK\r\n\r\nhel")
    transport.feed(b"lo")
    transport.eof()
    assert (await task).body == b"hello"
    assert connection.state is State.CLOSED
    assert not connection.stale


async def test_a_reset_is_never_the_end_of_an_answer() -> None:
    connection, transport = connect()
    task = await started(connection.exchange(REQUEST, TIMEOUTS))
    transport.feed(b"HTTP/1.1 200 OK\r\n\r\nhello")
    transport.reset()
    with pytest.raises(ConnectionLost, match="ConnectionResetError") as caught:
        await task
    assert caught.value.answered
    assert isinstance(caught.value.__cause__, ConnectionResetError)


@pytest.mark.parametrize("how", ["eof", "reset"])
async def test_a_loss_says_whether_the_connection_was_new_and_an_answer_began(how: str) -> None:
    for warm, partial in [(False, b""), (True, b""), (False, b"HTTP"), (True, b"HTTP")]:
        connection, transport = await used() if warm else connect()
        task = await started(connection.exchange(REQUEST, TIMEOUTS))
        if partial:
            transport.feed(partial)
        getattr(transport, how)()
        with pytest.raises(ConnectionLost) as caught:
            await task
        assert caught.value.reused == warm
        assert caught.value.answered == bool(partial)
        assert connection.stale == (warm and not partial)


async def test_a_connection_that_was_opened_ahead_counts_as_reused() -> None:
    connection, transport = connect()
    await asyncio.sleep(20)
    task = await started(connection.exchange(REQUEST, TIMEOUTS))
    transport.eof()
    with pytest.raises(ConnectionLost) as caught:
        await task
    assert caught.value.reused


async def test_nothing_is_sent_on_a_connection_that_has_closed() -> None:
    connection, transport = connect()
    transport.eof()
    with pytest.raises(ConnectFailed):
        await connection.exchange(REQUEST, TIMEOUTS)
    old, transport = await used()
    transport.eof()
    with pytest.raises(ConnectionLost) as caught:
        await old.stream(REQUEST, TIMEOUTS)
    assert caught.value.reused
    assert old.stale
    assert transport.written == [REQUEST]


async def test_bytes_nobody_asked_for_close_the_connection() -> None:
    connection, transport = await used()
    closed: list[Connection] = []
    connection.on_closed = closed.append
    transport.feed(b"HTTP/1.1 408 Request Timeout\r\n\r\n")
    assert closed == [connection]
    assert connection.state is State.CLOSED


async def test_its_end_is_told_once() -> None:
    connection, transport = connect()
    closed: list[Connection] = []
    connection.on_closed = closed.append
    transport.eof()
    await asyncio.sleep(0)
    connection.close()
    connection.abort()
    assert closed == [connection]


@pytest.mark.parametrize("wire", [b"garbage\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n"])
async def test_what_is_not_http_fails_the_exchange_and_closes(wire: bytes) -> None:
    connection, transport = connect()
    task = await started(connection.exchange(REQUEST, TIMEOUTS))
    transport.feed(wire)
    with pytest.raises(RemoteProtocolError):
        await task
    assert transport.ended == "abort"
    assert not connection.stale


async def test_bounds_are_the_connections_own() -> None:
    connection, transport = connect(ENDPOINT, max_body=10)
    task = await started(connection.exchange(REQUEST, TIMEOUTS))
    transport.feed(answer(b"x" * 11))
    with pytest.raises(RemoteProtocolError, match="10 bytes"):
        await task
    assert connection.state is State.CLOSED


async def test_cancelling_an_exchange_closes_the_connection() -> None:
    for method in ("exchange", "stream"):
        connection, transport = connect()
        task = await started(getattr(connection, method)(REQUEST, TIMEOUTS))
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert transport.ended == "abort"
        assert state_of(connection) is State.CLOSED


async def test_an_answer_or_an_error_that_meets_a_cancellation_is_dropped() -> None:
    for method in ("exchange", "stream"):
        for wire in (answer(), b"garbage"):
            connection, transport = connect()
            task = await started(getattr(connection, method)(REQUEST, TIMEOUTS))
            transport.feed(wire)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert connection.state is State.CLOSED
            connection, transport = connect()
            task = await started(getattr(connection, method)(REQUEST, TIMEOUTS))
            task.cancel()
            transport.feed(wire)
            with pytest.raises(asyncio.CancelledError):
                await task
            assert connection.state is State.CLOSED


async def test_silence_after_the_request_is_a_first_byte_timeout() -> None:
    connection, transport = connect()
    task = await started(connection.exchange(REQUEST, TIMEOUTS))
    assert await timed_out(connection, task) == ("first_byte", 10.0)
    assert transport.ended == "abort"


async def test_silence_within_an_answer_is_an_idle_timeout() -> None:
    connection, transport = connect()
    task = await started(connection.exchange(REQUEST, TIMEOUTS))
    await asyncio.sleep(9)
    transport.feed(STREAM_HEAD)
    assert await timed_out(connection, task) == ("idle", 5.0)


async def test_dripping_is_a_total_timeout() -> None:
    connection, transport = connect()
    task = await started(connection.exchange(REQUEST, TIMEOUTS))
    transport.feed(STREAM_HEAD)
    for _ in range(7):
        await asyncio.sleep(4)
        transport.feed(chunk(b"x"))
    assert await timed_out(connection, task) == ("total", 2.0)


async def test_a_short_total_wins_over_the_other_phases() -> None:
    connection, _ = connect()
    task = await started(connection.exchange(REQUEST, Timeouts(first_byte=10.0, total=3.0)))
    assert await timed_out(connection, task) == ("total", 3.0)


async def test_time_of_an_earlier_exchange_does_not_count() -> None:
    connection, transport = await used()
    await asyncio.sleep(7)
    task = await started(connection.exchange(REQUEST, TIMEOUTS))
    assert await timed_out(connection, task) == ("first_byte", 10.0)
    connection, transport = await used()
    await asyncio.sleep(100)
    transport.feed(b"")
    assert state_of(connection) is State.CLOSED


async def test_a_later_exchange_can_have_less_time_than_the_one_before() -> None:
    connection, _ = await used()
    task = await started(connection.exchange(REQUEST, Timeouts(first_byte=2.0)))
    assert await timed_out(connection, task) == ("first_byte", 2.0)


async def test_draining_means_not_to_be_lent_again() -> None:
    connection, transport = connect()
    connection.drain()
    assert connection.state is State.DRAINING
    assert not connection.reusable
    task = await started(connection.exchange(REQUEST, TIMEOUTS))
    transport.feed(answer())
    assert (await task).status == 200
    assert not connection.reusable
    connection.close()
    connection.drain()
    assert state_of(connection) is State.CLOSED


async def test_closing_fails_an_exchange_under_way() -> None:
    connection, transport = connect()
    task = await started(connection.exchange(REQUEST, TIMEOUTS))
    connection.close()
    with pytest.raises(ConnectionLost):
        await task
    assert transport.ended == "abort"


async def test_an_idle_connection_closes_in_order_and_says_when_it_is_gone() -> None:
    connection, transport = connect()
    gone = [await started(connection.wait_closed()) for _ in range(2)]
    assert not gone[0].done()
    connection.close()
    await asyncio.gather(*gone)
    await connection.wait_closed()
    assert transport.ended == "close"
    assert repr(connection) == "<Connection http://provider.test/v1 closed exchanges=0>"


async def test_a_handshake_that_ends_after_it_was_given_up_leaves_nothing_open() -> None:
    connection = Connection(ENDPOINT, asyncio.get_running_loop())
    assert connection.readable()
    await connection.wait_closed()
    connection.abort()
    transport = FakeTransport(connection, asyncio.get_running_loop())
    connection.connection_made(transport)
    assert transport.ended == "abort"
    assert connection.state is State.CLOSED


async def test_unread_bytes_make_a_connection_readable() -> None:
    connection, transport = connect()
    assert not connection.readable()
    assert transport.socket is not None
    transport.socket.make_readable()
    assert connection.readable()
    connection.close()
