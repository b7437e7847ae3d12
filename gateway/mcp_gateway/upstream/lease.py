"""A lent connection."""

from __future__ import annotations

from typing import Protocol

from mcp_gateway.upstream.connection import Connection
from mcp_gateway.upstream.lane import Lane


class Lender(Protocol):
    """What a lease asks of its pool."""

    def take_back(self, lease: Lease) -> None:
        """The lease ended."""

    def note_refusal(self, lease: Lease) -> None:
        """The provider refused its request for concurrency."""


class Lease:
    """One connection, lent to one request. Failing to release it loses a slot for good.

    It is a context manager that releases itself.

    Attributes:
        connection: the connection; not to be used after the release.
        lane: the limit it counts against.
        waited: seconds from asking to getting it.
        was_refused: `refused` was called.
    """

    __slots__ = ("_lender", "_released", "connection", "lane", "waited", "was_refused")

    def __init__(self, lender: Lender, connection: Connection, lane: Lane, waited: float) -> None:
        self._lender = lender
        self._released = False
        self.connection = connection
        self.lane = lane
        self.waited = waited
        self.was_refused = False

    def __enter__(self) -> Lease:
        return self

    def __exit__(self, *_exc_info: object) -> None:
        self.release()

    def release(self) -> None:
        """Give the connection back. Idempotent.

        An exchange still under way on it is aborted, and its connection closed.
        """
        if not self._released:
            self._released = True
            self._lender.take_back(self)

    def refused(self) -> None:
        """The provider refused the request because too many are in flight: cut the limit.

        `release` is still to be called. Idempotent.
        """
        if not self.was_refused and not self._released:
            self.was_refused = True
            self._lender.note_refusal(self)
