from __future__ import annotations

import asyncio
import socket
import ssl
import time

import pytest
from tests.support.fake_upstream import answer
from tests.support.raw_server import Peer, Server, responder, serving

from mcp_gateway.errors import ConnectFailed, ConnectionLost, RemoteProtocolError
from mcp_gateway.upstream.connect import Connector, tls_context
from mcp_gateway.upstream.connection import Timeouts
from mcp_gateway.upstream.endpoint import Endpoint
from mcp_gateway.upstream.pool import CloseReason, Pool, PoolSettings

pytestmark = pytest.mark.integration

REQUEST = b"POST /v1/x HTTP/1.1\r\nHost: h\r\n\r\n"


def pool_to(port: int, settings: PoolSettings, tls: ssl.SSLContext | None = None) -> Pool:
    endpoint = Endpoint.parse(f"http{'s' if tls else ''}://127.0.0.1:{port}")
    return Pool("p", [endpoint], Connector(tls=tls), settings)


async def ask(pool: Pool, client: str = "") -> bytes:
    with await pool.acquire(client=client) as lease:
        return (await lease.connection.exchange(REQUEST, Timeouts())).body


@pytest.mark.parametrize("encrypted", [False, True], ids=["plain", "tls"])
async def test_many_requests_share_few_connections(
    encrypted: bool, server_tls: ssl.SSLContext, bundle: str
) -> None:
    most = 0

    async def handle(peer: Peer) -> None:
        nonlocal most
        while await peer.request():
            most = max(most, server.open)
            await peer.send(answer(b"ok"))

    context = server_tls if encrypted else None
    async with serving(handle, context) as server:
        settings = PoolSettings(max_connections=4, max_overflow=2)
        pool = pool_to(server.port, settings, tls_context(bundle) if encrypted else None)
        async with asyncio.timeout(60):
            answers = await asyncio.gather(*[ask(pool, str(i % 5)) for i in range(200)])
        assert answers == [b"ok"] * 200
        assert most <= 6
        stats = pool.stats()
        assert (stats.in_flight, stats.waiting, stats.acquired) == (0, 0, 200)
        assert stats.created == server.connections
        await pool.aclose()
        assert pool.stats().closed[CloseReason.DRAINED] + pool.stats().closed[
            CloseReason.OVERFLOW
        ] == (stats.created)


async def test_every_kind_of_failure_gives_its_slot_back() -> None:
    wires = [
        b"",
        b"garbage",
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf",
        b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok",
        answer(b"ok"),
    ]

    async def handle(peer: Peer) -> None:
        wire = wires[server.connections % len(wires)]
        for _ in range(3 if wire == wires[-1] else 1):
            await peer.request()
            await peer.send(wire)

    async with serving(handle) as server:
        pool = pool_to(server.port, PoolSettings(max_connections=3, max_overflow=0))

        async def client(number: int) -> None:
            if number % 10 == 0:
                async with asyncio.timeout(0):
                    await ask(pool)
            await ask(pool)

        async with asyncio.timeout(60):
            results = await asyncio.gather(*[client(i) for i in range(100)], return_exceptions=True)
            kinds = {type(result) for result in results}
            assert kinds == {type(None), TimeoutError, ConnectionLost, RemoteProtocolError}
            leases = [await pool.acquire() for _ in range(3)]
        stats = pool.stats()
        assert (stats.in_flight, stats.waiting) == (3, 0)
        for lease in leases:
            lease.release()
        await pool.aclose()


async def test_a_provider_that_restarts_costs_one_replay_at_most() -> None:
    settings = PoolSettings(max_connections=8, validate_after=1000.0)
    async with serving(responder(answer(b"old"))) as server:
        pool = pool_to(server.port, settings)
        await asyncio.gather(*[ask(pool) for _ in range(8)])
        assert pool.stats().idle >= 1
    # The port stays free for the new one: it is chosen once and bound again.
    listener = await asyncio.start_server(
        Server(responder(answer(b"new"))).serve, "127.0.0.1", server.port
    )
    async with asyncio.timeout(60):
        try:
            body = await ask(pool)
        except ConnectionLost:
            body = await ask(pool)
    assert body == b"new"
    await pool.aclose()
    listener.close()


async def test_a_connection_that_died_unseen_is_not_lent() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        pool = pool_to(listener.getsockname()[1], PoolSettings(validate_after=0.0))
        first = await pool.acquire()
        peer, _ = listener.accept()
        first.release()
        assert not first.connection.readable()
        # The provider closes, and the loop has no chance to notice before the next request.
        peer.close()
        give_up = time.monotonic() + 5
        while not first.connection.readable():
            assert time.monotonic() < give_up
        assert pool.acquire_nowait() is None
        assert pool.stats().closed[CloseReason.STALE] == 1
        second = await pool.acquire()
        assert second.connection is not first.connection
        second.release()
        await pool.aclose()


async def test_warming_up_and_closing_use_real_connections() -> None:
    async def handle(peer: Peer) -> None:
        await peer.gone()

    async with serving(handle) as server:
        pool = pool_to(server.port, PoolSettings(min_connections=3))
        pool.start()
        async with asyncio.timeout(60):
            for lease in [await pool.acquire() for _ in range(3)]:
                lease.release()
            assert (pool.stats().created, pool.stats().idle) == (3, 3)
            await pool.drain(1.0)
        assert pool.stats().closed[CloseReason.DRAINED] == 3


async def test_draining_lets_an_answer_arrive() -> None:
    asked, go_on = asyncio.Event(), asyncio.Event()

    async def handle(peer: Peer) -> None:
        await peer.request()
        asked.set()
        await go_on.wait()
        await peer.send(answer(b"late"))
        await peer.gone()

    async with serving(handle) as server, asyncio.timeout(60):
        pool = pool_to(server.port, PoolSettings())
        asking = asyncio.create_task(ask(pool))
        await asked.wait()
        draining = asyncio.create_task(pool.drain(10.0))
        go_on.set()
        assert await asking == b"late"
        await draining


async def test_a_provider_that_is_down_fails_everybody_at_once() -> None:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        pool = pool_to(sock.getsockname()[1], PoolSettings(acquire_timeout=600.0))
        async with asyncio.timeout(60):
            results = await asyncio.gather(*[ask(pool) for _ in range(50)], return_exceptions=True)
        assert {type(result) for result in results} == {ConnectFailed}
        await pool.aclose()
