"""A client of one listener, without a network, and requests as clients send them."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from tests.support.fake_transport import FakeTransport, settle
from tests.support.http_answer import Answer, read_answers

from mcp_gateway.server.connection import HTTPConnection
from mcp_gateway.server.listener import HTTPListener
from mcp_gateway.server.message import App, Bounds

JSON_HEADERS = {"content-type": "application/json", "accept": "application/json, text/event-stream"}


def request(
    method: str = "GET", path: str = "/", body: bytes = b"", headers: dict[str, str] | None = None
) -> bytes:
    """The bytes of a request; Host and Content-Length are added."""
    fields = {"host": "localhost", **(headers or {})}
    if body:
        fields["content-length"] = str(len(body))
    lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    return f"{method} {path} HTTP/1.1\r\n{lines}\r\n".encode() + body


def post(path: str, message: Any, headers: dict[str, str] | None = None) -> bytes:
    """A POST of JSON; bytes are sent as they are."""
    body = message if isinstance(message, bytes) else json.dumps(message).encode()
    return request("POST", path, body, JSON_HEADERS | (headers or {}))


class Peer:
    """One connection to `listener`."""

    def __init__(
        self, listener: HTTPListener, *, peer: str = "127.0.0.1", half_close: bool = True
    ) -> None:
        self.connection = HTTPConnection(listener)
        self.transport = FakeTransport(self.connection, peer=peer, half_close=half_close)

    async def ask(self, data: bytes) -> Answer:
        """Send one request and return its answer, as far as it came without waiting."""
        return (await self.ask_all(data))[-1]

    async def ask_all(self, data: bytes) -> list[Answer]:
        """Send and return all answers."""
        self.transport.send(data)
        await settle()
        return self.answers()

    def answers(self) -> list[Answer]:
        """The answers that were written since the last look."""
        return read_answers(self.transport.take())


@asynccontextmanager
async def listening(app: App, bounds: Bounds | None = None) -> AsyncIterator[HTTPListener]:
    """A listener without a socket, closed at the end."""
    listener = HTTPListener(app, bounds or Bounds())
    try:
        yield listener
    finally:
        await listener.aclose()
