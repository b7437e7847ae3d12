"""The transport against a network that is made of a queue in each direction."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from typing import Any

import pytest
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosedError, InvalidStatus
from websockets.frames import Close
from websockets.http11 import Response
from websockets.protocol import State

from mcp_gateway.client.backoff import Backoff
from mcp_gateway.client.transport import Settings
from mcp_gateway.client.websocket import WebSocketTransport
from mcp_gateway.client.wire import Progress, Result, ToolCall
from mcp_gateway.errors import (
    ConnectFailed,
    ConnectionLost,
    Overloaded,
    RemoteProtocolError,
    Unauthenticated,
)


class Wire:
    """One connection: what the client sent, and what it will receive."""

    def __init__(self) -> None:
        self.sent: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.state = State.OPEN
        self.closed_with: int | None = None
        self.full = asyncio.Event()
        self.full.set()
        self._incoming: asyncio.Queue[bytes | None] = asyncio.Queue()

    async def send(self, message: bytes, /, text: bool | None = None) -> None:
        if self.state is not State.OPEN:
            raise ConnectionClosedError(None, None)
        self.sent.put_nowait(json.loads(message))
        await self.full.wait()

    async def recv(self, decode: bool | None = None) -> bytes:
        message = await self._incoming.get()
        if message is None:
            raise ConnectionClosedError(Close(1001, "restarting"), None)
        return message

    async def close(self, code: int = 1000) -> None:
        if self.closed_with is None:
            self.closed_with = code
        self.state = State.CLOSED

    def lose(self) -> None:
        self.state = State.CLOSED
        self._incoming.put_nowait(None)

    def push(self, **message: Any) -> None:
        self._incoming.put_nowait(json.dumps({"jsonrpc": "2.0", **message}).encode())

    def push_raw(self, data: bytes) -> None:
        self._incoming.put_nowait(data)

    def answer(self, call_id: int, text: str = "ok") -> None:
        self.push(id=call_id, result={"text": text})

    def progress(self, call_id: int, text: str) -> None:
        params = {"progressToken": call_id, "progress": 1, "message": text}
        self.push(method="notifications/progress", params=params)


class Network:
    """Hands out connections, or fails to, as the test says."""

    def __init__(self) -> None:
        self.wires: asyncio.Queue[Wire] = asyncio.Queue()
        self.failures: list[Exception] = []
        self.tries: list[float] = []

    async def open(self, settings: Settings) -> Wire:
        self.tries.append(asyncio.get_running_loop().time())
        await asyncio.sleep(0)
        if self.failures:
            raise self.failures.pop(0)
        wire = Wire()
        self.wires.put_nowait(wire)
        return wire


@asynccontextmanager
async def transport(network: Network, **settings: Any) -> AsyncIterator[WebSocketTransport]:
    made = WebSocketTransport(
        Settings(url="ws://gateway/mcp", **settings),
        backoff=Backoff(1.0, 8.0, random=lambda: 1.0),
        open_connection=network.open,
    )
    try:
        yield made
    finally:
        await made.aclose()


async def ask(client: WebSocketTransport, call_id: int = 1) -> list[Progress | Result]:
    return [event async for event in client.events(ToolCall(call_id, "chat", {}))]


def status(code: int, **headers: str) -> InvalidStatus:
    return InvalidStatus(Response(code, "", Headers(headers)))


async def test_nothing_is_connected_before_the_first_call() -> None:
    network = Network()
    async with transport(network):
        await asyncio.sleep(100)

    assert network.tries == []


async def test_a_call_is_sent_and_its_answer_comes_back() -> None:
    network = Network()
    async with transport(network) as client, asyncio.TaskGroup() as tasks:
        call = tasks.create_task(ask(client))
        wire = await network.wires.get()
        sent = await wire.sent.get()
        wire.progress(sent["id"], "Hel")
        wire.answer(sent["id"])

    assert call.result() == [Progress(1, "Hel"), Result(1, {"text": "ok"})]


async def test_many_calls_share_a_connection_and_may_be_answered_in_any_order() -> None:
    network = Network()
    async with transport(network) as client, asyncio.TaskGroup() as tasks:
        calls = [tasks.create_task(ask(client, number)) for number in range(50)]
        wire = await network.wires.get()
        ids = [(await wire.sent.get())["id"] for _ in calls]
        for call_id in reversed(ids):
            wire.answer(call_id, str(call_id))

    assert [call.result() for call in calls] == [[Result(n, {"text": str(n)})] for n in range(50)]
    assert len(network.tries) == 1


async def test_a_lost_connection_ends_what_was_sent_and_is_opened_again_for_the_next() -> None:
    network = Network()
    async with transport(network) as client:
        async with asyncio.TaskGroup() as tasks:
            lost = tasks.create_task(expect(ConnectionLost, ask(client, 1)))
            wire = await network.wires.get()
            await wire.sent.get()
            wire.lose()
        assert "1001" in str(lost.result())

        async with asyncio.TaskGroup() as tasks:
            call = tasks.create_task(ask(client, 2))
            wire = await network.wires.get()
            assert (await wire.sent.get())["id"] == 2
            wire.answer(2)
        assert call.result()[-1] == Result(2, {"text": "ok"})


async def test_what_was_surely_not_sent_goes_out_on_the_next_connection() -> None:
    network = Network()
    async with transport(network) as client, asyncio.TaskGroup() as tasks:
        sent = tasks.create_task(expect(ConnectionLost, ask(client, 1)))
        wire = await network.wires.get()
        wire.full.clear()  # the first call fills the buffers, the second stays here
        await wire.sent.get()
        unsent = tasks.create_task(ask(client, 2))
        await asyncio.sleep(1)
        wire.lose()

        wire = await network.wires.get()
        assert (await wire.sent.get())["id"] == 2
        wire.answer(2)

    assert isinstance(sent.result(), ConnectionLost)
    assert unsent.result() == [Result(2, {"text": "ok"})]


async def test_a_connection_found_closed_takes_nothing_away() -> None:
    network = Network()
    async with transport(network) as client, asyncio.TaskGroup() as tasks:
        first = tasks.create_task(ask(client, 1))
        wire = await network.wires.get()
        await wire.sent.get()
        wire.answer(1)
        await first
        wire.state = State.CLOSING  # known to the protocol, not yet to the reader
        call = tasks.create_task(ask(client, 2))
        await asyncio.sleep(1)
        wire.lose()

        wire = await network.wires.get()
        assert (await wire.sent.get())["id"] == 2
        wire.answer(2)

    assert call.result() == [Result(2, {"text": "ok"})]


async def test_tries_to_connect_grow_apart_until_the_call_gives_up() -> None:
    network = Network()
    network.failures = [ConnectionRefusedError(111, "refused") for _ in range(20)]
    async with transport(network, reconnect_for=10.0) as client:
        start = asyncio.get_running_loop().time()
        await expect(ConnectFailed, ask(client))

    assert [moment - start for moment in network.tries] == [0, 1, 3, 7, 10]


async def test_a_gateway_that_comes_back_in_time_is_found() -> None:
    network = Network()
    network.failures = [ConnectionRefusedError(111, "refused") for _ in range(3)]
    async with transport(network) as client, asyncio.TaskGroup() as tasks:
        call = tasks.create_task(ask(client))
        wire = await network.wires.get()
        await wire.sent.get()
        wire.answer(1)

    assert call.result() == [Result(1, {"text": "ok"})]
    assert len(network.tries) == 4


async def test_without_patience_there_is_one_try() -> None:
    network = Network()
    network.failures = [ConnectionRefusedError(111, "refused") for _ in range(5)]
    async with transport(network, reconnect_for=0.0) as client:
        await expect(ConnectFailed, ask(client))

    assert len(network.tries) == 1


async def test_a_key_that_is_refused_is_not_tried_again() -> None:
    network = Network()
    network.failures = [status(401) for _ in range(5)]
    async with transport(network) as client:
        await expect(Unauthenticated, ask(client))

    assert len(network.tries) == 1


async def test_a_full_gateway_is_asked_again_when_it_says() -> None:
    network = Network()
    network.failures = [status(503, **{"Retry-After": "4"})]
    async with transport(network) as client, asyncio.TaskGroup() as tasks:
        tasks.create_task(ask(client))
        wire = await network.wires.get()
        await wire.sent.get()
        wire.answer(1)

    assert network.tries[1] - network.tries[0] == 4.0


async def test_a_gateway_that_throws_out_whom_it_let_in_is_not_hammered() -> None:
    network = Network()

    async def open_and_lose(settings: Settings) -> Wire:
        wire = await network.open(settings)
        wire.lose()
        return wire

    client = WebSocketTransport(
        Settings(url="ws://gateway/mcp", reconnect_for=10.0),
        backoff=Backoff(1.0, 8.0, random=lambda: 1.0),
        open_connection=open_and_lose,
    )
    await expect(ConnectionLost, ask(client))
    await client.aclose()

    assert len(network.tries) == 5


async def test_leaving_a_call_early_cancels_it_at_the_gateway() -> None:
    network = Network()
    async with transport(network) as client:
        async with aclosing(client.events(ToolCall(1, "chat", {}))) as events:
            async with asyncio.TaskGroup() as tasks:
                first = tasks.create_task(anext(events))
                wire = await network.wires.get()
                await wire.sent.get()
                wire.progress(1, "Hel")
            assert first.result() == Progress(1, "Hel")
        message = await wire.sent.get()

    assert message["method"] == "notifications/cancelled"
    assert message["params"]["requestId"] == 1


async def test_a_cancelled_task_cancels_its_call() -> None:
    network = Network()
    async with transport(network) as client:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(5):
                await ask(client)
        wire = await network.wires.get()

        assert (await wire.sent.get())["method"] == "tools/call"
        assert (await wire.sent.get())["method"] == "notifications/cancelled"


async def test_a_call_cancelled_before_it_was_sent_is_never_sent() -> None:
    network = Network()
    network.failures = [ConnectionRefusedError(111, "refused") for _ in range(3)]
    async with transport(network) as client, asyncio.TaskGroup() as tasks:
        call = tasks.create_task(ask(client, 1))
        await asyncio.sleep(0.5)
        call.cancel()
        await asyncio.sleep(0)
        other = tasks.create_task(ask(client, 2))
        wire = await network.wires.get()
        assert (await wire.sent.get())["id"] == 2
        wire.answer(2)
        await other

    assert wire.sent.empty()


async def test_nothing_is_connected_only_to_cancel() -> None:
    network = Network()
    async with transport(network) as client:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(expect(ConnectionLost, ask(client)))
            wire = await network.wires.get()
            await wire.sent.get()
            wire.lose()
        await asyncio.sleep(100)

    assert len(network.tries) == 1


async def test_the_late_answer_to_a_cancelled_call_is_dropped() -> None:
    network = Network()
    async with transport(network) as client, asyncio.TaskGroup() as tasks:
        cancelled = tasks.create_task(ask(client, 1))
        wire = await network.wires.get()
        await wire.sent.get()
        cancelled.cancel()
        wire.progress(1, "late")
        wire.answer(1)
        wire.push(method="notifications/message", params={})
        call = tasks.create_task(ask(client, 2))
        while (await wire.sent.get()).get("id") != 2:
            pass
        wire.answer(2)

    assert call.result() == [Result(2, {"text": "ok"})]


@pytest.mark.parametrize(
    "message",
    [b"nonsense", b'{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"not JSON"}}'],
)
async def test_a_gateway_that_breaks_the_protocol_is_left(message: bytes) -> None:
    network = Network()
    async with transport(network) as client, asyncio.TaskGroup() as tasks:
        tasks.create_task(expect(RemoteProtocolError, ask(client)))
        wire = await network.wires.get()
        await wire.sent.get()
        wire.push_raw(message)

    assert wire.closed_with == 1002


async def test_a_stream_nobody_reads_is_cancelled_at_its_bound() -> None:
    network = Network()
    async with (
        transport(network, max_message=1000) as client,
        aclosing(client.events(ToolCall(1, "chat", {}))) as events,
    ):
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(anext(events))
            wire = await network.wires.get()
            await wire.sent.get()
            for _ in range(20):
                wire.progress(1, "x" * 100)
        message = await wire.sent.get()
        await expect(Overloaded, rest(events))

    assert message["method"] == "notifications/cancelled"


async def test_closing_ends_calls_in_flight_and_refuses_new_ones() -> None:
    network = Network()
    async with transport(network) as client:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(expect(ConnectionLost, ask(client)))
            wire = await network.wires.get()
            await wire.sent.get()
            await client.aclose()
        with pytest.raises(RuntimeError, match="closed"):
            await ask(client, 2)

    assert wire.closed_with == 1000


async def test_a_defect_leaves_nobody_waiting_and_the_next_call_starts_anew() -> None:
    network = Network()
    network.failures = [AssertionError("a defect")]
    async with transport(network) as client:
        await expect(ConnectionLost, ask(client, 1))
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(ask(client, 2))
            wire = await network.wires.get()
            await wire.sent.get()
            wire.answer(2)


async def rest(events: AsyncIterator[Progress | Result]) -> list[Progress | Result]:
    return [event async for event in events]


async def expect(cls: type[Exception], awaitable: Any) -> Exception:
    with pytest.raises(cls) as caught:
        await awaitable
    return caught.value
