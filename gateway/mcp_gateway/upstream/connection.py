"""One connection to a provider, and the one exchange it carries at a time.

```text
CONNECTING ──made──▶ READY ──drain()──▶ DRAINING
     │                 │                    │
     └───────── closed, lost, failed ───────┴──▶ CLOSED
```

Rules that must hold:

1. At most one exchange is under way. Whatever ends it without a whole, well-framed answer
   (error, timeout, cancellation, a reader that gave up) closes the connection: what is left of
   the old answer must never be read as the next one.
2. DRAINING means "not to be lent again"; who holds the connection may still use it.
3. CLOSED is final, and is told to `on_closed` once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from enum import Enum
from typing import cast

from mcp_gateway.errors import (
    ConnectFailed,
    ConnectionLost,
    GatewayError,
    LocalProtocolError,
    RemoteProtocolError,
    UpstreamTimeout,
)
from mcp_gateway.upstream.answer import Response, StreamedResponse
from mcp_gateway.upstream.endpoint import Endpoint
from mcp_gateway.upstream.http1 import MAX_BODY, MAX_HEAD, ResponseParser
from mcp_gateway.upstream.socket_state import readable
from mcp_gateway.upstream.timeouts import Timeouts

__all__ = ["Connection", "Response", "State", "StreamedResponse", "Timeouts"]

HIGH_WATER = 64 * 1024
"""Bytes of a streamed body that may lie unread before the provider is made to wait."""

FRESH = 1.0
"""Seconds after its opening in which an unused connection counts as new, not as reused."""

_EARLY = 0.001
"""Event loops fire timers up to a millisecond early."""


class State(Enum):
    """Where a connection stands."""

    CONNECTING = "connecting"
    READY = "ready"
    DRAINING = "draining"
    CLOSED = "closed"


class Connection(asyncio.Protocol):
    """The connection. Made by `connect.Connector`, owned by a pool.

    Args:
        endpoint: where it leads.
        loop: the running loop.
        max_head, max_body: bounds, in bytes, of what an answer may be.

    Attributes:
        endpoint: where it leads.
        idle_since: `loop.time()` when it was last given back or made; its pool writes it.
        expires_at: `loop.time()` from which its pool does not lend it again.
        on_closed: called once when the connection has closed.
        stale: it ended under an exchange, reused and before any byte of the answer.
        broken_off: this end broke an exchange off; the other may not have noticed yet.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        loop: asyncio.AbstractEventLoop,
        *,
        max_head: int = MAX_HEAD,
        max_body: int = MAX_BODY,
    ) -> None:
        self.endpoint = endpoint
        self.idle_since = 0.0
        self.expires_at = float("inf")
        self.on_closed: Callable[[Connection], None] | None = None
        self.stale = False
        self.broken_off = False
        self._loop = loop
        self._parser = ResponseParser(max_head=max_head, max_body=max_body)
        self._state = State.CONNECTING
        self._transport: asyncio.Transport | None = None
        self._closed: asyncio.Future[None] | None = None
        self._exchanges = 0
        self._opened_at = 0.0
        # The exchange under way: who waits for all of its answer or for
        # its head, or who reads its body.
        self._busy = False
        self._whole: asyncio.Future[Response] | None = None
        self._head: asyncio.Future[StreamedResponse] | None = None
        self._stream: StreamedResponse | None = None
        self._answered = False
        self._reused = False
        self._paused = False
        # One timer serves all phases of all exchanges: it looks at what is due when it fires,
        # so a fast exchange neither makes nor cancels one.
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = 0.0
        self._due = 0.0
        self._total_at = 0.0
        self._idle_timeout = 0.0

    def __repr__(self) -> str:
        return f"<Connection {self.endpoint} {self._state.value} exchanges={self._exchanges}>"

    @property
    def state(self) -> State:
        """Where it stands."""
        return self._state

    @property
    def reusable(self) -> bool:
        """It may be lent again."""
        return self._state is State.READY and not self._busy

    @property
    def exchanges(self) -> int:
        """How many exchanges it has completed."""
        return self._exchanges

    def readable(self) -> bool:
        """Whether bytes, or the end, have arrived that the loop has not read yet.

        On an idle connection that means that it is dead: nothing was asked for.
        """
        return self._transport is None or readable(self._transport)

    async def exchange(self, payload: bytes, timeouts: Timeouts) -> Response:
        """Send a whole request and return the whole answer.

        Cancelling it closes the connection.

        Raises:
            ConnectFailed: a new connection had closed before; nothing was sent.
            ConnectionLost: it ended before the answer did, or a reused one before the request.
            UpstreamTimeout: `first_byte`, `idle` or `total` passed.
            RemoteProtocolError: the answer is not HTTP/1.1, or over a bound.
        """
        self._begin(payload, timeouts, stream=False)
        waiter: asyncio.Future[Response] = self._loop.create_future()
        self._whole = waiter
        try:
            return await waiter
        except asyncio.CancelledError:
            self._give_up(waiter)
            raise

    async def stream(self, payload: bytes, timeouts: Timeouts) -> StreamedResponse:
        """Send a whole request and return when the head of the answer is there.

        The body is read from the result, to its end or until it is closed. Raises like
        `exchange`.
        """
        self._begin(payload, timeouts, stream=True)
        waiter: asyncio.Future[StreamedResponse] = self._loop.create_future()
        self._head = waiter
        try:
            return await waiter
        except asyncio.CancelledError:
            self._give_up(waiter)
            raise

    def drain(self) -> None:
        """Do not lend it again."""
        if self._state is State.READY:
            self._state = State.DRAINING

    def close(self) -> None:
        """Close in order; an exchange under way fails, and then it is at once. Idempotent."""
        self._end(ConnectionLost("the gateway closed the connection"), abort=self._busy)

    def abort(self) -> None:
        """Close at once, sending nothing more. Idempotent."""
        self._end(ConnectionLost("the gateway closed the connection"), abort=True)

    async def wait_closed(self) -> None:
        """Return when the transport is gone."""
        if self._transport is None:
            return
        if self._closed is None:
            self._closed = self._loop.create_future()
        await asyncio.shield(self._closed)

    # What the event loop calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The transport works, TLS included."""
        # uvloop's transports are none of asyncio's classes, so this cannot be checked.
        self._transport = cast(asyncio.Transport, transport)
        if self._state is not State.CONNECTING:  # given up while the handshake went on
            self._transport.abort()
            return
        self._opened_at = self.idle_since = self._loop.time()
        self._state = State.READY

    def data_received(self, data: bytes) -> None:
        """Bytes of an answer, or bytes nobody asked for."""
        if not self._busy:
            self._end(None)
            return
        self._answered = True
        try:
            self._parser.feed(data)
        except RemoteProtocolError as exc:
            self._end(exc, abort=True)
            return
        self._advance()

    def eof_received(self) -> None:
        """The peer sends nothing more, which may be how its answer ends."""
        if self._busy and self._parser.feed_eof():
            self._advance()
        self._lost(None)

    def connection_lost(self, exc: Exception | None) -> None:
        """The transport is gone."""
        self._lost(exc)
        self._transport = None
        if self._closed is not None and not self._closed.done():
            self._closed.set_result(None)

    # What happens to an exchange.

    def _begin(self, payload: bytes, timeouts: Timeouts, *, stream: bool) -> None:
        transport = self._transport
        now = self._loop.time()
        self._reused = self._exchanges > 0 or now - self._opened_at > FRESH
        if transport is None or self._state is State.CLOSED:
            raise self._gone_before()
        if self._busy:
            raise LocalProtocolError("expected the exchange before to have ended")
        self._busy = True
        self._answered = False
        self._idle_timeout = timeouts.idle
        self._total_at = now + timeouts.total
        self._due = due = min(now + timeouts.first_byte, self._total_at)
        if self._timer is None or self._timer_at > due:
            self._arm(due)
        self._parser.start(stream=stream)
        transport.write(payload)

    def _gone_before(self) -> GatewayError:
        """It closed between its lending and its use; nothing was sent."""
        message = "the connection had closed before the request was sent"
        if not self._reused:
            return ConnectFailed(message)
        self.stale = True
        return ConnectionLost(message, reused=True)

    def _advance(self) -> None:
        """The parser went on: pass on what it has."""
        parser = self._parser
        whole = self._whole
        if whole is None:
            self._advance_stream()
        elif parser.complete:
            self._settle()
            if not whole.done():
                response = Response(parser.status, parser.fields, parser.take_body())
                whole.set_result(response)
        if self._busy:
            self._watch_idle()

    def _advance_stream(self) -> None:
        parser = self._parser
        if self._stream is None and parser.head_complete:
            head = self._head
            assert head is not None, "a stream is awaited before it is read"
            self._head = None
            if head.done():  # cancelled; its task has not run yet
                self.abort()
                return
            self._stream = StreamedResponse(self, parser.status, parser.headers)
            head.set_result(self._stream)
        stream = self._stream
        if stream is None:
            return
        body = parser.take_body()
        if body:
            stream.feed(body)
        if parser.complete:
            self._settle()
            stream.finish(None)
        elif stream.unread > HIGH_WATER and not self._paused and self._transport is not None:
            self._paused = True
            self._transport.pause_reading()

    def resume(self) -> None:
        """The reader of the stream caught up: let the provider send again."""
        if self._paused and self._transport is not None:
            self._paused = False
            self._watch_idle()
            self._transport.resume_reading()

    def _settle(self) -> None:
        """The answer is complete: free the connection for the next, or close it."""
        self._busy = False
        self._whole = self._stream = None
        self._exchanges += 1
        parser = self._parser
        transport = self._transport
        # An answer that came before its request was sent leaves the rest of the request in the
        # way of the next.
        unsent = transport is None or transport.get_write_buffer_size() > 0
        if unsent or parser.surplus or not parser.keep_alive:
            self._end(None, abort=unsent)
        elif self._paused:
            self.resume()

    def _lost(self, exc: Exception | None) -> None:
        if self._state is State.CLOSED:
            return
        if not self._busy:
            self._end(None)
            return
        self.stale = self._reused and not self._answered
        message = "the provider closed the connection"
        if exc is not None:
            message = f"the connection broke: {exc.__class__.__name__}"
        lost = ConnectionLost(message, reused=self._reused, answered=self._answered)
        lost.__cause__ = exc
        self._end(lost)

    def _end(self, error: GatewayError | None, *, abort: bool = False) -> None:
        """Go to CLOSED; `error` answers the exchange under way."""
        if self._state is not State.CLOSED:
            self._state = State.CLOSED
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None
            if self._busy:
                self.broken_off = abort
                assert error is not None, "an exchange under way ends with an error"
                self._fail(error)
            if self.on_closed is not None:
                self.on_closed(self)
        if self._transport is not None:
            if abort:
                self._transport.abort()
            else:
                self._transport.close()

    def _fail(self, error: GatewayError) -> None:
        whole, head, stream = self._whole, self._head, self._stream
        self._busy = False
        self._whole = self._head = self._stream = None
        if whole is not None and not whole.done():
            whole.set_exception(error)
        if head is not None and not head.done():
            head.set_exception(error)
        if stream is not None:
            stream.finish(error)

    def _give_up(self, waiter: asyncio.Future[Response] | asyncio.Future[StreamedResponse]) -> None:
        """The task that waited was cancelled."""
        if waiter.done() and not waiter.cancelled():
            waiter.exception()  # or asyncio would complain that nobody looked at it
        self.abort()

    # Time.

    def _watch_idle(self) -> None:
        self._due = due = min(self._loop.time() + self._idle_timeout, self._total_at)
        if self._timer_at > due:
            self._arm(due)

    def _arm(self, due: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer_at = due
        self._timer = self._loop.call_at(due, self._check_time)

    def _check_time(self) -> None:
        self._timer = None
        if not self._busy:
            return
        due = self._total_at if self._paused else self._due
        if self._loop.time() < due - _EARLY:
            self._arm(due)
            return
        silent = "idle" if self._answered else "first_byte"
        phase = "total" if due >= self._total_at else silent
        error = UpstreamTimeout(f"the provider was silent too long ({phase})", phase=phase)
        self._end(error, abort=True)
