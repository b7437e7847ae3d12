"""One client's connection to the simulator: bytes to requests, one answered after the other.

Pipelined requests wait in order; while some wait, nothing more is read.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections import deque
from typing import Protocol, cast

import httptools

from mcp_gateway.simulator import http
from mcp_gateway.simulator.turn import Turn

MAX_BODY = 32 * 1024 * 1024
MAX_HEADER = 64 * 1024
MAX_PIPELINED = 16

# SO_LINGER on with a time of zero makes a close send RST.
_NO_LINGER = struct.pack("ii", 1, 0)


class _TooLarge(Exception):
    """A bound was passed; raised through the parser, which reports a failed callback."""


class Request:
    """One request as it arrived. `path` is without its query."""

    __slots__ = ("authorization", "body", "chunked", "keep_alive", "method", "path")

    def __init__(
        self,
        method: bytes,
        path: bytes,
        authorization: bytes,
        body: bytes,
        *,
        keep_alive: bool,
        chunked: bool,
    ) -> None:
        self.method = method
        self.path = path
        self.authorization = authorization
        self.body = body
        self.keep_alive = keep_alive
        self.chunked = chunked


class Service(Protocol):
    """Who answers."""

    def connected(self, connection: Connection) -> None:
        """A connection came about."""

    def disconnected(self, connection: Connection) -> None:
        """A connection is gone."""

    def handle(self, request: Request, connection: Connection) -> None:
        """Answer a request, now by `respond` or later by a `Turn`."""


class Connection(asyncio.Protocol):
    """See the module's docstring. A `turn.Line`."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._parser = httptools.HttpRequestParser(self)
        self._transport: asyncio.Transport | None = None
        self._waiting: deque[Request] = deque()
        self._turn: Turn | None = None
        self._busy = False
        self._keep_alive = True
        self._header_size = 0
        self._target = b""
        self._authorization = b""
        self._expects_continue = False
        self._body: list[bytes] = []
        self._body_size = 0
        self.congested = False
        self.chunked = True

    @property
    def peer(self) -> str:
        """The client's address."""
        name = self._transport.get_extra_info("peername") if self._transport else None
        return str(name[0]) if name else ""

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take a new connection."""
        # uvloop's transports are none of asyncio's classes: no isinstance.
        self._transport = cast(asyncio.Transport, transport)
        self._service.connected(self)

    def data_received(self, data: bytes) -> None:
        """Parse what came; requests are handled as they become whole."""
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._reject(400, b"no upgrade is spoken here")
        except httptools.HttpParserCallbackError:
            self._reject(413, b"too large")
        except httptools.HttpParserError:
            self._reject(400, b"not HTTP")

    def connection_lost(self, exc: Exception | None) -> None:
        """Give everything back."""
        self._transport = None
        turn, self._turn = self._turn, None
        if turn is not None:
            turn.lost()
        self._waiting.clear()
        self._service.disconnected(self)

    def pause_writing(self) -> None:
        """The client reads too slowly."""
        self.congested = True

    def resume_writing(self) -> None:
        """The client has caught up."""
        self.congested = False
        if self._turn is not None:
            self._turn.resume()

    # httptools callbacks

    def on_message_begin(self) -> None:
        """Forget the request before."""
        self._target = self._authorization = b""
        self._expects_continue = False
        self._body = []
        self._body_size = self._header_size = 0

    def on_url(self, url: bytes) -> None:
        """Take a piece of the target."""
        self._target += url
        self._count_header(len(url))

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep the two headers that matter."""
        self._count_header(len(name) + len(value))
        size = len(name)
        if size == 13 and name.lower() == b"authorization":
            self._authorization = value
        elif size == 6 and name.lower() == b"expect":
            self._expects_continue = value.lower() == b"100-continue"

    def on_headers_complete(self) -> None:
        """Ask for the body of a client that waits to be asked: RFC 9110 §10.1.1."""
        if self._expects_continue and not self._busy:
            self.write(http.CONTINUE)

    def on_body(self, body: bytes) -> None:
        """Take a piece of the body."""
        self._body_size += len(body)
        if self._body_size > MAX_BODY:
            raise _TooLarge
        self._body.append(body)

    def on_message_complete(self) -> None:
        """Handle the request, or let it wait for the one under way."""
        parser = self._parser
        body = self._body
        request = Request(
            parser.get_method(),
            self._target.partition(b"?")[0],
            self._authorization,
            body[0] if len(body) == 1 else b"".join(body),
            keep_alive=parser.should_keep_alive(),
            chunked=parser.get_http_version() != "1.0",
        )
        if not self._busy:
            self._handle(request)
            return
        self._waiting.append(request)
        if len(self._waiting) >= MAX_PIPELINED and self._transport is not None:
            self._transport.pause_reading()

    # what answers use

    def start(self, turn: Turn, *, stream: bool) -> None:
        """Answer the present request with a turn."""
        self._turn = turn
        turn.begin(stream=stream)

    def respond(self, data: bytes) -> None:
        """Answer the present request with these bytes."""
        self.write(data)
        self.finished()

    def respond_after(self, delay: float, data: bytes) -> None:
        """Answer the present request with these bytes, `delay` seconds from now."""
        if delay <= 0.0:
            self.respond(data)
        else:
            # Where the connection is gone by then, `write` and `finished` find nothing to do.
            asyncio.get_running_loop().call_later(delay, self.respond, data)

    def write(self, data: bytes) -> None:
        """See `turn.Line`."""
        if self._transport is not None:
            self._transport.write(data)

    def finished(self) -> None:
        """See `turn.Line`: go on with the next request."""
        self._turn = None
        self._busy = False
        if not self._keep_alive:
            self.close()
        elif self._waiting and self._transport is not None:
            self._transport.resume_reading()
            self._handle(self._waiting.popleft())

    def reset(self) -> None:
        """See `turn.Line`."""
        transport = self._transport
        if transport is None:
            return
        sock = transport.get_extra_info("socket")
        if sock is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
        transport.abort()

    def abort(self) -> None:
        """Drop the connection."""
        if self._transport is not None:
            self._transport.abort()

    def close(self) -> None:
        """See `turn.Line`."""
        if self._transport is not None:
            self._transport.close()

    def _handle(self, request: Request) -> None:
        self._busy = True
        self._keep_alive = request.keep_alive
        self.chunked = request.chunked
        self._service.handle(request, self)

    def _count_header(self, size: int) -> None:
        self._header_size += size
        if self._header_size > MAX_HEADER:
            raise _TooLarge

    def _reject(self, status: int, reason: bytes) -> None:
        # In the middle of another answer there is no place for this one.
        if not self._busy:
            self.write(http.response(status, b'{"error":{"message":"%b"}}' % reason))
        self.close()
