"""A WebSocket client without a network: the client side of the `websockets` core."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from tests.support.fake_transport import FakeTransport, settle
from tests.support.http_answer import Answer, read_answers
from tests.support.stand_in_engine import StandInEngine
from websockets.client import ClientProtocol
from websockets.frames import Frame, Opcode
from websockets.http11 import Response
from websockets.typing import Subprotocol
from websockets.uri import parse_uri

from mcp_gateway.server.connection import HTTPConnection
from mcp_gateway.server.listener import HTTPListener
from mcp_gateway.server.mcp import MCPService
from mcp_gateway.server.message import Bounds
from mcp_gateway.server.websocket import WebSocketUpgrade

META = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientCapabilities": {},
}
CHAT = {
    "name": "chat",
    "arguments": {"model": "kimi-k2", "messages": [{"role": "user", "content": "Hi"}]},
}


def call(
    method: str, params: dict[str, Any] | None = None, *, identity: Any = 1, **meta: Any
) -> Any:
    """A request of 2026-07-28 as it is sent in a frame."""
    params = {**(params or {}), "_meta": {**META, **meta}}
    return {"jsonrpc": "2.0", "id": identity, "method": method, "params": params}


class WebSocketPeer:
    """One connection, opened by `open`."""

    def __init__(self, listener: HTTPListener) -> None:
        self.transport = FakeTransport(HTTPConnection(listener))
        self.core = ClientProtocol(parse_uri("ws://localhost/mcp"))

    async def open(
        self, *, subprotocols: tuple[str, ...] = ("mcp",), headers: dict[str, str] | None = None
    ) -> Response | Answer:
        """Ask for the upgrade; the 101 response, or the refusal."""
        self.core = ClientProtocol(
            parse_uri("ws://localhost/mcp"),
            subprotocols=[Subprotocol(name) for name in subprotocols] or None,
            max_size=None,
        )
        asked = self.core.connect()
        asked.headers.update(headers or {})
        self.core.send_request(asked)
        self._send()
        await settle()
        if not self.transport.written.startswith(b"HTTP/1.1 101"):
            return read_answers(self.transport.take())[-1]
        self.core.receive_data(self.transport.take())
        response, *_ = self.core.events_received()
        assert isinstance(response, Response)
        assert self.core.handshake_exc is None
        return response

    async def say(self, *messages: Any) -> list[Any]:
        """Send each as a text frame and return what comes back without waiting."""
        for message in messages:
            text = message if isinstance(message, bytes) else json.dumps(message).encode()
            self.core.send_text(text)
        self._send()
        await settle()
        return self.heard()

    async def frame(self, opcode: Opcode, data: bytes = b"", *, fin: bool = True) -> list[Any]:
        """Send one frame of any kind."""
        self.core.send_frame(Frame(opcode, data, fin))
        self._send()
        await settle()
        return self.heard()

    def heard(self) -> list[Any]:
        """Messages that came; control frames as the frames they are."""
        if self.transport.written:
            self.core.receive_data(self.transport.take())
        found = []
        for event in self.core.events_received():
            assert isinstance(event, Frame)
            found.append(json.loads(bytes(event.data)) if event.opcode is Opcode.TEXT else event)
        return found

    @property
    def close_code(self) -> int | None:
        """The code the server closed with, after what came was read."""
        self.heard()
        received = self.core.close_rcvd
        return None if received is None else received.code

    def _send(self) -> None:
        self.transport.send(b"".join(self.core.data_to_send()))


@asynccontextmanager
async def serving(
    engine: StandInEngine, bounds: Bounds | None = None
) -> AsyncIterator[HTTPListener]:
    """A listener that takes WebSockets only."""
    service = MCPService(engine)
    listener = HTTPListener(WebSocketUpgrade(service, lambda: listener), bounds or Bounds())
    try:
        yield listener
    finally:
        await listener.aclose()


@asynccontextmanager
async def connected(
    engine: StandInEngine, bounds: Bounds | None = None
) -> AsyncIterator[WebSocketPeer]:
    """An open connection."""
    async with serving(engine, bounds) as listener:
        peer = WebSocketPeer(listener)
        assert isinstance(await peer.open(), Response)
        yield peer
