"""Pods that misbehave: each is told apart and none disturbs the others."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from tests.integration.control.pods import Operator, Pods, body, operator
from tests.support.eventually import eventually
from tests.support.process import Child
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from mcp_gateway.api.control import SUBPROTOCOL, Hello
from mcp_gateway_operator.facts import Document, Pod

pytestmark = pytest.mark.integration

Behaviour = Callable[[ServerConnection], Awaitable[None]]
Answer = Callable[[ServerConnection, Request], Response]
BAD = Pod("web-bad", "uid-bad", "127.0.0.1", ready=True)
HELLO = Hello(pod=BAD.name, version="0", generation=1).encode()


async def garbage(connection: ServerConnection) -> None:
    for text in (HELLO, "{", "[]", '{"type":"ack"}', '{"type":"report","requests":-1}') * 4:
        await connection.send(text)
    await connection.wait_closed()


async def bytes_of_nothing(connection: ServerConnection) -> None:
    await connection.send(b"\xff\x00" * 100)
    await connection.wait_closed()


async def giant(connection: ServerConnection) -> None:
    await connection.send(HELLO)
    await connection.send("x" * (1 << 20))
    await connection.wait_closed()


async def another_pod(connection: ServerConnection) -> None:
    await connection.send(Hello(pod="web-other").encode())
    await connection.wait_closed()


async def leaves(connection: ServerConnection) -> None:
    await connection.send(HELLO)


@contextlib.asynccontextmanager
async def bad_pod(
    pods: Pods, behave: Behaviour, answer: Answer | None = None
) -> AsyncIterator[None]:
    """A pod with the right certificate and the wrong manners, on its own address."""

    async def handle(connection: ServerConnection) -> None:
        with contextlib.suppress(ConnectionClosed):
            await behave(connection)

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pods.control / "tls.crt", pods.control / "tls.key")
    async with serve(
        handle,
        BAD.ip,
        pods.port,
        ssl=context,
        process_request=answer,
        subprotocols=[SUBPROTOCOL],  # type: ignore[list-item]
        ping_interval=None,
        close_timeout=0.5,
    ):
        yield


async def disturbed(pods: Pods, leader: Operator, complaint: str) -> None:
    """Push past the bad pod, and wait for what the fleet says of it."""
    good = pods.running["web-1"].pod
    for generation in (2, 3):
        target = pods.target(Document(generation, body()), pods=(good, BAD))
        leader.assign(target)
        await eventually(lambda g=generation: leader.view.pods[good.name].generation == g)  # type: ignore[misc]
    await eventually(lambda: complaint in leader.view.pods[BAD.name].problem)
    leader.assign(pods.target(Document(4, body()), pods=(good, BAD)))
    await eventually(lambda: leader.view.pods[good.name].generation == 4)


@pytest.mark.parametrize(
    ("behave", "complaint"),
    [
        (garbage, "the pod sends garbage"),
        (bytes_of_nothing, "the pod sends garbage"),
        (giant, "we closed the channel"),
        (another_pod, "the address now belongs to pod web-other"),
        (leaves, "the pod closed the channel"),
    ],
)
async def test_a_pod_that_misbehaves_is_named_and_the_others_go_on(
    behave: Behaviour, complaint: str, pods: Pods
) -> None:
    await pods.start(1, body(generation=1))
    async with bad_pod(pods, behave), operator(pods) as leader:
        await disturbed(pods, leader, complaint)


async def test_a_pod_that_floods_is_named_and_slows_nobody_down(pods: Pods) -> None:
    await pods.start(1, body(generation=1))
    arguments = [str(pods.control), BAD.ip, str(pods.port), BAD.name]
    with Child.module("tests.integration.control.flooding_pod", *arguments) as flooding:
        await asyncio.to_thread(flooding.wait_for_line, lambda line: line == "ready\n")
        async with operator(pods) as leader:
            await disturbed(pods, leader, "the pod floods the channel")


async def test_a_port_that_accepts_and_says_nothing_is_given_up(
    pods: Pods, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mcp_gateway_operator.fleet.wire.CONNECT", 0.5)
    await pods.start(1, body(generation=1))

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            await reader.read()
        writer.close()

    server = await asyncio.start_server(silent, BAD.ip, pods.port)
    async with operator(pods) as leader:
        await disturbed(pods, leader, "the control port did not answer within")
    server.close()


async def test_a_port_that_nobody_listens_on_is_named(pods: Pods) -> None:
    await pods.start(1, body(generation=1))
    async with operator(pods) as leader:
        await disturbed(pods, leader, "the control port cannot be reached")


async def test_a_pod_that_sends_us_elsewhere_is_not_followed(pods: Pods) -> None:
    await pods.start(1, body(generation=1))

    def elsewhere(connection: ServerConnection, _: Request) -> Response:
        answer = connection.respond(302, "")
        answer.headers["Location"] = "wss://elsewhere.test/"
        return answer

    async with bad_pod(pods, leaves, elsewhere), operator(pods) as leader:
        await disturbed(pods, leader, "the control port answered with HTTP 302")


async def test_a_port_without_tls_is_named(pods: Pods) -> None:
    await pods.start(1, body(generation=1))

    async def plain(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(plain, BAD.ip, pods.port)
    async with operator(pods) as leader:
        await disturbed(pods, leader, "TLS with the control port failed")
    server.close()
