"""The way back: one response to one request.

Either `respond` once, or `start`, any number of `write`, and `finish`. A whole response is one
write to the transport. When the client has gone, everything is silently a no-op.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

from mcp_gateway.server.flow import Flow
from mcp_gateway.server.message import STATUS_LINES


class ResponderConnection(Protocol):
    """What a responder needs of the connection it writes to."""

    transport: asyncio.Transport | None
    flow: Flow

    @property
    def common(self) -> bytes:
        """Header lines of every response of this moment (`date`)."""

    def responded(self, *, keep_alive: bool) -> None:
        """Be told that the response is complete."""

    def switch(self, protocol: asyncio.Protocol) -> None:
        """Hand the transport to another protocol."""


class Responder:
    """Writes one response. Belongs to the task of its exchange.

    Attributes:
        extra: header lines added to this response whatever the application says (CORS).
        heartbeat: called about once a second with the coarse time while the exchange runs;
            how a quiet stream keeps its proxies awake without a timer of its own.
    """

    __slots__ = (
        "_chunked",
        "_connection",
        "_head",
        "_http_1_0",
        "_keep_alive",
        "_on_disconnect",
        "_without_body",
        "extra",
        "finished",
        "heartbeat",
        "started",
    )

    def __init__(
        self,
        connection: ResponderConnection,
        *,
        keep_alive: bool = True,
        head: bool = False,
        http_1_0: bool = False,
    ) -> None:
        self._connection = connection
        self._keep_alive = keep_alive
        self._without_body = head
        self._http_1_0 = http_1_0
        self._chunked = False
        self._head = b""
        self._on_disconnect: Callable[[], object] | None = None
        self.extra = b""
        self.heartbeat: Callable[[float], None] | None = None
        self.started = False
        self.finished = False

    @property
    def disconnected(self) -> bool:
        """The client has gone; nothing that is written arrives."""
        return self._connection.transport is None

    @property
    def congested(self) -> bool:
        """The client reads slower than this response is written."""
        return self._connection.flow.congested

    async def drained(self) -> None:
        """Return when `congested` has become false, or the client has gone."""
        await self._connection.flow.drained()

    def on_disconnect(self, callback: Callable[[], object]) -> None:
        """Have `callback` called if the client goes before the response is complete.

        Called at once if the client has gone already. A request without a callback runs to its
        end for nobody.
        """
        self._on_disconnect = callback
        if self._connection.transport is None:
            callback()

    def disconnect(self) -> None:
        """Be told by the connection that the client has gone."""
        if self._on_disconnect is not None and not self.finished:
            self._on_disconnect()

    def close_after(self) -> None:
        """Let this be the last response of its connection."""
        self._keep_alive = False

    def processing(self) -> None:
        """Say that the work has begun (RFC 2518 §10.1); nothing once the response has started."""
        transport = self._connection.transport
        if transport is not None and not (self.started or self._http_1_0):
            transport.write(b"HTTP/1.1 102 Processing\r\n\r\n")

    def respond(self, status: int, headers: bytes, body: bytes = b"") -> None:
        """Send a whole response in one write; `content-length` is added."""
        assert not self.started, "a response is sent once"
        self.started = True
        self._end()
        connection = self._connection
        transport = connection.transport
        if transport is not None:
            parts = [STATUS_LINES[status], headers, self.extra, connection.common]
            if not self._keep_alive:
                parts.append(b"connection: close\r\n")
            elif self._http_1_0:
                parts.append(b"connection: keep-alive\r\n")
            # RFC 9110 §8.6: no Content-Length in a response without content by definition.
            parts.append(b"\r\n" if status == 204 else b"content-length: %d\r\n\r\n" % len(body))
            if not self._without_body:
                parts.append(body)
            transport.write(b"".join(parts))
        connection.responded(keep_alive=self._keep_alive)

    def start(self, status: int, headers: bytes) -> None:
        """Begin a streamed response; its head leaves with the first `write` or `finish`."""
        assert not self.started, "a response is started once"
        self.started = True
        # HTTP/1.0 knows no chunks: the end of the connection ends the body.
        self._chunked = not self._http_1_0
        if self._http_1_0:
            self._keep_alive = False
        parts = [STATUS_LINES[status], headers, self.extra, self._connection.common]
        if not self._keep_alive:
            parts.append(b"connection: close\r\n")
        parts.append(b"transfer-encoding: chunked\r\n\r\n" if self._chunked else b"\r\n")
        self._head = b"".join(parts)

    def write(self, chunk: bytes) -> None:
        """Send a piece of the body. Never blocks; look at `congested`."""
        assert self.started, "write comes after start"
        assert not self.finished, "write comes before finish"
        if chunk and not self._without_body:
            self._send(b"%x\r\n%b\r\n" % (len(chunk), chunk) if self._chunked else chunk)

    def finish(self) -> None:
        """End a streamed response."""
        assert self.started, "finish comes after start"
        assert not self.finished, "a response is finished once"
        self._end()
        self._send(b"0\r\n\r\n" if self._chunked and not self._without_body else b"")
        self._connection.responded(keep_alive=self._keep_alive)

    def upgrade(self, head: bytes, protocol: asyncio.Protocol) -> None:
        """Answer with `head` (status line and fields, whole) and leave the connection."""
        assert not self.started, "an upgrade is the whole response"
        self.started = True
        self._end()
        transport = self._connection.transport
        if transport is not None:
            transport.write(head)
        self._connection.switch(protocol)

    def _end(self) -> None:
        """Take no more from the application, and forget what it left here.

        Both callbacks lead back to this responder. Kept, they would leave each request's task
        to the garbage collector, which costs more than the rest of a response.
        """
        self.finished = True
        self.heartbeat = self._on_disconnect = None

    def _send(self, piece: bytes) -> None:
        transport = self._connection.transport
        if transport is not None and (self._head or piece):
            transport.write(self._head + piece)
        self._head = b""
