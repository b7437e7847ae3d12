"""How a pool behaves."""

from __future__ import annotations

from dataclasses import dataclass

UNBOUNDED = 1 << 30
"""Capacity of a pool that no document caps: its share alone decides."""


@dataclass(frozen=True, slots=True)
class PoolSettings:
    """The document's `pool`; seconds where it is about time.

    Attributes:
        min_connections: kept open while nobody asks.
        max_connections: kept open at most; None means that only the share bounds the pool.
        max_overflow: opened beyond that while they are needed, and closed on return.
        idle_timeout: an idle connection beyond `min_connections` is closed after this.
        acquire_timeout: a waiter gives up after this.
        max_waiting: waiters beyond those whose connection is being opened.
        max_lifetime: a connection is not lent again after this, less up to a tenth by chance.
        validate_after: a connection idle for so long is looked at before it is lent.
    """

    min_connections: int = 0
    max_connections: int | None = 10
    max_overflow: int | None = 20
    idle_timeout: float = 30.0
    acquire_timeout: float = 15.0
    max_waiting: int = 1000
    max_lifetime: float = 1800.0
    validate_after: float = 1.0

    @property
    def kept(self) -> int:
        """Connections that may stay open when nobody needs them."""
        return UNBOUNDED if self.max_connections is None else self.max_connections

    @property
    def capacity(self) -> int:
        """Connections that may be open or opening at one time."""
        if self.max_connections is None:
            return UNBOUNDED
        return self.max_connections + (self.max_overflow or 0)
