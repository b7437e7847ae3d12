from __future__ import annotations

import asyncio

import pytest
from tests.unit.simulator.line import chat, client, replies, request

from mcp_gateway.simulator import http
from mcp_gateway.simulator.connection import MAX_HEADER, MAX_PIPELINED, Connection, Request


class Echo:
    """A service that answers with what it was asked, at once or when told."""

    def __init__(self, *, later: bool = False) -> None:
        self.later = later
        self.requests: list[Request] = []
        self.here: set[Connection] = set()

    def connected(self, connection: Connection) -> None:
        self.here.add(connection)

    def disconnected(self, connection: Connection) -> None:
        self.here.discard(connection)

    def handle(self, request: Request, connection: Connection) -> None:
        self.requests.append(request)
        if not self.later:
            connection.respond(http.response(200, request.body))


async def test_a_request_is_read_whole() -> None:
    service = Echo()
    connection, transport = client(service)
    data = request(b"hello", path="/v1/x?y=1")
    for index in range(len(data)):
        connection.data_received(data[index : index + 1])
    [asked] = service.requests
    assert (asked.method, asked.path, asked.body) == (b"POST", b"/v1/x", b"hello")
    assert asked.authorization == b"Bearer sk-1"
    assert replies(transport.written)[0].body == b"hello"
    assert not transport.closed


async def test_requests_on_one_connection_are_answered_in_order() -> None:
    service = Echo(later=True)
    connection, transport = client(service)
    connection.data_received(request(b"1") + request(b"2"))
    assert [asked.body for asked in service.requests] == [b"1"]
    connection.respond(http.response(200, b"a"))
    assert [asked.body for asked in service.requests] == [b"1", b"2"]
    connection.respond(http.response(200, b"b"))
    assert [reply.body for reply in replies(transport.written)] == [b"a", b"b"]


async def test_a_flood_of_pipelined_requests_stops_the_reading() -> None:
    service = Echo(later=True)
    connection, transport = client(service)
    connection.data_received(request(b"x") * (MAX_PIPELINED + 1))
    assert not transport.reading
    connection.respond(http.response(200, b""))
    assert transport.reading


async def test_an_answer_may_come_later_and_finds_nobody() -> None:
    service = Echo(later=True)
    connection, transport = client(service)
    connection.data_received(request(b"1"))
    connection.respond_after(1.0, http.response(200, b"a"))
    transport.close()
    await asyncio.sleep(2.0)
    assert transport.written == b""
    assert not service.here


async def test_a_body_that_waits_to_be_asked_for_is_asked_for() -> None:
    connection, transport = client(Echo())
    connection.data_received(request(b"x", headers="expect: 100-continue\r\n"))
    assert transport.written.startswith(b"HTTP/1.1 100 Continue\r\n\r\n")


@pytest.mark.parametrize(
    "data",
    [request(b"x", headers="connection: close\r\n"), request(b"x", version="1.0")],
)
async def test_a_connection_that_is_not_kept_alive_is_closed_after_the_answer(data: bytes) -> None:
    connection, transport = client(Echo())
    connection.data_received(data)
    assert replies(transport.written)[0].body == b"x"
    assert transport.closed


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"\x16\x03\x01\x00", 400),
        (b"GET\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nhost: x\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n", 200),
        (b"GET /" + b"a" * (MAX_HEADER + 1) + b" HTTP/1.1\r\n\r\n", 413),
        (b"GET / HTTP/1.1\r\nx: " + b"a" * (MAX_HEADER + 1) + b"\r\n\r\n", 413),
    ],
)
async def test_what_is_not_a_request_ends_the_connection(data: bytes, status: int) -> None:
    connection, transport = client(Echo())
    connection.data_received(data)
    assert replies(transport.written)[0].status == status
    assert transport.closed


async def test_a_body_over_the_bound_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mcp_gateway.simulator.connection.MAX_BODY", 10)
    connection, transport = client(Echo())
    connection.data_received(request(b"x" * 11))
    assert replies(transport.written)[0].status == 413
    assert transport.closed


async def test_garbage_behind_a_request_under_way_does_not_disturb_its_answer() -> None:
    service = Echo(later=True)
    connection, transport = client(service)
    connection.data_received(request(b"1"))
    connection.data_received(b"\x00\x00\x00")
    assert transport.written == b""
    assert transport.closed


async def test_the_peer_is_known_while_the_connection_lasts() -> None:
    connection, transport = client(Echo(), peer="10.0.0.7")
    assert connection.peer == "10.0.0.7"
    transport.close()
    await asyncio.sleep(0.1)
    assert connection.peer == ""


async def test_a_lost_connection_forgets_what_waits() -> None:
    service = Echo(later=True)
    connection, transport = client(service)
    connection.data_received(request(chat()) * 3)
    transport.close()
    await asyncio.sleep(0.1)
    connection.finished()
    assert len(service.requests) == 1
