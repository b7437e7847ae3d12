from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from tests.support.fake_transport import settle
from tests.unit.server.peer import Peer, listening, request

from mcp_gateway.server.message import EVENT_STREAM, JSON, TEXT, HTTPRequest
from mcp_gateway.server.responder import Responder


async def streamed(_request: HTTPRequest, responder: Responder) -> None:
    responder.start(200, EVENT_STREAM)
    responder.write(b"one")
    responder.write(b"")
    await asyncio.sleep(1)
    responder.write(b"two")
    responder.finish()


async def test_a_whole_answer_is_one_write() -> None:
    async def app(_request: HTTPRequest, responder: Responder) -> None:
        responder.extra = b"x-extra: 1\r\n"
        responder.respond(200, JSON, b"{}")

    async with listening(app) as listener:
        peer = Peer(listener)
        answer = await peer.ask(request())
        assert peer.transport.writes == 1
        assert answer.headers["x-extra"] == "1"
        assert answer.headers["content-length"] == "2"


async def test_a_204_has_no_length() -> None:
    async def app(_request: HTTPRequest, responder: Responder) -> None:
        responder.respond(204, b"")

    async with listening(app) as listener:
        peer = Peer(listener)
        peer.transport.send(request())
        await settle()
        assert b"content-length" not in peer.transport.written


async def test_a_stream_is_chunked_and_its_head_leaves_with_its_first_piece() -> None:
    async with listening(streamed) as listener:
        peer = Peer(listener)
        answer = await peer.ask(request())
        assert peer.transport.writes == 1
        assert not answer.whole
        await asyncio.sleep(2)
        assert peer.transport.take() == b"3\r\ntwo\r\n0\r\n\r\n"
        assert (await peer.ask(request())).status == 200


async def test_a_stream_to_http_1_0_ends_with_the_connection() -> None:
    async with listening(streamed) as listener:
        peer = Peer(listener)
        peer.transport.send(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
        await asyncio.sleep(2)
        written = peer.transport.take()
        assert written.endswith(b"\r\n\r\nonetwo")
        assert b"chunked" not in written
        assert b"connection: close" in written
        assert peer.transport.eof_written


async def test_a_stream_to_head_has_no_body() -> None:
    async with listening(streamed) as listener:
        peer = Peer(listener)
        peer.transport.send(request("HEAD"))
        await asyncio.sleep(2)
        assert peer.transport.take().endswith(b"transfer-encoding: chunked\r\n\r\n")


async def test_an_empty_stream_still_has_its_head() -> None:
    async def app(_request: HTTPRequest, responder: Responder) -> None:
        responder.start(200, TEXT)
        responder.finish()

    async with listening(app) as listener:
        answer = await Peer(listener).ask(request())
        assert (answer.status, answer.body, answer.whole) == (200, b"", True)


async def test_writing_to_nobody_is_silent() -> None:
    ended = []

    async def app(_request: HTTPRequest, responder: Responder) -> None:
        responder.start(200, TEXT)
        responder.write(b"x")
        await asyncio.sleep(1)
        responder.write(b"y")
        responder.finish()
        ended.append(responder.finished)

    async with listening(app) as listener:
        peer = Peer(listener)
        peer.transport.send(request())
        await settle()
        peer.transport.vanish()
        await asyncio.sleep(2)
        assert ended == [True]


async def test_a_writer_waits_for_a_slow_reader() -> None:
    async def app(_request: HTTPRequest, responder: Responder) -> None:
        responder.start(200, TEXT)
        for number in range(3):
            if responder.congested:
                await responder.drained()
            responder.write(b"%d" % number)
            await asyncio.sleep(0)
        responder.finish()

    async with listening(app) as listener:
        peer = Peer(listener)
        peer.transport.send(request())
        peer.transport.stall()
        await settle()
        assert peer.transport.written == b""
        peer.transport.flow()
        await settle()
        assert peer.answers()[0].body == b"012"


async def test_that_work_has_begun_is_said_before_the_answer_and_not_in_it() -> None:
    async def app(_request: HTTPRequest, responder: Responder) -> None:
        responder.processing()
        responder.start(200, TEXT)
        responder.processing()
        responder.finish()

    async with listening(app) as listener:
        peer = Peer(listener)
        peer.transport.send(request())
        await settle()
        written = peer.transport.take()
        assert written.startswith(b"HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 200 OK\r\n")
        assert written.count(b"102") == 1
        old = Peer(listener)
        old.transport.send(b"GET / HTTP/1.0\r\n\r\n")
        await settle()
        assert old.transport.take().startswith(b"HTTP/1.1 200 OK\r\n")


async def test_answering_twice_is_a_bug() -> None:
    caught: list[AssertionError] = []

    async def app(_request: HTTPRequest, responder: Responder) -> None:
        responder.respond(200, TEXT, b"")
        again_all: list[Callable[[], None]] = [
            lambda: responder.respond(200, TEXT, b""),
            lambda: responder.start(200, TEXT),
            lambda: responder.write(b"x"),
            responder.finish,
        ]
        for again in again_all:
            with pytest.raises(AssertionError) as raised:
                again()
            caught.append(raised.value)

    async with listening(app) as listener:
        await Peer(listener).ask(request())
        assert len(caught) == 4
