"""The connections to one provider, and how long each step of a call may take."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from mcp_gateway.api.fields import Count, Duration, DurationOrZero, Model, Ratio, Rule


class Pool(Model):
    """The connections to one provider, in one gateway process.

    A connection carries one request at a time, so connections in use are requests in flight:
    the quantity that providers limit.
    """

    min_connections: Annotated[int, Field(ge=0, le=10_000)] = 0
    """Connections kept open when nothing happens. They save a new request the time of a TLS
    handshake; they do not count against a provider's concurrency limit."""

    max_connections: Annotated[int, Field(ge=1, le=10_000)] | None = None
    """Connections kept for reuse: the original's `pool_size`. A hard cap of one process in
    every tuning mode. Without it: the account's known limit, or 10 where none is known and
    tuning is `Off`."""

    max_overflow: Annotated[int, Field(ge=0, le=10_000)] | None = None
    """Further connections under load, closed when they come back and nobody waits. Without it:
    none; or 20 where `maxConnections` is not given either, no limit is known and tuning is
    `Off`."""

    idle_timeout: Duration = 30.0
    """Time after which an unused connection above `minConnections` is closed. Providers close
    idle connections themselves after a minute or so; staying below that avoids dead ones."""

    acquire_timeout: Duration = 15.0
    """Longest wait for a connection, and for the account's rates. Then the request fails over, or
    fails as `PoolTimeout`. A client's own deadline ends the wait earlier."""

    max_waiting: Annotated[int, Field(ge=0, le=1_000_000)] = 1_000
    """Requests that may wait at once; the next is refused at once as `PoolSaturated`. 0 lets
    nobody wait."""

    max_lifetime: Duration = 1_800.0
    """Age at which a connection is closed after its request, shortened by up to a tenth at
    random so that not all end together. Lets changes of DNS take effect."""

    validate_after: DurationOrZero = 1.0
    """Idle time after which a connection is checked before it is lent. The check costs a
    microsecond and finds connections the provider closed meanwhile."""

    rules = (
        Rule(
            ("min_connections", "max_connections", "max_overflow"),
            lambda p: (
                p.max_connections is None
                or p.min_connections <= p.max_connections + (p.max_overflow or 0)
            ),
            "!has(self.maxConnections) || self.minConnections <= self.maxConnections"
            " + (has(self.maxOverflow) ? self.maxOverflow : 0)",
            "minConnections must be at most maxConnections plus maxOverflow",
        ),
    )


class RequestTimeouts(Model):
    """How long each step of one call to the provider may take."""

    connect: Duration = 5.0
    """Name look-up, TCP and TLS together. Failing here is always safe to try again."""

    first_byte: Duration = 60.0
    """From the request's last byte to the answer's first. For a plain answer this is the time
    of generation: thinking models may need minutes."""

    idle: Duration = 120.0
    """Longest silence within an answer, between two pieces of a stream."""

    total: Duration = 600.0
    """The whole call, streams included."""

    rules = (
        Rule(
            ("first_byte", "total"),
            lambda t: t.first_byte <= t.total,
            # CEL's durations have no days.
            "self.firstByte.contains('d') || self.total.contains('d')"
            " || duration(self.firstByte) <= duration(self.total)",
            "firstByte must be at most total",
        ),
    )


class CircuitBreakerSettings(Model):
    """When to stop calling a provider that fails, and how to find out that it works again."""

    failure_ratio: Ratio = 0.5
    """Part of the calls within `window` that must fail for the breaker to open. Refusals for
    rate or concurrency do not count: a provider that says so works."""

    window: Duration = 30.0
    """Time over which calls are counted."""

    min_requests: Count = 20
    """Calls within `window` below which it stays closed: two failures of three are no trend."""

    open_for: Duration = 10.0
    """Time without calls once open. Routes with another backend use that meanwhile."""

    half_open_probes: Annotated[int, Field(ge=1, le=100)] = 3
    """Calls let through after `openFor`. All must succeed to close it; one failure opens it
    again."""
