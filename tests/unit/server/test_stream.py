from __future__ import annotations

import asyncio

from tests.support.fake_transport import settle
from tests.unit.server.peer import Peer, listening, request

from mcp_gateway.server.message import EVENT_STREAM, JSON, HTTPRequest
from mcp_gateway.server.responder import Responder
from mcp_gateway.server.stream import QUIET, EventStream


async def test_nothing_leaves_before_the_first_event() -> None:
    async def app(_request: HTTPRequest, responder: Responder) -> None:
        stream = EventStream(responder, EVENT_STREAM)
        await asyncio.sleep(1)
        assert not stream.started
        responder.respond(429, JSON, b"{}")

    async with listening(app) as listener:
        peer = Peer(listener)
        peer.transport.send(request())
        await asyncio.sleep(2)
        assert peer.answers()[0].status == 429


async def test_events_are_sent_as_they_come() -> None:
    async def app(_request: HTTPRequest, responder: Responder) -> None:
        stream = EventStream(responder, EVENT_STREAM)
        stream.send(b"data: 1\n\n")
        assert stream.started
        assert not stream.congested
        await stream.drained()
        stream.send(b"data: 2\n\n")
        stream.finish()

    async with listening(app) as listener:
        answer = await Peer(listener).ask(request())
        assert answer.headers["content-type"] == "text/event-stream"
        assert answer.headers["x-accel-buffering"] == "no"
        assert answer.events() == ["1", "2"]
        assert answer.whole


async def test_a_quiet_exchange_becomes_a_stream_and_is_kept_open() -> None:
    async def app(_request: HTTPRequest, responder: Responder) -> None:
        stream = EventStream(responder, EVENT_STREAM)
        await asyncio.sleep(50)
        stream.send(b"data: late\n\n")
        await asyncio.sleep(10)
        stream.finish()

    async with listening(app) as listener:
        peer = Peer(listener)
        peer.transport.send(request())
        await asyncio.sleep(QUIET - 1)
        assert peer.transport.written == b""
        await asyncio.sleep(50)
        (answer,) = peer.answers()
        assert answer.events() == [": keep-alive", ": keep-alive", ": keep-alive", "late"]


async def test_a_busy_stream_gets_no_comments() -> None:
    async def app(_request: HTTPRequest, responder: Responder) -> None:
        stream = EventStream(responder, EVENT_STREAM)
        for _ in range(10):
            stream.send(b"data: x\n\n")
            await asyncio.sleep(QUIET - 2)
        stream.finish()

    async with listening(app) as listener:
        peer = Peer(listener)
        peer.transport.send(request())
        await asyncio.sleep(200)
        await settle()
        assert peer.answers()[0].events() == ["x"] * 10
