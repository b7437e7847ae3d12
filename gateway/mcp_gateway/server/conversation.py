"""The requests of one WebSocket: many at a time, answered in the order they finish.

Knows messages and tasks, nothing of frames. A request that is cancelled is not answered
(MCP 2025-11-25 §cancellation, and so in the stateless era on channels like this one).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING

from mcp_gateway.errors import GatewayError, InvalidMessage, Overloaded
from mcp_gateway.protocol import outbound
from mcp_gateway.protocol.event import Call, Notified
from mcp_gateway.protocol.inbound import Session, receive_frame
from mcp_gateway.protocol.jsonrpc import Id, Rejected
from mcp_gateway.proxy.exchange import Exchange, Face
from mcp_gateway.server.intake import begin, refuse
from mcp_gateway.server.mcp import Channel, MCPService

if TYPE_CHECKING:
    from mcp_gateway.server.listener import HTTPListener


class Conversation:
    """Starts an exchange for each request and sends its answer when it has one.

    Attributes:
        draining: new requests are refused.
        flooded: more invalid messages came than are looked at; the connection should be closed.
    """

    __slots__ = (
        "_channel",
        "_credential",
        "_in_flight",
        "_listener",
        "_on_idle",
        "_peer",
        "_service",
        "_session",
        "_timeout",
        "draining",
        "flooded",
    )

    def __init__(
        self,
        listener: HTTPListener,
        service: MCPService,
        channel: Channel,
        *,
        on_idle: Callable[[], None],
        credential: str,
        peer: str,
        timeout: float | None,
    ) -> None:
        """Begin.

        Args:
            listener: owns the tasks, and bounds how many one connection may have.
            service: answers calls.
            channel: the connection.
            on_idle: called when the last request in work has ended.
            credential: presented at the upgrade; every message is authenticated with it again,
                so a key that was revoked ends with the next message.
            peer: the client's address.
            timeout: seconds the client waits for each answer; None where it did not say.
        """
        self._listener = listener
        self._service = service
        self._channel = channel
        self._on_idle = on_idle
        self._credential = credential
        self._peer = peer
        self._timeout = timeout
        self._session = Session()
        self._in_flight: dict[Id | object, asyncio.Task[None]] = {}
        self.draining = False
        self.flooded = False

    @property
    def idle(self) -> bool:
        """No request is in work."""
        return not self._in_flight

    def receive(self, text: bytes) -> None:
        """Act on one message."""
        event = receive_frame(self._session, text)
        if isinstance(event, Call):
            self._call(event)
        elif isinstance(event, Rejected):
            if self._full:
                self.flooded = True
            else:
                # An exchange like any other: garbage meets the rate limit too.
                self._start(object(), self._reject(event))
        elif isinstance(event, Notified) and event.cancels is not None:
            task = self._in_flight.get(event.cancels)
            if task is not None:
                task.cancel()

    def cancel(self) -> None:
        """Cancel everything in work: there is nobody left to answer."""
        for task in list(self._in_flight.values()):
            task.cancel()

    @property
    def _full(self) -> bool:
        return len(self._in_flight) >= self._listener.bounds.max_in_flight

    def _call(self, call: Call) -> None:
        error: GatewayError | None = None
        if call.id in self._in_flight:
            error = InvalidMessage("a request with this id is in work")
        elif self.draining:
            error = Overloaded("shutting down: connect again and repeat the request")
        elif self._full:
            error = Overloaded("too many requests in work on this connection")
        if error is not None:
            self._channel.notify(outbound.error(call.id, error))
        else:
            self._start(call.id, self._answer(call))

    def _start(self, key: Id | object, work: Coroutine[None, None, None]) -> None:
        task = self._listener.loop.create_task(work, name="exchange")
        self._in_flight[key] = task
        self._listener.tasks.add(task)
        # A callback and not `finally`: a task cancelled before its first step runs none of it.
        task.add_done_callback(lambda task: self._ended(key, task))

    def _ended(self, key: Id | object, task: asyncio.Task[None]) -> None:
        if self._in_flight.get(key) is task:
            del self._in_flight[key]
        self._listener.tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            self._listener.loop.call_exception_handler(
                {"message": "exchange failed", "exception": task.exception(), "task": task}
            )
        if not self._in_flight:
            self._on_idle()

    async def _answer(self, call: Call) -> None:
        exchange = self._begin(call.method)
        try:
            answer = await self._service.answer(call, exchange, self._channel)
        except GatewayError as error:
            answer = outbound.error(call.id, error)
        # Who has read the answer may use its id again before this task's end is noticed.
        self._in_flight.pop(call.id, None)
        self._channel.notify(answer)

    async def _reject(self, event: Rejected) -> None:
        try:
            await refuse(self._service.engine, self._begin(""), event.error)
        except GatewayError as error:
            self._channel.notify(outbound.error(event.id, error))

    def _begin(self, method: str) -> Exchange:
        exchange = begin(
            self._service.engine,
            self._listener.loop,
            face=Face.WEBSOCKET,
            method=method,
            credential=self._credential,
            peer=self._peer,
        )
        if self._timeout is not None:
            exchange.deadline = exchange.started + self._timeout
        return exchange
