"""A connection for a question that is no request: a list of models, a probe."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from mcp_gateway.upstream.connection import Connection
from mcp_gateway.upstream.lease import Lease
from mcp_gateway.upstream.pool import Pool


@asynccontextmanager
async def aside(
    pool: Pool, client: str, deadline: float
) -> AsyncIterator[tuple[Connection, Lease | None]]:
    """Have a connection for the length of the block, lent where that is possible.

    Where this process was granted no slot, waiting for one would be in vain and the question takes
    none: it gets a connection of its own, which no limit counts.

    Args:
        pool: of the provider that is asked.
        client: in whose name a connection is lent.
        deadline: `loop.time()` when the question is given up.

    Raises:
        PoolError, DeadlineExceeded, ConnectFailed, UpstreamTimeout: there is none.
    """
    if not pool.holds_nothing():
        with await pool.acquire(client=client, deadline=deadline) as lease:
            yield lease.connection, lease
        return
    connection = await pool.connect()
    try:
        yield connection, None
    finally:
        connection.close()
