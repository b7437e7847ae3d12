"""One client connection: requests to the application, one at a time, responses in order.

Deadlines are checked by the listener's one coarse timer (`tick`), so a request costs no timer.
Pipelined requests wait their turn; one that cannot be read is refused after those before it.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from typing import TYPE_CHECKING, cast

from mcp_gateway.server.flow import Flow
from mcp_gateway.server.http import RequestReader
from mcp_gateway.server.message import JSON, HTTPRequest, error_body
from mcp_gateway.server.responder import Responder
from mcp_gateway.upstream.socket_state import hung_up, undelivered

if TYPE_CHECKING:
    from mcp_gateway.server.listener import HTTPListener

LOGGER = logging.getLogger(__name__)

LINGER = 2.0
"""Seconds a last response is given to arrive before the connection is cut."""
PIPELINE_PAUSE = 8
"""Waiting pipelined requests from which on the socket is not read."""


class HTTPConnection(asyncio.Protocol):
    """A client's connection to one listener.

    Attributes:
        transport: None before it is connected, after it is lost, and after an upgrade.
        task: the exchange in work, if any.
        deadline: coarse time when the wait for the next event ends.
    """

    __slots__ = (
        "_arriving",
        "_closing",
        "_cut_at",
        "_listener",
        "_paused",
        "_peer",
        "_reader",
        "_reading",
        "_responder",
        "_waiting",
        "deadline",
        "flow",
        "task",
        "transport",
    )

    def __init__(self, listener: HTTPListener) -> None:
        self._listener = listener
        self._peer = ""
        self._reader: RequestReader | None = None  # None: nothing is read from this client
        self._reading = False  # a request has begun to arrive
        self._responder: Responder | None = None
        self._waiting: deque[HTTPRequest | tuple[int, str]] = deque()
        self._arriving = 0  # bytes of bodies that no application was handed yet
        self._closing = False
        self._cut_at = 0.0  # coarse time from which a last response is not waited for
        self._paused = False  # the socket is not read
        self.transport: asyncio.Transport | None = None
        self.flow = Flow()
        self.task: asyncio.Task[None] | None = None
        self.deadline = 0.0

    # The transport's side.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin, or refuse politely when the listener is full."""
        # uvloop's transports have the methods and are none of asyncio's classes.
        self.transport = cast("asyncio.Transport", transport)
        self.deadline = self._listener.now + self._listener.bounds.request_timeout
        if self._listener.admit(self):
            peername = transport.get_extra_info("peername")
            self._peer = str(peername[0]) if peername else ""
            self._reader = RequestReader(self._listener.bounds, self._peer)
        elif not transport.is_closing():
            self._refuse(503, "too many connections, try again soon")

    def data_received(self, data: bytes) -> None:
        """Read requests, and start the first that is whole."""
        reader = self._reader
        if reader is None:
            return
        for request in reader.feed(data):
            self._take(request)
        if reader.reading:
            if not self._reading:
                self._reading = True
                self.deadline = self._listener.now + self._listener.bounds.request_timeout
            if reader.wants_continue:
                reader.wants_continue = False
                self._continue()
        else:
            self._reading = False
        if reader.refusal is not None:
            self._reader = None
            self._listener.malformed += 1
            self._queue(reader.refusal)
        if (reader.held or self._waiting or self._arriving) and not self._weigh():
            self._reader = None
            self._weigh()
            self._queue((503, "too much is being received, try again soon"))

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the exchange in work that nobody waits for it any more."""
        self.transport = self._reader = None
        self._waiting.clear()
        self._weigh()
        self._listener.forget(self)
        self.flow.resume()
        if self._responder is not None:
            self._responder.disconnect()

    def pause_writing(self) -> None:
        """The client is behind."""
        self.flow.pause(self._listener.now)

    def resume_writing(self) -> None:
        """The client caught up."""
        self.flow.resume()

    # The listener's side.

    @property
    def busy(self) -> bool:
        """A request is in work, or the last response is on its way."""
        return self.task is not None or self._closing

    def tick(self, now: float) -> None:
        """Act on what is overdue; called about once a second."""
        transport = self.transport
        if transport is None:
            return
        if self.flow.congested:
            unsent = transport.get_write_buffer_size()
            if self.flow.stuck(unsent, now, self._listener.bounds.request_timeout):
                transport.abort()
                return
            if self._closing:  # the last response is on its way
                self.deadline = now + LINGER
        elif self._paused and hung_up(transport):
            transport.abort()
            return
        if self.task is not None:
            if self._responder is not None and self._responder.heartbeat is not None:
                self._responder.heartbeat(now)
        elif now >= self.deadline:
            self._overdue(transport)

    def drain(self) -> None:
        """Take no new request; close as soon as none is in work."""
        if self._responder is not None and not self._responder.started:
            self._responder.close_after()
        elif self.task is None and not self._reading:
            self._close()

    def abort(self) -> None:
        """Cut the connection."""
        if self.transport is not None:
            self.transport.abort()

    # The responder's side.

    @property
    def common(self) -> bytes:
        """The header lines every response of this second carries."""
        return self._listener.date_line

    def responded(self, *, keep_alive: bool) -> None:
        """Close after a last response; the next request starts when the task has ended."""
        if not keep_alive or self._listener.draining:
            self._close()

    def switch(self, protocol: asyncio.Protocol) -> None:
        """Leave the connection to `protocol`, with the bytes that came after the request."""
        transport, reader = self.transport, self._reader
        if transport is None or reader is None:
            return
        self.transport = self._reader = None
        transport.set_protocol(protocol)
        protocol.connection_made(transport)
        self._listener.forget(self)
        if self.flow.congested:
            protocol.pause_writing()
        else:
            transport.resume_reading()
        if reader.rest:
            protocol.data_received(reader.rest)

    # Inside.

    def _take(self, request: HTTPRequest) -> None:
        if request.websocket:
            self._deafen()
        self._queue(request)

    def _queue(self, item: HTTPRequest | tuple[int, str]) -> None:
        """Work on `item` now, or after what came before it."""
        waiting = self._waiting
        if self.task is None and not waiting:
            self._begin(item)
            return
        if len(waiting) > self._listener.bounds.max_in_flight:
            return
        if len(waiting) == self._listener.bounds.max_in_flight:
            item, self._reader = (503, "too many requests waiting on one connection"), None
        waiting.append(item)
        if len(waiting) == PIPELINE_PAUSE:
            self._deafen()

    def _begin(self, item: HTTPRequest | tuple[int, str]) -> None:
        if isinstance(item, tuple):
            self._refuse(*item)
            return
        responder = Responder(
            self,
            keep_alive=item.keep_alive and not self._listener.draining,
            head=item.method == "HEAD",
            http_1_0=item.http_1_0,
        )
        self._responder = responder
        self.task = self._listener.loop.create_task(self._run(item, responder), name="exchange")
        self._listener.tasks.add(self.task)

    async def _run(self, request: HTTPRequest, responder: Responder) -> None:
        try:
            await self._listener.app(request, responder)
        except Exception:
            LOGGER.exception("application failed", extra={"fields": {"path": request.path}})
            if not responder.started:
                responder.respond(500, JSON, error_body("internal error", "server_error"))
        finally:
            if self.task is not None:
                self._listener.tasks.discard(self.task)
            self.task = None
            self._responder = None
            if responder.finished:
                self._next()
            else:
                # A truncated answer must not look whole to the client.
                self.abort()

    def _weigh(self) -> bool:
        """Tell the listener how much is kept here unjudged; whether it has room for that."""
        held = 0 if self._reader is None else self._reader.held
        for item in self._waiting:
            if isinstance(item, HTTPRequest):
                held += len(item.body)
        self._listener.arriving += held - self._arriving
        self._arriving = held
        return self._listener.arriving <= self._listener.bounds.max_arriving

    def _next(self) -> None:
        transport = self.transport
        if transport is None or self._closing:
            return
        if self._waiting:
            if len(self._waiting) == PIPELINE_PAUSE:
                self._listen(transport)
            self._begin(self._waiting.popleft())
            self._weigh()
        elif not self._reading:
            self.deadline = self._listener.now + self._listener.bounds.idle_timeout

    def _continue(self) -> None:
        if self.task is None and not self._waiting and self.transport is not None:
            self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def _refuse(self, status: int, message: str) -> None:
        """Answer what cannot be read, and close."""
        responder = Responder(self, keep_alive=False)
        headers = JSON + b"retry-after: 1\r\n" if status == 503 else JSON
        responder.respond(status, headers, error_body(message, "invalid_request_error"))

    def _overdue(self, transport: asyncio.Transport) -> None:
        if self._closing:
            # Through TLS only the kernel's queue shows that more of the response is to leave.
            now = self._listener.now
            if now < self._cut_at and undelivered(transport):
                self.deadline = now + LINGER
            else:
                transport.abort()
        elif self._reading:
            seconds = self._listener.bounds.request_timeout
            self._refuse(408, f"the request did not arrive within {seconds:g} seconds")
        else:
            self._close()

    def _close(self) -> None:
        """Close when what was written has left; cut it off after `LINGER`.

        Closing a socket that has unread bytes resets it, and the reset may overtake the
        response. So only our direction is closed, and what still comes is read and dropped.
        """
        transport = self.transport
        if transport is None or self._closing:
            return
        self._closing = True
        self._reader = None
        self._waiting.clear()
        self._weigh()
        now = self._listener.now
        self.deadline = now + LINGER
        self._cut_at = now + self._listener.bounds.request_timeout
        # After a refused upgrade or a flood of requests nothing is read; then the client's own
        # end would not be noticed, and each such connection would last for the whole `LINGER`.
        self._listen(transport)
        if transport.can_write_eof():
            transport.write_eof()
        else:
            transport.close()

    def _deafen(self) -> None:
        """Read nothing for now. Then the client's end is not noticed either, but by `tick`."""
        if self.transport is not None:
            self._paused = True
            self.transport.pause_reading()

    def _listen(self, transport: asyncio.Transport) -> None:
        """Read again."""
        self._paused = False
        transport.resume_reading()
