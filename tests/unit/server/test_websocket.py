from __future__ import annotations

import asyncio
import json

import pytest
from tests.support.fake_transport import settle
from tests.support.http_answer import Answer
from tests.support.stand_in_engine import StandInEngine, piece
from tests.unit.server.websocket_peer import CHAT, WebSocketPeer, call, connected, serving
from websockets.frames import Frame, Opcode
from websockets.http11 import Response

from mcp_gateway.errors import PermissionDenied, RateLimited, Unauthenticated
from mcp_gateway.proxy.exchange import Face
from mcp_gateway.server.message import Bounds
from mcp_gateway.server.websocket import (
    LAST_CALL,
    MAX_CONTROL,
    MAX_FRAGMENTS,
    PING_AFTER,
    PONG_WITHIN,
    WebSocketConnection,
)

PING = {"jsonrpc": "2.0", "id": 1, "method": "ping"}


async def test_an_upgrade_is_asked_of_the_engine_first() -> None:
    engine = StandInEngine()
    async with serving(engine) as listener:
        peer = WebSocketPeer(listener)
        response = await peer.open(headers={"Authorization": "Bearer k"})
        assert isinstance(response, Response)
        assert response.headers["Sec-WebSocket-Protocol"] == "mcp"
        assert "Sec-WebSocket-Extensions" not in response.headers
        assert len(response.headers["x-request-id"]) == 32
        stats = listener.stats()
        assert (stats.connections, stats.websockets, stats.exchanges) == (1, 1, 0)
        peer.transport.vanish()
        assert listener.stats().websockets == 0
    (exchange,) = engine.exchanges
    assert (exchange.face, exchange.method) == (Face.WEBSOCKET, "websocket/open")
    assert exchange.credential == "k"


async def test_a_browser_gives_its_token_as_a_subprotocol() -> None:
    engine = StandInEngine()
    async with serving(engine) as listener:
        response = await WebSocketPeer(listener).open(subprotocols=("mcp", "mcp.auth.tok-en"))
        assert isinstance(response, Response)
        assert response.headers["Sec-WebSocket-Protocol"] == "mcp"
    assert engine.exchanges[0].credential == "tok-en"


@pytest.mark.parametrize("size", [2, 125, 126, 65_535, 65_536])
async def test_messages_of_every_length_arrive_whole(size: int) -> None:
    async with connected(StandInEngine()) as peer:
        connection = peer.transport.protocol
        assert isinstance(connection, WebSocketConnection)
        text = "x" * (size - 2)  # and its quotes
        connection.notify(json.dumps(text).encode())
        assert peer.heard() == [text]


@pytest.mark.parametrize("offered", [(), ("other",), ("mcp.auth.k",)])
async def test_a_client_that_does_not_offer_mcp_is_given_none(offered: tuple[str, ...]) -> None:
    async with serving(StandInEngine()) as listener:
        response = await WebSocketPeer(listener).open(subprotocols=offered)
        assert isinstance(response, Response)
        assert "Sec-WebSocket-Protocol" not in response.headers


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (Unauthenticated("who"), 401),
        (PermissionDenied("no"), 403),
        (RateLimited("slower", retry_after=2.0), 429),
    ],
)
async def test_a_refusal_comes_in_words_of_http(error: Exception, status: int) -> None:
    engine = StandInEngine()
    engine.refuse = lambda exchange: error  # type: ignore[assignment,return-value]
    async with serving(engine) as listener:
        peer = WebSocketPeer(listener)
        answer = await peer.open()
        assert isinstance(answer, Answer)
        assert answer.status == status
        assert ("retry-after" in answer.headers) == (status == 429)
        assert ("www-authenticate" in answer.headers) == (status == 401)
        assert peer.transport.eof_written


async def test_a_handshake_that_is_none_is_refused() -> None:
    async with serving(StandInEngine()) as listener:
        old = await WebSocketPeer(listener).open(headers={"Sec-WebSocket-Version": "8"})
        assert isinstance(old, Answer)
        assert old.status == 400
        bad = await WebSocketPeer(listener).open(headers={"x-request-timeout": "soon"})
        assert isinstance(bad, Answer)
        assert bad.status == 400


async def test_requests_of_both_eras_are_answered_on_one_connection() -> None:
    engine = StandInEngine()
    async with connected(engine) as peer:
        (modern,) = await peer.say(call("tools/list"))
        assert modern["result"]["resultType"] == "complete"
        params = {
            "protocolVersion": "2025-06-18",
            "capabilities": {},
            "clientInfo": {"name": "c", "version": "1"},
        }
        (opened,) = await peer.say(
            {"jsonrpc": "2.0", "id": "i", "method": "initialize", "params": params}
        )
        assert opened["result"]["protocolVersion"] == "2025-06-18"
        assert await peer.say({"jsonrpc": "2.0", "method": "notifications/initialized"}) == []
        (pong,) = await peer.say(PING)
        assert pong["result"] == {}


async def test_progress_comes_on_the_same_connection() -> None:
    engine = StandInEngine()
    engine.events = [piece("Hel"), piece("lo!")]
    async with connected(engine) as peer:
        *progress, answer = await peer.say(call("tools/call", CHAT, identity="x", progressToken=9))
        assert [p["params"]["message"] for p in progress] == ["Hel", "lo!"]
        assert answer["id"] == "x"
        assert answer["result"]["content"][0]["text"] == "Hello!"


async def test_frames_cut_anywhere_read_the_same() -> None:
    async with connected(StandInEngine()) as peer:
        peer.core.send_text(b'{"jsonrpc":"2.0","id":1,"method":"ping"}')
        data = b"".join(peer.core.data_to_send())
        for start in range(0, len(data), 3):
            peer.transport.send(data[start : start + 3])
        await settle()
        assert peer.heard()[0]["result"] == {}


async def test_a_fragmented_message_is_one_message() -> None:
    async with connected(StandInEngine()) as peer:
        await peer.frame(Opcode.TEXT, b'{"jsonrpc":"2.0",', fin=False)
        (pong,) = await peer.frame(Opcode.PING, b"between")
        assert isinstance(pong, Frame)
        assert (pong.opcode, bytes(pong.data)) == (Opcode.PONG, b"between")
        await peer.frame(Opcode.CONT, b'"id":1,', fin=False)
        (answer,) = await peer.frame(Opcode.CONT, b'"method":"ping"}')
        assert answer["result"] == {}


async def test_a_large_message_is_read_in_slices() -> None:
    async with connected(StandInEngine()) as peer:
        text = "x" * 1_000_000
        arguments = {"model": "kimi-k2", "messages": [{"role": "user", "content": text}]}
        (answer,) = await peer.say(call("tools/call", {"name": "chat", "arguments": arguments}))
        assert "result" in answer


async def test_binary_is_refused_with_1003() -> None:
    async with connected(StandInEngine()) as peer:
        await peer.frame(Opcode.BINARY, b"{}")
        assert peer.close_code == 1003
        assert peer.transport.eof_written


@pytest.mark.parametrize("fragments", [1, 2])
async def test_bad_utf_8_is_refused_with_1007(fragments: int) -> None:
    async with connected(StandInEngine()) as peer:
        if fragments == 1:
            await peer.frame(Opcode.TEXT, b'{"\xff":1}')
        else:
            await peer.frame(Opcode.TEXT, b'{"\xc3', fin=False)
            await peer.frame(Opcode.CONT, b'":1}')
        assert peer.close_code == 1007


@pytest.mark.parametrize("fragments", [1, 5])
async def test_a_message_over_the_bound_is_refused_with_1009(fragments: int) -> None:
    async with connected(StandInEngine(), Bounds(max_frame=1000)) as peer:
        for number in range(fragments):
            opcode = Opcode.CONT if number else Opcode.TEXT
            await peer.frame(opcode, b"x" * (1200 // fragments), fin=fragments == 1)
        assert peer.close_code == 1009


async def test_a_message_of_too_many_fragments_is_refused() -> None:
    async with connected(StandInEngine()) as peer:
        await peer.frame(Opcode.TEXT, b"", fin=False)
        for _ in range(MAX_FRAGMENTS):
            peer.core.send_frame(Frame(Opcode.CONT, b"", False))
        peer.transport.send(b"".join(peer.core.data_to_send()))
        assert peer.close_code == 1008


async def test_an_unmasked_frame_is_refused_with_1002() -> None:
    async with connected(StandInEngine()) as peer:
        peer.transport.send(b"\x81\x02{}")
        await settle()
        assert peer.close_code == 1002


async def test_a_reserved_bit_is_refused_with_1002() -> None:
    # What a compressed frame would set: no extension was agreed on.
    async with connected(StandInEngine()) as peer:
        peer.transport.send(b"\xc1\x80abcd")
        await settle()
        assert peer.close_code == 1002


async def test_a_flood_of_pings_is_refused_with_1008() -> None:
    async with connected(StandInEngine()) as peer:
        for _ in range(MAX_CONTROL):
            peer.core.send_ping(b"")
        peer.transport.send(b"".join(peer.core.data_to_send()))
        assert peer.close_code is None
        await asyncio.sleep(2)
        for _ in range(60_000):
            peer.core.send_ping(b"")
        peer.transport.send(b"".join(peer.core.data_to_send()))
        assert peer.close_code == 1008
        assert peer.transport.writes < 3000


async def test_a_client_that_answers_pings_stays() -> None:
    async with connected(StandInEngine()) as peer:
        for _ in range(10):
            await asyncio.sleep(PING_AFTER + 1)
            peer.heard()
            peer.transport.send(b"".join(peer.core.data_to_send()))
        assert peer.close_code is None
        assert (await peer.say(PING))[0]["result"] == {}


async def test_a_client_that_answers_no_ping_is_closed() -> None:
    async with connected(StandInEngine()) as peer:
        await asyncio.sleep(PING_AFTER + PONG_WITHIN + 2)
        assert peer.close_code == 1011
        await asyncio.sleep(4)
        assert peer.transport.aborted


@pytest.mark.parametrize("how", ["frame", "fragments"])
async def test_a_message_that_takes_too_long_is_refused(how: str) -> None:
    async with connected(StandInEngine(), Bounds(request_timeout=30)) as peer:
        if how == "frame":
            peer.core.send_text(b"x" * 1000)
            data = b"".join(peer.core.data_to_send())
            for position in range(33):
                peer.transport.send(data[position : position + 1])
                await asyncio.sleep(1)
        else:
            await peer.frame(Opcode.TEXT, b"{", fin=False)
            for _ in range(33):
                await peer.frame(Opcode.CONT, b" ", fin=False)
                await asyncio.sleep(1)
        assert peer.close_code == 1008


async def test_a_slow_reader_is_not_read_and_in_the_end_cut_off() -> None:
    async with connected(StandInEngine(), Bounds(request_timeout=30)) as peer:
        peer.transport.stall()
        assert not peer.transport.reading
        assert await peer.say(PING) == []
        peer.transport.flow()
        await settle()
        assert peer.heard()[0]["result"] == {}
        peer.transport.stall()
        await asyncio.sleep(33)
        assert peer.transport.aborted


async def test_a_reader_that_is_only_slow_is_waited_for() -> None:
    async with connected(StandInEngine(), Bounds(request_timeout=30)) as peer:
        peer.transport.stall()
        for _ in range(10):
            await asyncio.sleep(20)
            peer.transport.unsent -= 10
        assert not peer.transport.aborted


async def test_last_answers_are_not_cut_off_while_they_are_read() -> None:
    async with connected(StandInEngine(), Bounds(request_timeout=30)) as peer:
        peer.transport.stall()
        peer.transport.protocol.drain()  # type: ignore[attr-defined]  # a WebSocketConnection
        for _ in range(5):
            await asyncio.sleep(20)
            peer.transport.unsent -= 10
        assert not peer.transport.aborted
        peer.transport.flow()
        await asyncio.sleep(4)
        assert peer.transport.aborted


async def test_the_end_of_the_clients_direction_ends_the_connection_in_time() -> None:
    async with connected(StandInEngine()) as peer:
        connection = peer.transport.protocol
        assert isinstance(connection, WebSocketConnection)
        connection.eof_received()  # the loop closes the transport, which has bytes to send yet
        await asyncio.sleep(4)
        assert peer.transport.aborted


async def test_a_stream_waits_for_a_slow_reader() -> None:
    engine = StandInEngine()
    engine.events = [piece(str(number)) for number in range(5)]
    async with connected(engine) as peer:
        peer.core.send_text(json.dumps(call("tools/call", CHAT, progressToken=1)).encode())
        peer.transport.send(b"".join(peer.core.data_to_send()))
        peer.transport.stall()
        await settle()
        assert peer.heard() == []
        peer.transport.flow()
        await settle()
        assert len(peer.heard()) == 6


async def test_the_clients_close_is_answered() -> None:
    async with connected(StandInEngine()) as peer:
        peer.core.send_close(1000, "bye")
        peer.transport.send(b"".join(peer.core.data_to_send()))
        assert peer.close_code == 1000
        assert peer.transport.eof_written


async def test_a_client_that_goes_cancels_what_is_in_work() -> None:
    engine = StandInEngine()
    engine.gate = asyncio.Event()
    async with connected(engine) as peer:
        await peer.say(call("tools/call", CHAT, identity=1), call("tools/call", CHAT, identity=2))
        peer.transport.vanish()
        await settle()
        assert len(engine.cancelled) == 2


async def test_draining_answers_what_is_in_work_and_closes_with_1001() -> None:
    engine = StandInEngine()
    engine.gate = asyncio.Event()
    async with serving(engine) as listener:
        idle, busy = WebSocketPeer(listener), WebSocketPeer(listener)
        await idle.open()
        await busy.open()
        await busy.say(call("tools/call", CHAT))
        draining = asyncio.create_task(listener.drain(30))
        await asyncio.sleep(2 * LAST_CALL)
        assert idle.close_code == 1001
        assert busy.close_code is None
        (refused,) = await busy.say(call("tools/call", CHAT, identity=2))
        assert refused["error"]["code"] == 503
        engine.gate.set()
        await settle()
        (answer,) = [m for m in busy.heard() if isinstance(m, dict)]
        assert answer["result"]["content"][0]["text"] == "Hello!"
        (refused,) = await busy.say(call("tools/call", CHAT, identity=3))
        assert refused["error"]["data"]["reason"] == "Overloaded"
        await asyncio.sleep(2 * LAST_CALL)
        assert busy.close_code == 1001
        assert await draining == 0


async def test_a_request_that_crosses_the_news_of_a_shutdown_is_told_that_it_was_not_done() -> None:
    engine = StandInEngine()
    async with serving(engine) as listener:
        peer = WebSocketPeer(listener)
        await peer.open()
        text = json.dumps(call("tools/call", CHAT)).encode()
        await peer.frame(Opcode.TEXT, text[:20], fin=False)
        draining = asyncio.create_task(listener.drain(30))
        await asyncio.sleep(5 * LAST_CALL)
        assert peer.close_code is None
        (refused,) = await peer.frame(Opcode.CONT, text[20:])
        assert refused["error"]["data"]["reason"] == "Overloaded"
        await asyncio.sleep(2 * LAST_CALL)
        assert peer.close_code == 1001
        assert await draining == 0
    assert [exchange.method for exchange in engine.exchanges] == ["websocket/open"]


async def test_an_upgrade_that_is_decided_while_draining_is_refused() -> None:
    async with serving(StandInEngine()) as listener:
        peer = WebSocketPeer(listener)
        listener.draining = True
        refused = await peer.open()
        assert isinstance(refused, Answer)
        assert refused.status == 503
        assert json.loads(refused.body)["error"]["code"] == "Overloaded"


async def test_a_refused_client_that_leaves_is_noticed_at_once() -> None:
    engine = StandInEngine()
    engine.refuse = lambda exchange: Unauthenticated("no")
    async with serving(engine) as listener:
        peer = WebSocketPeer(listener)
        assert isinstance(await peer.open(), Answer)
        assert peer.transport.eof_written
        assert peer.transport.reading


async def test_a_client_that_was_behind_for_long_is_not_taken_for_dead() -> None:
    bounds = Bounds(request_timeout=10 * (PING_AFTER + PONG_WITHIN))
    async with connected(StandInEngine(), bounds) as peer:
        peer.transport.stall()
        await asyncio.sleep(2 * (PING_AFTER + PONG_WITHIN))
        peer.transport.flow()
        await asyncio.sleep(PING_AFTER / 2)
        assert peer.close_code is None
        assert await peer.say(call("tools/call", CHAT))
