from __future__ import annotations

import asyncio
import logging

import pytest
from tests.support.fake_transport import settle
from tests.unit.server.peer import Peer, listening, request
from tests.unit.server.test_connection import Held, echo

from mcp_gateway.server.connection import HTTPConnection
from mcp_gateway.server.listener import HARD_MARGIN, HTTPListener
from mcp_gateway.server.message import Bounds, HTTPRequest
from mcp_gateway.server.responder import Responder


async def test_a_connection_over_the_bound_is_told_so_and_closed() -> None:
    async with listening(echo, Bounds(max_connections=2)) as listener:
        first, second = Peer(listener), Peer(listener)
        third = Peer(listener)
        (answer,) = third.answers()
        assert answer.status == 503
        assert answer.headers["retry-after"] == "1"
        assert third.transport.eof_written
        assert await third.ask_all(request()) == []
        assert (await first.ask(request())).status == 200
        assert (await second.ask(request())).status == 200
        stats = listener.stats()
        assert (stats.accepted, stats.refused, stats.connections) == (2, 1, 3)
        await asyncio.sleep(4)
        assert third.transport.aborted
        assert listener.stats().connections == 2


async def test_a_flood_of_connections_is_cut_without_a_word() -> None:
    async with listening(echo, Bounds(max_connections=2)) as listener:
        peers = [Peer(listener) for _ in range(2 + HARD_MARGIN + 10)]
        await settle()
        assert len(listener.connections) == 2 + HARD_MARGIN
        assert all(peer.transport.aborted and not peer.transport.written for peer in peers[-10:])
        assert listener.stats().refused == HARD_MARGIN + 10


async def test_the_oldest_silent_connection_gives_way_where_there_is_to_be_room() -> None:
    app = Held()
    async with listening(app, Bounds(max_connections=2, makes_room=True)) as listener:
        busy, silent = Peer(listener), Peer(listener)
        busy.transport.send(request())
        await settle()
        late = Peer(listener)
        assert (silent.transport.aborted, busy.transport.aborted) == (True, False)
        late.transport.send(request())
        await settle()
        assert [answer.status for answer in Peer(listener).answers()] == [503]
        app.gate.set()
        await settle()
        assert [peer.answers()[0].status for peer in (busy, late)] == [200, 200]
        assert listener.stats().refused == 1


async def test_bodies_that_arrive_together_are_bounded_together() -> None:
    async with listening(echo, Bounds(max_arriving=1000)) as listener:
        whole = request("POST", "/", b"x" * 600)
        first, second = Peer(listener), Peer(listener)
        first.transport.send(whole[:-1])
        second.transport.send(whole[:-1])
        (answer,) = second.answers()
        assert answer.status == 503
        assert listener.arriving == 599
        assert (await first.ask(whole[-1:])).status == 200
        assert listener.arriving == 0
        assert (await Peer(listener).ask_all(whole + whole))[-1].status == 200


async def test_bodies_of_waiting_requests_count_until_their_turn_comes() -> None:
    app = Held()
    async with listening(app, Bounds(max_arriving=1000)) as listener:
        peer = Peer(listener)
        peer.transport.send(request("POST", "/", b"x" * 600) * 2)
        await settle()
        assert listener.arriving == 600
        Peer(listener).transport.send(request("POST", "/", b"x" * 600)[:-1])
        peer.transport.vanish()
        await settle()
        assert listener.arriving == 0


async def test_a_place_that_became_free_is_given_again() -> None:
    async with listening(echo, Bounds(max_connections=1)) as listener:
        Peer(listener).transport.vanish()
        assert (await Peer(listener).ask(request())).status == 200


async def test_draining_lets_what_is_in_work_end() -> None:
    app = Held()
    async with listening(app) as listener:
        idle, busy = Peer(listener), Peer(listener)
        busy.transport.send(request())
        await settle()
        draining = asyncio.create_task(listener.drain(30))
        await settle()
        assert idle.transport.eof_written
        assert not busy.transport.eof_written
        idle.transport.vanish()
        app.gate.set()
        await settle()
        (answer,) = busy.answers()
        assert answer.headers["connection"] == "close"
        busy.transport.vanish()
        assert await draining == 0


async def test_a_request_that_is_arriving_when_draining_begins_is_answered() -> None:
    async with listening(echo) as listener:
        peer = Peer(listener)
        peer.transport.send(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\na")
        draining = asyncio.create_task(listener.drain(30))
        await settle()
        assert not peer.transport.eof_written
        answer = await peer.ask(b"b")
        assert (answer.status, answer.headers["connection"]) == (200, "close")
        peer.transport.vanish()
        assert await draining == 0


async def test_what_outlives_the_grace_is_cancelled_and_counted(
    caplog: pytest.LogCaptureFixture,
) -> None:
    app = Held()
    async with listening(app) as listener:
        peers = [Peer(listener) for _ in range(3)]
        for peer in peers:
            peer.transport.send(request())
        await settle()
        began = listener.loop.time()
        with caplog.at_level(logging.WARNING):
            assert await listener.drain(30) == 3
        assert listener.loop.time() - began == pytest.approx(30)
        assert app.cancelled == 3
        assert all(peer.transport.aborted for peer in peers)
        assert "cancelled exchanges" in caplog.text


async def test_an_exchange_that_will_not_end_does_not_hold_up_the_end(
    caplog: pytest.LogCaptureFixture,
) -> None:
    ended = asyncio.Event()

    async def stubborn(_request: HTTPRequest, _responder: Responder) -> None:
        try:
            await asyncio.sleep(1000)
        finally:
            await ended.wait()

    async with listening(stubborn) as listener:
        Peer(listener).transport.send(request())
        await settle()
        with caplog.at_level(logging.WARNING):
            await listener.drain(1)
        assert "exchanges did not end" in caplog.text
        ended.set()
        await settle()


async def test_connections_that_come_while_draining_are_refused() -> None:
    app = Held()
    async with listening(app) as listener:
        busy = Peer(listener)
        busy.transport.send(request())
        await settle()
        draining = asyncio.create_task(listener.drain(5))
        await settle()
        (answer,) = Peer(listener).answers()
        assert answer.status == 503
        assert await draining == 1


async def test_closing_is_idempotent_and_stops_the_clock() -> None:
    listener = HTTPListener(echo, Bounds())
    await listener.aclose()
    await listener.aclose()
    with pytest.raises(RuntimeError, match="not listening"):
        _ = listener.address


async def test_a_connection_that_fails_leaves_the_others_their_deadlines(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async with listening(echo) as listener:
        broken, other = Peer(listener), Peer(listener)

        def fail(connection: HTTPConnection, now: float) -> None:
            if connection is broken.connection:
                raise RuntimeError("broken")
            tick(connection, now)

        tick = HTTPConnection.tick
        monkeypatch.setattr(HTTPConnection, "tick", fail)
        with caplog.at_level(logging.CRITICAL):
            await asyncio.sleep(60)
        assert broken.transport.aborted
        assert other.transport.eof_written, "its time was over"


async def test_the_date_is_of_this_minute() -> None:
    async with listening(echo) as listener:
        before = listener.date_line
        assert before.startswith(b"date: ")
        assert before.endswith(b" GMT\r\n")
