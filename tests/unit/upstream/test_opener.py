from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import pytest
from tests.support.fake_upstream import FakeConnector

from mcp_gateway.errors import ConnectFailed, UpstreamTimeout
from mcp_gateway.upstream.connection import Connection, State
from mcp_gateway.upstream.endpoint import Endpoint
from mcp_gateway.upstream.opener import ConnectError, Opener, copy_error

A, B = Endpoint.parse("http://a.test"), Endpoint.parse("http://b.test")


class Results:
    def __init__(self, connector: FakeConnector) -> None:
        self.connections: list[Connection] = []
        self.errors: list[ConnectError] = []
        self.opener = Opener(
            "p",
            [A, B],
            connector,
            opened=self.connections.append,
            failed=self.errors.append,
            rng=lambda: 0.0,
        )


async def test_connections_are_opened_in_turn_and_counted_from_the_start() -> None:
    loop = asyncio.get_running_loop()
    connector = FakeConnector(delay=1.0)
    it = Results(connector)
    for _ in range(4):
        it.opener.open(loop)
    assert it.opener.connecting == 4
    await asyncio.sleep(1.1)
    assert it.opener.connecting == 0
    assert len(it.connections) == 4
    assert connector.tried == [A, B, A, B]
    await it.opener.aclose()


async def test_a_failure_puts_its_endpoint_aside() -> None:
    loop = asyncio.get_running_loop()
    connector = FakeConnector()
    connector.fail_with = lambda: ConnectFailed("refused")
    it = Results(connector)
    it.opener.open(loop)
    await asyncio.sleep(0.1)
    assert [str(error) for error in it.errors] == ["refused"]
    assert it.opener.failures == 1
    assert it.opener.last_error == "refused"
    connector.fail_with = None
    it.opener.open(loop)
    it.opener.open(loop)
    await asyncio.sleep(0.1)
    assert connector.tried == [A, B, B]


async def test_a_connection_that_died_at_once_is_a_failure() -> None:
    class Hasty(FakeConnector):
        async def connect(self, endpoint: Endpoint) -> Connection:
            connection = await super().connect(endpoint)
            self.transports[-1].eof()
            return connection

    it = Results(Hasty())
    it.opener.open(asyncio.get_running_loop())
    await asyncio.sleep(0.1)
    assert not it.connections
    assert "as soon as it was open" in str(it.errors[0])


async def test_an_unexpected_error_is_reported_and_still_an_answer() -> None:
    loop = asyncio.get_running_loop()
    reported: list[dict[str, Any]] = []
    loop.set_exception_handler(lambda _loop, context: reported.append(context))
    connector = FakeConnector()
    connector.fail_with = lambda: ZeroDivisionError("a bug")
    it = Results(connector)
    it.opener.open(loop)
    await asyncio.sleep(0.1)
    loop.set_exception_handler(None)
    assert isinstance(it.errors[0], ConnectFailed)
    assert "ZeroDivisionError" in str(it.errors[0])
    assert isinstance(reported[0]["exception"], ZeroDivisionError)


async def test_a_task_cancelled_by_somebody_else_is_a_failure() -> None:
    it = Results(FakeConnector(delay=1.0))
    it.opener.open(asyncio.get_running_loop())
    task = next(task for task in asyncio.all_tasks() if task.get_name().startswith("connect p "))
    task.cancel()
    await asyncio.sleep(0.1)
    assert "given up" in str(it.errors[0])
    assert it.opener.connecting == 0


async def test_closing_gives_up_what_is_under_way() -> None:
    it = Results(FakeConnector(delay=1.0))
    it.opener.open(asyncio.get_running_loop())
    await asyncio.sleep(0.5)
    await it.opener.aclose()
    await it.opener.aclose()
    assert not it.connections
    assert not it.errors


async def test_a_connection_that_comes_about_while_closing_is_closed() -> None:
    connector = FakeConnector(delay=1.0)
    made: list[Connection] = []

    class Stubborn(FakeConnector):
        async def connect(self, endpoint: Endpoint) -> Connection:
            # A handshake that is finished in the moment of the cancellation.
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.sleep(1.0)
            made.append(await connector.connect(endpoint))
            return made[0]

    it = Results(Stubborn())
    it.opener.open(asyncio.get_running_loop())
    await asyncio.sleep(0.5)
    await it.opener.aclose()
    assert not it.connections
    assert made[0].state is State.CLOSED


@pytest.mark.parametrize("error", [ConnectFailed("no"), UpstreamTimeout("late", phase="connect")])
def test_each_waiter_gets_an_error_of_its_own(error: ConnectError) -> None:
    error.__cause__ = OSError("why")
    copy = copy_error(error, "kimi")
    assert copy is not error
    assert type(copy) is type(error)
    assert str(copy) == str(error)
    assert copy.provider == "kimi"
    assert copy.__cause__ is error.__cause__
    assert copy.data().get("phase") == error.data().get("phase")
