"""A pool with fake connections that is closed, and checked for leaks, at the end of a test."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from tests.support.fake_upstream import ENDPOINT, FakeConnector

from mcp_gateway.upstream.pool import Lease, Pool, PoolSettings, PoolState

SMALL = PoolSettings(max_connections=2, max_overflow=0, acquire_timeout=5.0, max_waiting=3)


@asynccontextmanager
async def running(
    settings: PoolSettings = SMALL, connector: FakeConnector | None = None, **options: Any
) -> AsyncIterator[tuple[Pool, FakeConnector]]:
    connector = connector or FakeConnector()
    options.setdefault("rng", lambda: 0.0)
    pool = Pool("kimi", [ENDPOINT], connector, settings, **options)
    pool.start()
    try:
        yield pool, connector
    finally:
        await pool.aclose()
        assert connector.open == 0, "nothing stays open behind a closed pool"
        assert connector.connecting == 0


def waiting(pool: Pool, client: str = "", **options: Any) -> asyncio.Task[Lease]:
    return asyncio.create_task(pool.acquire(client=client, **options))


def closed(pool: Pool) -> dict[str, int]:
    """The counts that are not zero."""
    return {reason.value: count for reason, count in pool.stats().closed.items() if count}


def state_of(pool: Pool) -> PoolState:
    """Its state, which a type checker would take for unchanged after an assert."""
    return pool.state


async def settle() -> None:
    """Let everything that is ready run."""
    await asyncio.sleep(0.001)
