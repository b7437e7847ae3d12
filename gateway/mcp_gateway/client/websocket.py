"""Many calls in flight on one WebSocket, which is opened again when it is lost.

One task owns the connection: it connects when there is something to send, writes what waits in
the outbox, and hands each message to the call it belongs to. A call that is still in the outbox
when the connection ends was surely not sent and goes out on the next one; a call that had left
it ends with `ConnectionLost`, because nobody here can know what became of it.

Invariant: a call is in `_waiting` from its start to its end, and in `_outbox` as well until its
bytes are handed to the connection; between the check that the connection is open and that
moment there is no `await`.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import urlsplit

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException
from websockets.protocol import State
from websockets.typing import Subprotocol

from mcp_gateway.client.backoff import Backoff
from mcp_gateway.client.inbox import Inbox
from mcp_gateway.client.transport import Settings, connect_failed, refused_connection, retry_after
from mcp_gateway.client.wire import (
    Progress,
    Result,
    ToolCall,
    decode,
    encode_call,
    encode_cancelled,
)
from mcp_gateway.errors import ConnectionLost, GatewayError, Overloaded, RemoteProtocolError

# Pings of our own, so that a peer that vanished without a word is noticed within 40 s.
_PING_INTERVAL = 20.0
_CLOSE_TIMEOUT = 2.0
_NORMAL, _PROTOCOL_ERROR = 1000, 1002


class Connection(Protocol):
    """The part of `websockets.asyncio.client.ClientConnection` that is used."""

    @property
    def state(self) -> State:
        """Whether a message can be sent."""

    async def send(self, message: bytes, /, text: bool | None = None) -> None:
        """Send a frame. Nothing is awaited between a look at `state` and the first write."""

    async def recv(self, decode: bool | None = None) -> str | bytes:
        """Return the next message."""

    async def close(self, code: int = 1000) -> None:
        """Close, waiting for the other side a moment. Idempotent."""


class _Opening(connect):
    """A try to connect that does not follow redirects: they would carry the key elsewhere."""

    def process_redirect(self, exc: Exception) -> Exception | str:
        return exc


async def _open(settings: Settings) -> Connection:
    secure = urlsplit(settings.url).scheme == "wss"
    return await _Opening(
        settings.url,
        subprotocols=[Subprotocol("mcp")],
        additional_headers=settings.headers(),
        compression=None,  # it costs both ends more than short messages save
        max_size=settings.max_message,
        open_timeout=settings.connect_timeout,
        close_timeout=_CLOSE_TIMEOUT,
        ping_interval=_PING_INTERVAL,
        proxy=settings.proxy,
        ssl=(settings.tls or True) if secure else None,
    )


@dataclass(slots=True)
class _Outgoing:
    """A message in the outbox: a call, or a notification where `call_id` is None.

    Attributes:
        give_up: `loop.time()` after which no further connection is tried for it.
    """

    data: bytes
    call_id: int | None = None
    give_up: float = 0.0


class WebSocketTransport:
    """The way to the gateway over `ws://` or `wss://`, subprotocol `mcp`."""

    def __init__(
        self,
        settings: Settings,
        *,
        backoff: Backoff | None = None,
        open_connection: Callable[[Settings], Awaitable[Connection]] = _open,
    ) -> None:
        self._settings = settings
        self._backoff = backoff or Backoff()
        self._open = open_connection
        self._waiting: dict[int, Inbox] = {}
        self._outbox: deque[_Outgoing] = deque()
        self._wake = asyncio.Event()
        self._connection: Connection | None = None
        self._keeper: asyncio.Task[None] | None = None
        self._closed = False

    async def events(self, call: ToolCall) -> AsyncGenerator[Progress | Result, None]:
        """See `Transport.events`."""
        inbox = self._start(call)
        try:
            while True:
                event = await inbox.get()
                yield event
                if isinstance(event, Result):
                    return
        finally:
            # Still in `_waiting` only where the caller left before the end.
            if self._waiting.pop(call.id, None) is not None:
                self._cancel(call.id)

    async def aclose(self) -> None:
        """See `Transport.aclose`."""
        self._closed = True
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.wait([self._keeper])
        self._fail_all(ConnectionLost("the client was closed before the answer came"))

    # --- calls -------------------------------------------------------------------------

    def _start(self, call: ToolCall) -> Inbox:
        if self._closed:
            raise RuntimeError("the client is closed")
        loop = asyncio.get_running_loop()
        data = encode_call(call)
        inbox = self._waiting[call.id] = Inbox(self._settings.max_message)
        self._send(_Outgoing(data, call.id, loop.time() + self._settings.reconnect_for))
        if self._keeper is None or self._keeper.done():
            self._keeper = loop.create_task(self._keep(), name="mcp-client-websocket")
        return inbox

    def _cancel(self, call_id: int) -> None:
        """Take back a call that is not sent yet; tell the gateway of one that is."""
        for outgoing in self._outbox:
            if outgoing.call_id == call_id:
                self._outbox.remove(outgoing)
                return
        if self._connection is not None:
            self._send(_Outgoing(encode_cancelled(call_id, "the caller stopped waiting")))

    def _send(self, outgoing: _Outgoing) -> None:
        self._outbox.append(outgoing)
        self._wake.set()

    def _receive(self, data: str | bytes) -> None:
        event = decode(data)
        if event is None:
            return
        call_id = event.token if isinstance(event, Progress) else event.id
        if call_id is None:
            # The gateway refused a message without being able to say which one.
            raise RemoteProtocolError(f"the gateway refused a message: {event}")
        inbox = self._waiting.get(call_id)
        if inbox is None:
            return  # the answer to a call that was cancelled meanwhile
        if isinstance(event, Result):
            del self._waiting[call_id]
            inbox.put(event)
        elif not inbox.put(event):
            self._fail(call_id, Overloaded("the stream was read too slowly to be kept in memory"))
            self._cancel(call_id)

    def _fail(self, call_id: int, error: GatewayError) -> None:
        inbox = self._waiting.pop(call_id, None)
        if inbox is not None:
            inbox.fail(error)

    def _fail_all(self, error: GatewayError) -> None:
        self._outbox.clear()
        for call_id in list(self._waiting):
            self._fail(call_id, error)

    # --- the connection ----------------------------------------------------------------

    async def _keep(self) -> None:
        """Hold a connection while there is use for one; run until cancelled.

        An exception that is none of the network's is a defect; those who wait hear of it, and
        the next call starts this task anew.
        """
        try:
            while True:
                await self._something_to_send()
                await self._settle(await self._use_one())
        except Exception as exc:
            error = ConnectionLost(f"the client failed: {exc!r}")
            error.__cause__ = exc
            self._fail_all(error)

    async def _something_to_send(self) -> None:
        while not self._outbox:
            self._wake.clear()
            await self._wake.wait()

    async def _use_one(self) -> GatewayError:
        """Open a connection and use it to its end; return why it ended or never was."""
        try:
            connection = await self._open(self._settings)
        except (OSError, TimeoutError, WebSocketException) as exc:
            return _connect_error(self._settings.url, exc)
        self._connection = connection
        error: GatewayError = ConnectionLost("the connection to the gateway was given up")
        try:
            async with asyncio.TaskGroup() as tasks:
                writer = tasks.create_task(self._write(connection), name="mcp-client-writer")
                error = await self._read(connection)
                writer.cancel()
        finally:
            self._connection = None
            broken = isinstance(error, RemoteProtocolError)
            await connection.close(_PROTOCOL_ERROR if broken else _NORMAL)
        return error

    async def _write(self, connection: Connection) -> None:
        while True:
            await self._something_to_send()
            if connection.state is not State.OPEN:
                return
            outgoing = self._outbox.popleft()
            try:
                await connection.send(outgoing.data, text=True)
            except ConnectionClosed:
                return

    async def _read(self, connection: Connection) -> GatewayError:
        """Hand out messages until the connection ends; return what that means for calls sent."""
        try:
            while True:
                self._receive(await connection.recv(decode=False))
                # Only now: a gateway that lets in and throws out at once must not be hammered.
                self._backoff.reset()
        except RemoteProtocolError as exc:
            return exc
        except ConnectionClosed as exc:
            return ConnectionLost(f"the gateway's connection ended before the answer: {exc}")

    async def _settle(self, error: GatewayError) -> None:
        """End the calls that `error` ends, and wait before the next connection if one is needed.

        Those are all that had left the outbox, those whose time to connect is over, and the
        rest as well where another try would meet the same refusal.
        """
        now = asyncio.get_running_loop().time()
        lasting = not (error.retryable or isinstance(error, ConnectionLost))
        # Cancellations of calls on the old connection mean nothing on a new one.
        self._outbox = deque(
            outgoing
            for outgoing in self._outbox
            if outgoing.call_id is not None and not lasting and now < outgoing.give_up
        )
        kept = {outgoing.call_id for outgoing in self._outbox}
        for call_id in [call_id for call_id in self._waiting if call_id not in kept]:
            self._fail(call_id, error)
        if self._outbox:
            first = min(outgoing.give_up for outgoing in self._outbox)
            delay = max(self._backoff.delay(), error.retry_after or 0.0)
            await asyncio.sleep(min(delay, max(0.0, first - now)))


def _connect_error(url: str, exc: Exception) -> GatewayError:
    if isinstance(exc, InvalidStatus):
        response = exc.response
        after = retry_after(response.headers.get("Retry-After"))
        error = refused_connection(url, response.status_code, after)
    else:
        error = connect_failed(url, exc)
    error.__cause__ = exc
    return error
