from __future__ import annotations

import asyncio

import pytest
from tests.support.fake_upstream import FakeConnector
from tests.support.running_pool import running

from mcp_gateway.errors import ConnectFailed
from mcp_gateway.upstream.aside import aside


def soon() -> float:
    return asyncio.get_running_loop().time() + 5.0


async def test_a_question_borrows_a_connection_where_it_may() -> None:
    async with running(share=2) as (pool, connector):
        async with aside(pool, "@probe", soon()) as (connection, lease):
            assert lease is not None
            assert lease.connection is connection
            assert pool.in_flight == 1
        assert pool.in_flight == 0
        assert connector.open == 1


async def test_where_no_slot_is_held_it_has_a_connection_of_its_own() -> None:
    async with running(share=0) as (pool, connector):
        async with aside(pool, "@probe", soon()) as (connection, lease):
            assert lease is None
            assert connection.reusable
            assert pool.in_flight == 0
        await asyncio.sleep(0.001)
        assert connector.open == 0


async def test_an_endpoint_that_cannot_be_reached_is_noted() -> None:
    connector = FakeConnector()
    async with running(connector=connector, share=0) as (pool, _):
        connector.fail_with = lambda: ConnectFailed("refused")
        with pytest.raises(ConnectFailed):
            async with aside(pool, "@probe", soon()):
                pass
        stats = pool.stats()
        assert stats.connect_failures == 1
        assert stats.last_error
        assert [endpoint.failures for endpoint in stats.endpoints.values()] == [1]
