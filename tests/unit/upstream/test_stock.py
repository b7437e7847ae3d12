from __future__ import annotations

import asyncio

from tests.support.fake_upstream import ENDPOINT, FakeTransport, answer, connect

from mcp_gateway.upstream.connection import Connection, State, Timeouts
from mcp_gateway.upstream.endpoint import Endpoint
from mcp_gateway.upstream.stats import CloseReason
from mcp_gateway.upstream.stock import CLOSING, Stock

OTHER = Endpoint.parse("http://other.test")


def filled(count: int, endpoint: Endpoint = ENDPOINT) -> tuple[Stock, list[Connection]]:
    stock = Stock()
    connections = [connect(endpoint)[0] for _ in range(count)]
    for connection in connections:
        stock.add(connection)
    return stock, connections


def closed(stock: Stock) -> dict[str, int]:
    """The counts that are not zero."""
    return {reason.value: count for reason, count in stock.closed.items() if count}


async def test_the_connection_used_last_is_lent_first() -> None:
    stock, (first, second) = filled(2)
    assert stock.take(1000.0, 1.0) is second
    assert stock.take(1000.0, 1.0) is first
    assert stock.take(1000.0, 1.0) is None
    assert stock.created == 2
    assert len(stock.open) == 2
    assert not stock.idle


async def test_a_connection_idle_for_a_while_is_looked_at_first() -> None:
    stock = Stock()
    pairs = [connect() for _ in range(2)]
    for connection, transport in pairs:
        stock.add(connection)
        assert not connection.readable()
        assert transport.socket is not None
    (alive, _), (dead, transport) = pairs
    assert transport.socket is not None
    transport.socket.make_readable()
    assert stock.take(1000.9, 1.0) is dead, "not idle for long enough to be looked at"
    stock.put_back(dead, 1001.0, room=True)
    assert stock.take(1002.5, 1.0) is alive
    assert closed(stock) == {"stale": 1}
    assert dead.state is State.CLOSED


async def test_an_old_connection_is_not_lent() -> None:
    stock, (young, old) = filled(2)
    old.expires_at = 1005.0
    assert stock.take(1005.0, 100.0) is young
    assert closed(stock) == {"lifetime": 1}


async def test_what_comes_back_is_idle_or_closed() -> None:
    stock, (kept, surplus, old, broken) = filled(4)
    stock.idle.clear()
    stock.put_back(kept, 1001.0, room=True)
    assert list(stock.idle) == [kept]
    assert kept.idle_since == 1001.0
    stock.put_back(surplus, 1001.0, room=False)
    old.expires_at = 1001.0
    stock.put_back(old, 1001.0, room=True)
    broken.abort()
    stock.put_back(broken, 1001.0, room=True)
    assert closed(stock) == {"overflow": 1, "lifetime": 1, "used": 1}
    assert stock.open == {kept}


async def test_an_exchange_still_under_way_is_aborted() -> None:
    stock = Stock()
    connection, transport = connect()
    stock.add(connection)
    assert stock.take(1000.0, 1.0) is connection
    task = asyncio.ensure_future(connection.stream(b"x", Timeouts()))
    await asyncio.sleep(0)
    transport.feed(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc")
    await task
    stock.put_back(connection, 1000.0, room=True)
    assert transport.ended == "abort"
    assert closed(stock) == {"used": 1}


async def lose_reused(connection: Connection, transport: FakeTransport) -> None:
    """Carry one exchange, and find the connection closed at the second."""
    for last in (False, True):
        task = asyncio.ensure_future(connection.exchange(b"x", Timeouts()))
        await asyncio.sleep(0)
        if last:
            transport.eof()
        else:
            transport.feed(answer())
        await asyncio.wait([task])
    assert task.exception() is not None
    assert connection.stale


async def test_one_found_dead_makes_the_others_suspect_of_the_same_endpoint_only() -> None:
    stock = Stock()
    dead, transport = connect()
    same, _ = connect()
    other, _ = connect(OTHER)
    for connection in (other, same, dead):
        stock.add(connection)
    assert stock.take(1000.0, 1.0) is dead
    await lose_reused(dead, transport)
    stock.put_back(dead, 1001.0, room=True)
    assert list(stock.idle) == [other]
    assert closed(stock) == {"stale": 2}


async def test_an_idle_connection_that_the_provider_closes_is_gone_at_once() -> None:
    stock = Stock()
    connection, transport = connect()
    stock.add(connection)
    transport.eof()
    assert not stock.open
    assert closed(stock) == {"lost": 1}
    assert stock.take(1000.0, 1.0) is None


async def test_a_lent_connection_that_the_provider_closes_keeps_its_place() -> None:
    stock = Stock()
    connection, transport = connect()
    stock.add(connection)
    stock.take(1000.0, 1.0)
    transport.eof()
    assert stock.open == {connection}
    stock.put_back(connection, 1000.0, room=True)
    assert not stock.open
    assert closed(stock) == {"used": 1}


async def test_reaping_closes_the_longest_idle_beyond_what_is_kept() -> None:
    stock, connections = filled(4)
    for age, connection in enumerate(connections):
        connection.idle_since = 1000.0 + age
    connections[3].expires_at = 1030.0
    stock.reap(1031.5, 30.0, keep=1)
    assert list(stock.idle) == [connections[2]]
    assert closed(stock) == {"idle": 2, "lifetime": 1}
    stock.reap(2000.0, 30.0, keep=1)
    assert list(stock.idle) == [connections[2]]


async def test_shrinking_closes_idle_ones_only() -> None:
    stock, connections = filled(3)
    lent = stock.take(1000.0, 1.0)
    stock.shrink(0, CloseReason.SHRUNK)
    assert stock.open == {lent} == {connections[2]}
    assert closed(stock) == {"shrunk": 2}


async def test_closing_waits_for_the_end_of_all_and_aborts_who_is_late() -> None:
    loop = asyncio.get_running_loop()
    stock = Stock()
    connection = Connection(ENDPOINT, loop)

    class Deaf(FakeTransport):
        """Never ends by itself."""

        def close(self) -> None:
            self.ended = "close"

    deaf = Deaf(connection, loop)
    connection.connection_made(deaf)
    stock.add(connection)
    quick, _ = connect()
    stock.add(quick)
    start = loop.time()
    await stock.aclose()
    assert loop.time() - start == CLOSING
    assert closed(stock) == {"drained": 2}
    stock.put_back(connection, 1.0, room=True)
    assert closed(stock) == {"drained": 2}, "counted once"
    await stock.aclose()
