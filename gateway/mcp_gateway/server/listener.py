"""A listening socket, its connections, and the one coarse timer that minds their deadlines.

Invariant: a connection is in `connections` from `admit` until it is lost or handed to another
protocol, which then takes its place; a task is in `tasks` while its exchange is in work.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import ssl
from dataclasses import dataclass
from email.utils import formatdate
from typing import Protocol

from mcp_gateway.server.connection import HTTPConnection
from mcp_gateway.server.message import App, Bounds

LOGGER = logging.getLogger(__name__)

HARD_MARGIN = 64
"""Connections above the bound that are told so; any more are cut without a word."""
TLS_HANDSHAKE = 10.0
ABORTING = 1.0
"""Seconds within which connections that were cut must be gone."""
UNWINDING = 5.0
"""Seconds a cancelled exchange may take to clean up, before it is left behind."""


class Connection(Protocol):
    """A connection as its listener knows it, of either protocol."""

    @property
    def busy(self) -> bool:
        """Cutting it would break off what is in work."""

    def tick(self, now: float) -> None:
        """Act on what is overdue."""

    def drain(self) -> None:
        """Take no new request and close when none is in work."""

    def abort(self) -> None:
        """Cut the connection."""


@dataclass(frozen=True, slots=True)
class ListenerStats:
    """A picture of one listener.

    Attributes:
        connections: open now, WebSockets included.
        websockets: open now.
        exchanges: requests in work now.
        accepted, refused, malformed: since the start: connections admitted, connections turned
            away, and requests that could not be read.
    """

    connections: int
    websockets: int
    exchanges: int
    accepted: int
    refused: int
    malformed: int


class HTTPListener:
    """Accepts connections on one address and serves them with one application.

    Attributes:
        now: `loop.time()` as of the last sweep: what deadlines are counted from.
        date_line: the `date` header of this second.
        websockets: open connections that are WebSockets by now, counted by their protocol.
        malformed: requests that could not be read.
        arriving: bytes of bodies that the application was not handed yet.
    """

    def __init__(self, app: App, bounds: Bounds, *, tls: ssl.SSLContext | None = None) -> None:
        self.app = app
        self.bounds = bounds
        self.loop = asyncio.get_running_loop()
        self.connections: dict[Connection, None] = {}  # the oldest first
        self.tasks: set[asyncio.Task[None]] = set()
        self.now = self.loop.time()
        self.date_line = b""
        self.draining = False
        self.websockets = 0
        self.malformed = 0
        self.arriving = 0
        self._accepted = 0
        self._refused = 0
        self._tls = tls
        self._server: asyncio.Server | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._empty: asyncio.Event = asyncio.Event()
        self._interval = min(1.0, bounds.request_timeout / 4, bounds.idle_timeout / 4)
        self.sweep()

    async def start(self, host: str, port: int) -> None:
        """Listen; port 0 lets the system choose.

        Raises:
            OSError: the address cannot be had.
        """
        try:
            self._server = await self.loop.create_server(
                lambda: HTTPConnection(self),
                host,
                port,
                backlog=1024,
                ssl=self._tls,
                ssl_handshake_timeout=TLS_HANDSHAKE if self._tls else None,
            )
        except OSError as exc:
            # The loop's own sentence repeats itself, and some of them leave out the address.
            # Negative: a name that could not be resolved, with words of its own.
            number = exc.errno or 0
            reason = os.strerror(number) if number > 0 else exc.strerror or exc
            raise OSError(exc.errno, f"cannot listen on {host}:{port}: {reason}") from exc

    @property
    def address(self) -> tuple[str, int]:
        """Host and port that are listened on.

        Raises:
            RuntimeError: not listening.
        """
        if self._server is None or not self._server.sockets:
            raise RuntimeError("the listener is not listening")
        host, port = self._server.sockets[0].getsockname()[:2]
        return str(host), int(port)

    def stats(self) -> ListenerStats:
        """A picture of now."""
        return ListenerStats(
            connections=len(self.connections),
            websockets=self.websockets,
            exchanges=len(self.tasks),
            accepted=self._accepted,
            refused=self._refused,
            malformed=self.malformed,
        )

    def admit(self, connection: Connection) -> bool:
        """Take a new connection in; False when there is no room and it must say so and close."""
        over = len(self.connections) - self.bounds.max_connections
        if over >= 0 and self.bounds.makes_room and not self.draining and self._make_room():
            over -= 1
        if over >= HARD_MARGIN:
            self._refused += 1
            connection.abort()
            return False
        self.connections[connection] = None
        if over >= 0 or self.draining:
            self._refused += 1
            return False
        self._accepted += 1
        return True

    def _make_room(self) -> bool:
        """Cut the oldest connection that has no request in work, if there is one."""
        spare = next((each for each in self.connections if not each.busy), None)
        if spare is not None:
            self.forget(spare)
            spare.abort()
        return spare is not None

    def adopt(self, connection: Connection) -> None:
        """Mind a connection that took the place of another one."""
        self.connections[connection] = None

    def forget(self, connection: Connection) -> None:
        """Mind a connection no longer. Idempotent."""
        self.connections.pop(connection, None)
        if not self.connections:
            self._empty.set()

    def sweep(self) -> None:
        """Look at every connection's deadlines, and arrange for the next look.

        One pass over ten thousand connections takes about a millisecond a second; a timer for
        each request would cost more at a thousand requests a second, and memory.
        """
        self.now = now = self.loop.time()
        self.date_line = b"date: " + formatdate(usegmt=True).encode() + b"\r\n"
        for connection in list(self.connections):
            try:
                connection.tick(now)
            except Exception:
                # Whatever is wrong with one, all the others need their deadlines.
                LOGGER.exception("connection failed at a look at its deadlines")
                connection.abort()
        self._timer = self.loop.call_later(self._interval, self.sweep)

    def stop_accepting(self) -> None:
        """Close the listening socket; connections live on. Idempotent."""
        if self._server is not None:
            self._server.close()

    async def drain(self, grace: float) -> int:
        """Let requests in work end within `grace` seconds, then cancel the rest.

        Returns:
            How many exchanges had to be cancelled.
        """
        self.draining = True
        self.stop_accepting()
        for connection in list(self.connections):
            connection.drain()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(grace):
                await self._emptied()
        cancelled = len(self.tasks)
        if cancelled:
            LOGGER.warning("cancelled exchanges", extra={"fields": {"count": cancelled}})
        await self.aclose()
        return cancelled

    async def aclose(self) -> None:
        """Cut everything at once and wait until it has ended. Idempotent."""
        self.draining = True
        self.stop_accepting()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for task in list(self.tasks):
            task.cancel()
        if self.tasks:
            _, stuck = await asyncio.wait(self.tasks, timeout=UNWINDING)
            if stuck:
                LOGGER.error("exchanges did not end", extra={"fields": {"count": len(stuck)}})
        self.tasks.clear()
        for connection in list(self.connections):
            connection.abort()
        # `abort` ends in `connection_lost` a turn of the loop later, with any transport.
        try:
            async with asyncio.timeout(ABORTING):
                await self._emptied()
        except TimeoutError:  # what else is to be closed must not suffer from it
            LOGGER.error("connections stay", extra={"fields": {"count": len(self.connections)}})

    async def _emptied(self) -> None:
        while self.connections:
            self._empty.clear()
            await self._empty.wait()
