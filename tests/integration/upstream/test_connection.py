from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from tests.support.fake_upstream import answer
from tests.support.raw_server import Handler, Peer, Server, responder, serving

from mcp_gateway.errors import ConnectionLost, RemoteProtocolError, UpstreamTimeout
from mcp_gateway.upstream.connect import Connector, tls_context
from mcp_gateway.upstream.connection import Connection, State, Timeouts
from mcp_gateway.upstream.endpoint import Endpoint
from mcp_gateway.upstream.http1 import MAX_BODY

pytestmark = pytest.mark.integration

TIMEOUTS = Timeouts(connect=60.0, first_byte=60.0, idle=60.0, total=60.0)
REQUEST = b"POST /v1/x HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\n{}"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


@asynccontextmanager
async def connected(
    handler: Handler,
    tls: tuple[ssl.SSLContext, str] | None = None,
    max_body: int = MAX_BODY,
) -> AsyncIterator[tuple[Connection, Server]]:
    """A connection to a server of `handler`; `tls` is the server's context and the bundle."""
    context = tls[0] if tls else None
    async with serving(handler, context) as server:
        connector = Connector(tls=tls_context(tls[1]) if tls else None, max_body=max_body)
        scheme = "https" if tls else "http"
        endpoint = Endpoint.parse(f"{scheme}://127.0.0.1:{server.port}/v1")
        connection = await connector.connect(endpoint)
        try:
            yield connection, server
        finally:
            connection.close()
            async with asyncio.timeout(60):
                await connection.wait_closed()


@pytest.fixture(params=["plain", "tls"])
def tls(
    request: pytest.FixtureRequest, server_tls: ssl.SSLContext, bundle: str
) -> tuple[ssl.SSLContext, str] | None:
    return (server_tls, bundle) if request.param == "tls" else None


Tls = tuple[ssl.SSLContext, str] | None


async def test_exchanges_follow_each_other_on_one_connection(tls: Tls) -> None:
    answers = [answer(b"%d" % i) for i in range(5)]
    async with connected(responder(*answers), tls) as (connection, server):
        for i in range(5):
            assert (await connection.exchange(REQUEST, TIMEOUTS)).body == b"%d" % i
        assert connection.reusable
        assert not connection.readable()
        assert server.connections == 1


async def test_large_bodies_cross_both_ways(tls: Tls) -> None:
    body = bytes(range(256)) * 16384  # 4 MiB
    request = b"POST / HTTP/1.1\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)

    async def echo(peer: Peer) -> None:
        got = await peer.request()
        await peer.send(answer(got.partition(b"\r\n\r\n")[2]))
        await peer.gone()

    async with connected(echo, tls) as (connection, _):
        assert (await connection.exchange(request, TIMEOUTS)).body == body
        assert connection.reusable


async def test_a_body_that_drips_is_put_together(tls: Tls) -> None:
    async def drip(peer: Peer) -> None:
        await peer.request()
        wire = CHUNKED + b"".join(b"1\r\n%c\r\n" % c for c in b"slowly") + b"0\r\n\r\n"
        for i in range(len(wire)):
            await peer.send(wire[i : i + 1])
        await peer.gone()

    async with connected(drip, tls) as (connection, _):
        assert (await connection.exchange(REQUEST, TIMEOUTS)).body == b"slowly"


async def test_the_end_of_the_connection_ends_a_body_without_framing(tls: Tls) -> None:
    async def handle(peer: Peer) -> None:
        await peer.request()
        await peer.send(b"HTTP/1.1 200 OK\r\n\r\nuntil the end")

    async with connected(handle, tls) as (connection, _):
        assert (await connection.exchange(REQUEST, TIMEOUTS)).body == b"until the end"
        assert connection.state is State.CLOSED


@pytest.mark.parametrize("partial", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf"])
async def test_a_provider_that_closes_early_is_a_loss(tls: Tls, partial: bytes) -> None:
    async def handle(peer: Peer) -> None:
        await peer.request()
        await peer.send(partial)

    async with connected(handle, tls) as (connection, _):
        with pytest.raises(ConnectionLost) as caught:
            await connection.exchange(REQUEST, TIMEOUTS)
        assert caught.value.answered == bool(partial)
        assert not caught.value.reused


async def test_a_reset_is_a_loss(tls: Tls) -> None:
    async def handle(peer: Peer) -> None:
        await peer.request()
        peer.reset()

    async with connected(handle, tls) as (connection, _):
        with pytest.raises(ConnectionLost):
            await connection.exchange(REQUEST, TIMEOUTS)
        assert connection.state is State.CLOSED


async def test_a_connection_closed_while_idle_is_known_to_be_dead(tls: Tls) -> None:
    async def once(peer: Peer) -> None:
        await peer.request()
        await peer.send(answer())

    async with connected(once, tls) as (connection, _):
        closed = asyncio.get_running_loop().create_future()
        connection.on_closed = closed.set_result
        await connection.exchange(REQUEST, TIMEOUTS)
        async with asyncio.timeout(60):
            await closed
        assert not connection.reusable
        with pytest.raises(ConnectionLost) as caught:
            await connection.exchange(REQUEST, TIMEOUTS)
        assert caught.value.reused
        assert connection.stale


async def test_a_provider_that_shuts_its_side_after_the_answer_is_not_used_again() -> None:
    async def half(peer: Peer) -> None:
        await peer.request()
        await peer.send(answer())
        peer.writer.write_eof()
        await peer.gone()

    async with connected(half) as (connection, server):
        assert (await connection.exchange(REQUEST, TIMEOUTS)).status == 200
        async with asyncio.timeout(60):
            await connection.wait_closed()
        assert not connection.reusable
        assert server.connections == 1


async def test_bytes_nobody_asked_for_close_an_idle_connection() -> None:
    sent = asyncio.Event()

    async def chatty(peer: Peer) -> None:
        await peer.request()
        await peer.send(answer())
        await sent.wait()
        await peer.send(b"HTTP/1.1 408 Request Timeout\r\n\r\n")
        await peer.gone()

    async with connected(chatty) as (connection, _):
        await connection.exchange(REQUEST, TIMEOUTS)
        assert connection.reusable
        sent.set()
        async with asyncio.timeout(60):
            await connection.wait_closed()
        assert connection.state is State.CLOSED


@pytest.mark.parametrize(
    "garbage",
    [
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"\x00" * 1000,
        b"HTTP/1.1 200 OK\r\nContent-Length: nine\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X: " + b"a" * 200_000,
        CHUNKED + b"zz\r\n",
    ],
)
async def test_garbage_is_an_error_of_the_providers(tls: Tls, garbage: bytes) -> None:
    async def handle(peer: Peer) -> None:
        await peer.request()
        await peer.send(garbage)
        await peer.gone()

    async with connected(handle, tls) as (connection, _):
        with pytest.raises(RemoteProtocolError):
            await connection.exchange(REQUEST, TIMEOUTS)
        assert connection.state is State.CLOSED


async def test_a_body_over_its_bound_is_not_read_to_its_end() -> None:
    async def endless(peer: Peer) -> None:
        await peer.request()
        await peer.send(CHUNKED)
        while True:
            await peer.send(b"1000\r\n" + b"x" * 4096 + b"\r\n")

    async with connected(endless, max_body=100_000) as (connection, _):
        with pytest.raises(RemoteProtocolError, match="100000"):
            await connection.exchange(REQUEST, TIMEOUTS)


@pytest.mark.parametrize(
    ("wire", "timeouts", "phase"),
    [
        (b"", Timeouts(first_byte=0.05), "first_byte"),
        (CHUNKED, Timeouts(idle=0.05), "idle"),
        (b"", Timeouts(total=0.05), "total"),
    ],
)
async def test_silence_times_out(tls: Tls, wire: bytes, timeouts: Timeouts, phase: str) -> None:
    async def silent(peer: Peer) -> None:
        await peer.request()
        await peer.send(wire)
        await peer.gone()

    async with connected(silent, tls) as (connection, _):
        with pytest.raises(UpstreamTimeout) as caught:
            await connection.exchange(REQUEST, timeouts)
        assert caught.value.phase == phase


async def test_cancelling_closes_so_the_provider_can_stop(tls: Tls) -> None:
    asked, left = asyncio.Event(), asyncio.Event()

    async def silent(peer: Peer) -> None:
        await peer.request()
        asked.set()
        await peer.gone()
        left.set()

    async with connected(silent, tls) as (connection, _):
        task = asyncio.create_task(connection.exchange(REQUEST, TIMEOUTS))
        async with asyncio.timeout(60):
            await asked.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            await left.wait()


async def test_a_refusal_before_the_request_was_read_is_still_read() -> None:
    async def impatient(peer: Peer) -> None:
        await peer.reader.readuntil(b"\r\n\r\n")
        await peer.send(answer(b"too large", 413))
        await peer.gone()

    body = b"x" * (16 * 1024 * 1024)
    request = b"POST / HTTP/1.1\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
    async with connected(impatient) as (connection, _):
        response = await connection.exchange(request, TIMEOUTS)
        assert (response.status, response.body) == (413, b"too large")


async def test_a_stream_is_read_piece_by_piece(tls: Tls) -> None:
    go_on = asyncio.Event()

    async def handle(peer: Peer) -> None:
        await peer.request()
        await peer.send(CHUNKED + b"3\r\none\r\n")
        await go_on.wait()
        await peer.send(b"3\r\ntwo\r\n0\r\n\r\n")
        await peer.gone()

    async with connected(handle, tls) as (connection, _), asyncio.timeout(60):
        stream = await connection.stream(REQUEST, TIMEOUTS)
        assert await stream.read() == b"one"
        go_on.set()
        assert await stream.body() == b"two"
        assert connection.reusable


async def test_a_slow_reader_slows_the_provider_and_not_our_memory(tls: Tls) -> None:
    total = 32 * 1024 * 1024
    sent = 0

    async def flood(peer: Peer) -> None:
        nonlocal sent
        await peer.request()
        await peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % total)
        while sent < total:
            await peer.send(b"x" * 65536)
            sent += 65536
        await peer.gone()

    async with connected(flood, tls) as (connection, _), asyncio.timeout(60):
        stream = await connection.stream(REQUEST, TIMEOUTS)
        before = -1
        while before != sent:  # until the provider is stuck
            before = sent
            for _ in range(200):
                await asyncio.sleep(0)
        assert stream.unread < 2 * 1024 * 1024
        assert sent < total
        size = 0
        while data := await stream.read():
            size += len(data)
        assert size == total
        assert connection.reusable


async def test_a_stream_that_breaks_off_says_so(tls: Tls) -> None:
    async def handle(peer: Peer) -> None:
        await peer.request()
        await peer.send(CHUNKED + b"4\r\nhalf\r\n")

    async with connected(handle, tls) as (connection, _), asyncio.timeout(60):
        stream = await connection.stream(REQUEST, TIMEOUTS)
        with pytest.raises(ConnectionLost) as caught:
            await stream.body()
        assert caught.value.answered
