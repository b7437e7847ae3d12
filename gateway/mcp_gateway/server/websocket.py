"""MCP over WebSocket: one JSON-RPC message per text frame, many requests at a time.

The framing is the sans-I/O core of `websockets`, fed by the transport that carried the upgrade
request. No extension is offered: permessage-deflate costs tens of kilobytes a connection, and
a compressed frame is a bomb until it is unpacked.

A custom transport in the sense of MCP 2026-07-28 §transports: upgrade on the MCP endpoint,
subprotocol `mcp` where it is offered, text frames only. It closes with the codes of RFC 6455
§7.4: 1003 for binary, 1007 for bad UTF-8, 1009 for too long, 1008 for misuse, 1001 on shutdown.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import cast

from websockets.datastructures import Headers as HandshakeHeaders
from websockets.frames import OP_BINARY, OP_CONT, OP_TEXT, Frame
from websockets.http11 import Request
from websockets.protocol import OPEN
from websockets.server import ServerProtocol
from websockets.typing import Subprotocol

from mcp_gateway.errors import GatewayError, Overloaded
from mcp_gateway.protocol.headers import Headers
from mcp_gateway.proxy.exchange import Face
from mcp_gateway.server.conversation import Conversation
from mcp_gateway.server.flow import Flow
from mcp_gateway.server.intake import answer_head, begin_http, error_head
from mcp_gateway.server.listener import HTTPListener
from mcp_gateway.server.mcp import MCPService
from mcp_gateway.server.message import HTTPRequest, error_body
from mcp_gateway.server.responder import Responder

SUBPROTOCOL = Subprotocol("mcp")
AUTH_PREFIX = "mcp.auth."
PING_AFTER = 20.0
"""Seconds of silence after which the client is pinged; common proxies cut at 60."""
PONG_WITHIN = 20.0
LINGER = 2.0
"""Seconds the closing handshake may take."""
LAST_CALL = 0.25
"""Seconds between the last answer and the close on shutdown. Nothing can be answered after a close
(RFC 6455 §5.5.1), so a request that crosses it would have an unknown fate; one that comes in this
time is told that it was not carried out."""
SLICE = 16 << 10
"""Bytes fed to the core at a time: it reads all it is given, so this bounds how many frames a
flood gets looked at before it is noticed."""
MAX_CONTROL = 100
"""Control frames between two looks of the coarse timer."""
MAX_FRAGMENTS = 1024


class WebSocketConnection(asyncio.Protocol):
    """One open WebSocket, its session, and its requests in work."""

    __slots__ = (
        "_begun",
        "_control",
        "_conversation",
        "_core",
        "_cut_at",
        "_fragment_count",
        "_fragments",
        "_heard",
        "_leaving",
        "_listener",
        "_pinged",
        "_transport",
        "flow",
    )

    def __init__(
        self,
        listener: HTTPListener,
        service: MCPService,
        *,
        credential: str,
        peer: str,
        timeout: float | None = None,
    ) -> None:
        """Prepare a connection whose upgrade has just been accepted; see `Conversation`."""
        self._listener = listener
        self._core = ServerProtocol(state=OPEN, max_size=listener.bounds.max_frame)
        self._conversation = Conversation(
            listener,
            service,
            self,
            on_idle=self._idle,
            credential=credential,
            peer=peer,
            timeout=timeout,
        )
        self._transport: asyncio.Transport | None = None
        self.flow = Flow()
        self._fragments: bytearray | None = None
        self._fragment_count = 0
        self._begun: float | None = None  # when the message being received began
        self._control = 0
        self._heard = listener.now
        self._pinged = False
        self._cut_at: float | None = None
        self._leaving: asyncio.TimerHandle | None = None

    # The transport's side.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take over the transport."""
        # uvloop's transports have the methods and are none of asyncio's classes.
        self._transport = cast("asyncio.Transport", transport)
        self._listener.adopt(self)
        self._listener.websockets += 1
        if self._listener.draining:
            self.drain()

    def data_received(self, data: bytes) -> None:
        """Read frames and act on them."""
        self._heard = self._listener.now
        self._pinged = False
        if len(data) <= SLICE:
            self._receive(data)
            return
        view = memoryview(data)
        for start in range(0, len(data), SLICE):
            if self._core.state is not OPEN:
                return
            self._receive(bytes(view[start : start + SLICE]))

    def eof_received(self) -> None:
        """Let the transport close; a WebSocket has no half-closed state."""
        self._core.receive_eof()
        self._flush()

    def connection_lost(self, exc: Exception | None) -> None:
        """Cancel what is in work: there is nobody to answer."""
        self._transport = None
        if self._leaving is not None:
            self._leaving.cancel()
        self._listener.forget(self)
        self._listener.websockets -= 1
        self.flow.resume()
        self._conversation.cancel()

    def pause_writing(self) -> None:
        """The client is behind: read nothing more from it."""
        self.flow.pause(self._listener.now)
        if self._transport is not None:
            self._transport.pause_reading()

    def resume_writing(self) -> None:
        """The client caught up. It could not be heard meanwhile, so its silence begins now."""
        self.flow.resume()
        self._heard = self._listener.now
        if self._transport is not None:
            self._transport.resume_reading()

    # The listener's side.

    @property
    def busy(self) -> bool:
        """Its requests may come at any time, and none is to be lost."""
        return True

    def tick(self, now: float) -> None:
        """Ping a silent client; cut one that is gone, stuck, or takes too long."""
        transport, bounds = self._transport, self._listener.bounds
        self._control = 0
        if transport is None:
            return
        if self.flow.congested:
            if self.flow.stuck(transport.get_write_buffer_size(), now, bounds.request_timeout):
                transport.abort()
            elif self._cut_at is not None:  # the last answers are on their way
                self._cut_at = now + LINGER
        elif self._cut_at is not None:
            if now >= self._cut_at:
                transport.abort()
        elif self._begun is not None and now - self._begun > bounds.request_timeout:
            self._fail(1008, "the message took too long")
        elif now - self._heard >= PING_AFTER + PONG_WITHIN:
            self._fail(1011, "no answer to a ping")
        elif now - self._heard >= PING_AFTER and not self._pinged:
            self._pinged = True
            self._core.send_ping(b"")
            self._flush()

    def drain(self) -> None:
        """Refuse new requests, and close with 1001 soon after those in work are answered."""
        self._conversation.draining = True
        if self._conversation.idle:
            self._idle()

    def abort(self) -> None:
        """Cut the connection."""
        if self._transport is not None:
            self._transport.abort()

    # The channel of each request.

    def notify(self, message: bytes) -> None:
        """Send one message of its own; silently nothing once the connection is closing."""
        if self._core.state is OPEN and self._transport is not None:
            # Past the core: at most a pong waits in it, which has no place in the order.
            self._transport.write(_text_frame(message))

    @property
    def congested(self) -> bool:
        """The client reads slower than is written."""
        return self.flow.congested

    async def drained(self) -> None:
        """Return when not congested."""
        await self.flow.drained()

    # Inside: frames.

    def _receive(self, data: bytes) -> None:
        core = self._core
        core.receive_data(data)
        events = core.events_received()
        for frame in events:
            if core.state is not OPEN:
                break
            assert isinstance(frame, Frame), "after the handshake there are only frames"
            self._frame(frame)
        if events and self._fragments is None:
            self._begun = None
        elif self._begun is None:
            self._begun = self._listener.now
        self._flush()

    def _frame(self, frame: Frame) -> None:
        opcode = frame.opcode
        if opcode is OP_TEXT:
            if frame.fin:
                self._text(bytes(frame.data))
            else:
                self._fragments = bytearray(frame.data)
                self._fragment_count = 1
        elif opcode is OP_CONT:
            self._continuation(frame)
        elif opcode is OP_BINARY:
            self._fail(1003, "send text frames")
        else:
            self._control += 1
            if self._control > MAX_CONTROL:
                self._fail(1008, "too many control frames")

    def _continuation(self, frame: Frame) -> None:
        assert self._fragments is not None, "the core refuses a continuation of nothing"
        self._fragments += frame.data
        self._fragment_count += 1
        if frame.fin:
            text, self._fragments = bytes(self._fragments), None
            self._text(text)
        elif self._fragment_count >= MAX_FRAGMENTS:
            # An empty fragment has no size to bound, so their number is bounded too.
            self._fail(1008, "too many fragments")

    def _text(self, text: bytes) -> None:
        self._begun = None
        if not text.isascii():
            try:
                text.decode()
            except UnicodeDecodeError:
                self._fail(1007, "a text frame is UTF-8")
                return
        self._conversation.receive(text)
        if self._conversation.flooded:
            self._fail(1008, "too many invalid messages")

    def _flush(self) -> None:
        transport = self._transport
        for piece in self._core.data_to_send():
            if transport is None:
                return
            if piece:
                transport.write(piece)
            elif transport.can_write_eof():
                # The core's mark for the end of our direction.
                transport.write_eof()
            else:
                transport.close()
        if self._core.state is not OPEN and self._cut_at is None:
            self._cut_at = self._listener.now + LINGER

    def _fail(self, code: int, reason: str) -> None:
        self._core.fail(code, reason)
        self._flush()

    def _idle(self) -> None:
        if self._conversation.draining and self._leaving is None:
            self._leaving = self._listener.loop.call_later(LAST_CALL, self._leave)

    def _leave(self) -> None:
        self._leaving = None
        if self._begun is not None or not self._conversation.idle:
            self._idle()  # a message is on its way in, or being answered: it is the last
        elif self._core.state is OPEN:
            self._core.send_close(1001, "shutting down")
            self._flush()


class WebSocketUpgrade:
    """The application that decides upgrades on the MCP endpoint.

    The client is authenticated before the upgrade, because then it can be told in HTTP's words
    what is wrong. Its credential is that of `Authorization`, or for browsers, which cannot set
    that, of an offered subprotocol `mcp.auth.<token>`; never one in the URL.
    """

    def __init__(self, service: MCPService, listener: Callable[[], HTTPListener]) -> None:
        """Prepare.

        Args:
            service: answers the calls of the connections.
            listener: returns the listener that minds them.
        """
        self._service = service
        self._listener = listener
        self._loop = asyncio.get_running_loop()

    async def __call__(self, request: HTTPRequest, responder: Responder) -> None:
        """Accept or refuse one upgrade."""
        engine = self._service.engine
        exchange = begin_http(
            request, engine, self._loop, face=Face.WEBSOCKET, method="websocket/open"
        )
        exchange.credential = exchange.credential or _offered_token(request.headers)
        task = asyncio.current_task()
        assert task is not None, "a listener runs each exchange in a task"
        responder.on_disconnect(task.cancel)
        try:
            await engine.handle(exchange)
            if self._listener().draining:
                raise Overloaded("shutting down: connect again")
        except GatewayError as error:
            body = error_body(str(error), "invalid_request_error", error.reason)
            responder.respond(error.http_status, error_head(exchange, error), body)
            return
        core = ServerProtocol(subprotocols=[SUBPROTOCOL], select_subprotocol=_select)
        response = core.accept(_handshake(request))
        if response.status_code != 101:
            body = error_body(bytes(response.body or b"").decode(), "invalid_request_error")
            head = answer_head(exchange)
            if response.status_code == 426:
                head += b"upgrade: websocket\r\n"
            responder.respond(response.status_code, head, body)
            return
        response.headers["x-request-id"] = exchange.id
        core.send_response(response)
        connection = WebSocketConnection(
            self._listener(),
            self._service,
            credential=exchange.credential,
            peer=request.peer,
            timeout=None if exchange.deadline is None else exchange.deadline - exchange.started,
        )
        responder.upgrade(b"".join(core.data_to_send()), connection)


def _text_frame(payload: bytes) -> bytes:
    """One message as a server sends it: a single frame, unmasked (RFC 6455 §5.2).

    The core takes several times as long, and each piece of a streamed answer is a message.
    """
    size = len(payload)
    if size < 126:
        return b"\x81%c%b" % (size, payload)
    if size < 1 << 16:
        return b"\x81\x7e%b%b" % (size.to_bytes(2, "big"), payload)
    return b"\x81\x7f%b%b" % (size.to_bytes(8, "big"), payload)


def _handshake(request: HTTPRequest) -> Request:
    headers = HandshakeHeaders()
    for name, value in request.headers.items():
        headers[name.decode("latin-1")] = value.decode("latin-1")
    return Request(request.path, headers)


def _select(_core: ServerProtocol, offered: Sequence[Subprotocol]) -> Subprotocol | None:
    # A client that offers nothing gets nothing; one that offers only others finds out itself.
    return SUBPROTOCOL if SUBPROTOCOL in offered else None


def _offered_token(headers: Headers) -> str:
    offered = headers.get(b"sec-websocket-protocol")
    if offered is None:
        return ""
    for item in offered.decode("latin-1").split(","):
        if item.strip().startswith(AUTH_PREFIX):
            return item.strip()[len(AUTH_PREFIX) :]
    return ""
