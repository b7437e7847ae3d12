"""The open connections of one pool: which are idle, and which may be lent again."""

from __future__ import annotations

import asyncio

from mcp_gateway.upstream.connection import Connection, State
from mcp_gateway.upstream.endpoint import Endpoint
from mcp_gateway.upstream.stats import CloseReason

CLOSING = 1.0
"""Seconds that connections are given to close in order."""


class Stock:
    """The connections, and how each of them ended. Time is passed in.

    Attributes:
        open: every open connection, lent or idle.
        idle: those that nobody has, least recently used first.
        created: how many were ever added.
        closed: how many were closed, by reason.
    """

    __slots__ = ("closed", "created", "idle", "open")

    def __init__(self) -> None:
        self.open: set[Connection] = set()
        self.idle: dict[Connection, None] = {}
        self.created = 0
        self.closed = dict.fromkeys(CloseReason, 0)

    @property
    def lent(self) -> int:
        """Connections that somebody has."""
        return len(self.open) - len(self.idle)

    def add(self, connection: Connection) -> None:
        """Take in a new connection; it is idle."""
        self.created += 1
        self.open.add(connection)
        self.idle[connection] = None
        connection.on_closed = self._closed_by_itself

    def take(self, now: float, validate_after: float) -> Connection | None:
        """Take out the idle connection that was used last; those found dead or old are closed."""
        idle = self.idle
        while idle:
            connection, _ = idle.popitem()
            if now >= connection.expires_at:
                self.discard(connection, CloseReason.LIFETIME)
            elif now - connection.idle_since >= validate_after and connection.readable():
                self.discard(connection, CloseReason.STALE)
            else:
                return connection
        return None

    def put_back(self, connection: Connection, now: float, *, room: bool) -> None:
        """Take back a lent connection: it is idle, or closed where it is of no more use.

        Args:
            connection: the connection; an exchange still under way on it is aborted.
            now: `loop.time()`.
            room: there is a place for it where nothing else speaks against it.
        """
        if connection.reusable and room and now < connection.expires_at:
            connection.idle_since = now
            self.idle[connection] = None
            return
        if not connection.reusable:
            reason = CloseReason.STALE if connection.stale else CloseReason.USED
        else:
            reason = CloseReason.OVERFLOW if not room else CloseReason.LIFETIME
        self.discard(connection, reason)
        if connection.stale:
            self._suspect(connection.endpoint)

    def discard(self, connection: Connection, reason: CloseReason) -> None:
        """Close a connection. One that was given back after `aclose` is counted already."""
        if connection in self.open:
            self.open.remove(connection)
            self.closed[reason] += 1
        self.idle.pop(connection, None)
        connection.on_closed = None
        connection.close()

    def reap(self, now: float, idle_timeout: float, keep: int) -> None:
        """Close what is too old, and what is idle for too long beyond `keep` connections."""
        for connection in list(self.idle):
            if now >= connection.expires_at:
                self.discard(connection, CloseReason.LIFETIME)
            elif now - connection.idle_since >= idle_timeout and len(self.open) > keep:
                self.discard(connection, CloseReason.IDLE)

    def shrink(self, keep: int, reason: CloseReason) -> None:
        """Close idle connections while more than `keep` are open."""
        while self.idle and len(self.open) > keep:
            self.discard(next(iter(self.idle)), reason)

    async def aclose(self) -> None:
        """Close all: the idle in order, the lent at once. Returns when they are gone."""
        connections = list(self.open)
        for connection in connections:
            self.discard(connection, CloseReason.DRAINED)
        if not connections:
            return
        loop = asyncio.get_running_loop()
        ends = {
            loop.create_task(connection.wait_closed(), name="wait_closed"): connection
            for connection in connections
        }
        _, late = await asyncio.wait(ends, timeout=CLOSING)
        for end in late:  # the peer leaves the end of TLS unanswered
            ends[end].abort()
        if late:
            await asyncio.wait(late)

    def _suspect(self, endpoint: Endpoint) -> None:
        """Close the idle connections to `endpoint`: one to it was found closed by the other side.

        They have been idle for longer than the one that was lent, so they are dead as well, and
        a request that is replayed must not meet a second one.
        """
        for connection in list(self.idle):
            if connection.endpoint is endpoint or connection.endpoint == endpoint:
                self.discard(connection, CloseReason.STALE)

    def _closed_by_itself(self, connection: Connection) -> None:
        # A lent one stays until it is given back: it holds its place until then.
        if connection in self.idle:
            assert connection.state is State.CLOSED, "on_closed is told at the end"
            self.discard(connection, CloseReason.LOST)
