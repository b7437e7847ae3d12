from __future__ import annotations

import asyncio
import logging

import pytest
from tests.support.fake_transport import settle
from tests.unit.server.peer import Peer, listening, request

from mcp_gateway.server.connection import PIPELINE_PAUSE
from mcp_gateway.server.message import TEXT, Bounds, HTTPRequest
from mcp_gateway.server.responder import Responder


async def echo(request: HTTPRequest, responder: Responder) -> None:
    """Answer with method, path and body."""
    body = f"{request.method} {request.path} ".encode() + request.body
    responder.respond(200, TEXT, body)


class Held:
    """An application whose answers wait until they are let go."""

    def __init__(self) -> None:
        self.gate = asyncio.Event()
        self.paths: list[str] = []
        self.cancelled = 0

    async def __call__(self, request: HTTPRequest, responder: Responder) -> None:
        self.paths.append(request.path)
        task = asyncio.current_task()
        assert task is not None
        responder.on_disconnect(task.cancel)
        try:
            await self.gate.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        await echo(request, responder)


async def test_requests_of_one_connection_are_answered_in_turn() -> None:
    async with listening(echo) as listener:
        peer = Peer(listener)
        answer = await peer.ask(request("POST", "/a", b"one"))
        assert (answer.status, answer.body) == (200, b"POST /a one")
        assert "date" in answer.headers
        assert (await peer.ask(request("GET", "/b"))).body == b"GET /b "
        assert peer.transport.writes == 2
        assert not peer.transport.closed


async def test_pipelined_requests_are_answered_in_order() -> None:
    async with listening(echo) as listener:
        data = b"".join(request("GET", f"/{number}") for number in range(20))
        answers = await Peer(listener).ask_all(data)
        assert [a.body.decode() for a in answers] == [f"GET /{n} " for n in range(20)]


async def test_a_pipelining_client_is_not_read_while_many_requests_wait() -> None:
    app = Held()
    async with listening(app) as listener:
        peer = Peer(listener)
        for number in range(PIPELINE_PAUSE + 1):
            peer.transport.send(request("GET", f"/{number}"))
        await settle()
        assert app.paths == ["/0"]
        assert not peer.transport.reading
        peer.transport.send(request("GET", "/last"))
        app.gate.set()
        await settle(200)
        assert [a.status for a in peer.answers()] == [200] * (PIPELINE_PAUSE + 2)
        assert peer.transport.reading


async def test_more_pipelined_requests_than_the_bound_end_the_connection_politely() -> None:
    app = Held()
    async with listening(app, Bounds(max_in_flight=3)) as listener:
        peer = Peer(listener)
        peer.transport.send(b"".join(request("GET", f"/{number}") for number in range(10)))
        app.gate.set()
        await settle(200)
        assert [a.status for a in peer.answers()] == [200, 200, 200, 200, 503]
        assert peer.transport.eof_written


async def test_a_request_that_cannot_be_read_is_refused_after_those_before_it() -> None:
    app = Held()
    async with listening(app) as listener:
        peer = Peer(listener)
        peer.transport.send(request("GET", "/good") + b"BAD\r\n\r\n")
        await settle()
        assert peer.answers() == []
        app.gate.set()
        await settle()
        good, bad = peer.answers()
        assert (good.status, bad.status) == (200, 400)
        assert bad.headers["connection"] == "close"
        assert bad.json()["error"]["message"].startswith("malformed request")
        assert peer.transport.eof_written
        assert listener.stats().malformed == 1


async def test_connection_close_is_honoured() -> None:
    async with listening(echo) as listener:
        peer = Peer(listener)
        answer = await peer.ask(request("GET", "/", headers={"connection": "close"}))
        assert answer.headers["connection"] == "close"
        assert peer.transport.eof_written


async def test_http_1_0_is_answered_and_closed() -> None:
    async with listening(echo) as listener:
        peer = Peer(listener)
        answer = await peer.ask(b"GET /x HTTP/1.0\r\n\r\n")
        assert answer.body == b"GET /x "
        assert answer.headers["connection"] == "close"


async def test_http_1_0_keeps_alive_when_it_asks() -> None:
    async with listening(echo) as listener:
        peer = Peer(listener)
        answer = await peer.ask(b"GET /x HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
        assert answer.headers["connection"] == "keep-alive"
        assert not peer.transport.eof_written


async def test_head_has_the_length_and_not_the_body() -> None:
    async with listening(echo) as listener:
        peer = Peer(listener)
        peer.transport.send(request("HEAD", "/x"))
        await settle()
        written = peer.transport.take()
        assert b"content-length: 8\r\n" in written
        assert written.endswith(b"\r\n\r\n")


async def test_a_client_that_expects_it_is_told_to_continue() -> None:
    async with listening(echo) as listener:
        peer = Peer(listener)
        head = b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n"
        peer.transport.send(head)
        assert peer.transport.take() == b"HTTP/1.1 100 Continue\r\n\r\n"
        assert (await peer.ask(b"ab")).body == b"POST / ab"


async def test_a_client_that_sent_its_body_anyway_is_not_told_to_continue() -> None:
    async with listening(echo) as listener:
        peer = Peer(listener)
        head = b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n"
        answers = await peer.ask_all(head + b"ab")
        assert [a.status for a in answers] == [200]


async def test_a_request_that_does_not_arrive_in_time_is_refused() -> None:
    async with listening(echo, Bounds(request_timeout=30)) as listener:
        peer = Peer(listener)
        peer.transport.send(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\n\r\n")
        for _ in range(28):
            await asyncio.sleep(1)
            peer.transport.send(b"x")
        assert peer.answers() == []
        await asyncio.sleep(4)
        (answer,) = peer.answers()
        assert answer.status == 408
        assert peer.transport.eof_written
        await asyncio.sleep(4)
        assert peer.transport.aborted


async def test_a_client_that_says_nothing_is_closed() -> None:
    async with listening(echo, Bounds(request_timeout=30)) as listener:
        peer = Peer(listener)
        await asyncio.sleep(32)
        assert peer.transport.take() == b""
        assert peer.transport.eof_written
        assert listener.stats().connections == 1
        await asyncio.sleep(4)
        assert peer.transport.aborted
        assert listener.stats().connections == 0


async def test_an_idle_connection_is_closed_after_its_time() -> None:
    async with listening(echo, Bounds(idle_timeout=120)) as listener:
        peer = Peer(listener)
        await peer.ask(request())
        await asyncio.sleep(110)
        assert (await peer.ask(request())).status == 200
        await asyncio.sleep(118)
        assert not peer.transport.eof_written
        await asyncio.sleep(4)
        assert peer.transport.eof_written


async def test_a_long_exchange_is_not_idle() -> None:
    app = Held()
    async with listening(app, Bounds(idle_timeout=10, request_timeout=10)) as listener:
        peer = Peer(listener)
        peer.transport.send(request())
        await asyncio.sleep(3600)
        app.gate.set()
        await settle()
        assert [a.status for a in peer.answers()] == [200]


async def test_a_client_that_reads_nothing_is_cut_off() -> None:
    app = Held()
    async with listening(app, Bounds(request_timeout=30)) as listener:
        peer = Peer(listener)
        peer.transport.send(request())
        await settle()
        peer.transport.stall()
        await asyncio.sleep(20)
        peer.transport.flow()
        peer.transport.stall()
        await asyncio.sleep(20)
        assert not peer.transport.aborted
        await asyncio.sleep(15)
        assert peer.transport.aborted
        assert app.cancelled == 1


async def test_a_client_that_reads_slowly_is_waited_for() -> None:
    async with listening(echo, Bounds(request_timeout=30)) as listener:
        peer = Peer(listener)
        await peer.ask(request())
        peer.transport.stall()
        for _ in range(100):
            await asyncio.sleep(5)
            peer.transport.unsent -= 10
        assert not peer.transport.closed
        await asyncio.sleep(33)
        assert peer.transport.aborted


async def test_a_last_answer_is_not_cut_off_while_the_client_reads_it() -> None:
    async with listening(echo, Bounds(request_timeout=30)) as listener:
        peer = Peer(listener)
        peer.transport.send(request("GET", "/", headers={"connection": "close"}))
        peer.transport.stall()
        await settle()
        assert peer.transport.eof_written
        for _ in range(5):
            await asyncio.sleep(20)
            peer.transport.unsent -= 10
        assert not peer.transport.aborted
        peer.transport.flow()
        await asyncio.sleep(1)
        assert not peer.transport.aborted
        await asyncio.sleep(3)
        assert peer.transport.aborted


async def test_a_last_answer_that_lies_in_the_kernel_is_given_longer() -> None:
    async with listening(echo, Bounds(request_timeout=30)) as listener:
        peer, stuck = Peer(listener), Peer(listener)
        with peer.transport.leave_in_kernel() as client, stuck.transport.leave_in_kernel():
            closing = request("GET", "/", headers={"connection": "close"})
            await peer.ask(closing)
            await stuck.ask(closing)
            await asyncio.sleep(20)
            assert not peer.transport.aborted
            client.recv(1)
            await asyncio.sleep(4)
            assert peer.transport.aborted
            assert not stuck.transport.aborted
            await asyncio.sleep(10)
            assert stuck.transport.aborted


async def test_a_client_that_goes_while_it_is_not_read_is_noticed() -> None:
    app = Held()
    async with listening(app) as listener:
        peer = Peer(listener)
        peer.transport.send(request() * (PIPELINE_PAUSE + 1))
        await asyncio.sleep(5)
        assert not peer.transport.reading
        assert app.cancelled == 0
        peer.transport.hang_up()
        await asyncio.sleep(2)
        assert peer.transport.aborted
        assert app.cancelled == 1


async def test_a_client_that_goes_cancels_what_listens_for_it() -> None:
    app = Held()
    async with listening(app) as listener:
        peer = Peer(listener)
        peer.transport.send(request())
        await settle()
        assert listener.stats().exchanges == 1
        peer.transport.vanish()
        await settle()
        assert app.cancelled == 1
        assert listener.stats().exchanges == 0
        assert listener.stats().connections == 0


async def test_a_client_that_went_before_its_request_began_cancels_it_too() -> None:
    app = Held()
    async with listening(app) as listener:
        peer = Peer(listener)
        peer.transport.send(request())
        peer.transport.vanish()
        await settle()
        assert app.cancelled == 1
        assert listener.stats().exchanges == 0


async def test_an_exchange_that_does_not_listen_runs_to_its_end() -> None:
    ended = []

    async def app(_request: HTTPRequest, responder: Responder) -> None:
        await asyncio.sleep(5)
        responder.respond(200, TEXT, b"for nobody")
        ended.append(responder.disconnected)

    async with listening(app) as listener:
        peer = Peer(listener)
        peer.transport.send(request())
        await settle()
        peer.transport.vanish()
        await asyncio.sleep(6)
        assert ended == [True]
        assert listener.stats().exchanges == 0


async def test_waiting_requests_of_a_client_that_went_are_dropped() -> None:
    app = Held()
    async with listening(app) as listener:
        peer = Peer(listener)
        peer.transport.send(request("GET", "/1") + request("GET", "/2"))
        await settle()
        peer.transport.vanish()
        await settle()
        assert app.paths == ["/1"]


async def test_a_bug_in_an_application_is_a_500_without_details(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def broken(_request: HTTPRequest, _responder: Responder) -> None:
        raise RuntimeError("the secret is 42")

    async with listening(broken) as listener:
        with caplog.at_level(logging.ERROR):
            answer = await Peer(listener).ask(request())
        assert answer.status == 500
        assert b"42" not in answer.body
        assert "application failed" in caplog.text


async def test_a_stream_that_breaks_does_not_look_whole(caplog: pytest.LogCaptureFixture) -> None:
    async def broken(_request: HTTPRequest, responder: Responder) -> None:
        responder.start(200, TEXT)
        responder.write(b"half")
        raise RuntimeError("broken")

    async with listening(broken) as listener:
        peer = Peer(listener)
        with caplog.at_level(logging.CRITICAL):
            answer = await peer.ask(request())
        assert answer.body == b"half"
        assert not answer.whole
        assert peer.transport.aborted


async def test_an_application_that_answers_nothing_ends_the_connection() -> None:
    async def silent(_request: HTTPRequest, _responder: Responder) -> None:
        return

    async with listening(silent) as listener:
        peer = Peer(listener)
        peer.transport.send(request())
        await settle()
        assert peer.transport.aborted


async def test_without_half_close_a_last_answer_closes() -> None:
    async with listening(echo) as listener:
        peer = Peer(listener, half_close=False)
        answer = await peer.ask(request("GET", "/", headers={"connection": "close"}))
        assert answer.status == 200
        assert peer.transport.closed


async def test_what_comes_after_a_refusal_is_dropped() -> None:
    async with listening(echo, Bounds(max_body=10)) as listener:
        peer = Peer(listener)
        answer = await peer.ask(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 11\r\n\r\n")
        assert answer.status == 413
        assert await peer.ask_all(b"x" * 1000 + request()) == []


async def test_an_upgrade_hands_the_connection_and_its_bytes_over() -> None:
    class Other(asyncio.Protocol):
        def __init__(self) -> None:
            self.transport: asyncio.BaseTransport | None = None
            self.received = b""

        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            self.transport = transport

        def data_received(self, data: bytes) -> None:
            self.received += data

    other = Other()
    gate = asyncio.Event()

    async def app(request: HTTPRequest, responder: Responder) -> None:
        assert request.websocket
        await gate.wait()
        responder.upgrade(b"HTTP/1.1 101 Switching Protocols\r\n\r\n", other)

    async with listening(app) as listener:
        peer = Peer(listener)
        upgrade = {"connection": "upgrade", "upgrade": "websocket"}
        peer.transport.send(request("GET", "/", headers=upgrade) + b"first ")
        peer.transport.send(b"second")
        assert not peer.transport.reading
        gate.set()
        await settle()
        assert peer.transport.written.startswith(b"HTTP/1.1 101")
        assert other.transport is peer.transport
        assert other.received == b"first second"
        assert listener.stats().connections == 0


async def test_a_refused_upgrade_is_an_ordinary_answer() -> None:
    async def app(_request: HTTPRequest, responder: Responder) -> None:
        responder.respond(401, TEXT, b"no")

    async with listening(app) as listener:
        peer = Peer(listener)
        upgrade = {"connection": "upgrade", "upgrade": "websocket"}
        answer = await peer.ask(request("GET", "/", headers=upgrade) + b"frames")
        assert (answer.status, answer.headers["connection"]) == (401, "close")
        assert peer.transport.eof_written
