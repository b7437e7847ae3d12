"""What the MCP methods do, the same over HTTP and WebSocket.

Every method runs through the engine's layers first, so that a client without a credential learns
nothing and a flood of harmless calls meets the rate limit.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, Protocol

import msgspec

from mcp_gateway.errors import GatewayError, InvalidArguments, RemoteProtocolError, UpstreamError
from mcp_gateway.protocol import outbound
from mcp_gateway.protocol.event import Call
from mcp_gateway.protocol.jsonrpc import Id
from mcp_gateway.providers.base import StreamEvent
from mcp_gateway.proxy.exchange import Exchange, Operation
from mcp_gateway.server.backend import Engine
from mcp_gateway.server.intake import refuse


class Channel(Protocol):
    """Where notifications about a request go while it is in work."""

    def notify(self, message: bytes) -> None:
        """Send one JSON-RPC notification. Never blocks."""

    @property
    def congested(self) -> bool:
        """The client reads slower than notifications come."""

    async def drained(self) -> None:
        """Return when not congested."""


class ProgressSink:
    """Turns a provider's events into `notifications/progress` that carry what they add.

    MCP 2026-07-28 §progress: `progress` increases with each notification; it counts them.
    """

    __slots__ = ("_channel", "_count", "_token")

    def __init__(self, channel: Channel, token: Id) -> None:
        self._channel = channel
        self._token = token
        self._count = 0

    def send(self, event: StreamEvent) -> None:
        """Pass on what an event adds to the answer or the reasoning; the rest says nothing.

        Also the reasoning is progress: a client that waits for signs of life gets them.
        """
        content, reasoning = event.content, event.reasoning
        if content or reasoning:
            self._count += 1
            message = outbound.progress(self._token, self._count, content, reasoning)
            self._channel.notify(message)

    @property
    def congested(self) -> bool:
        """The client reads slower than the provider writes."""
        return self._channel.congested

    async def drained(self) -> None:
        """Return when not congested."""
        await self._channel.drained()


class MCPService:
    """Answers calls."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._loop = asyncio.get_running_loop()

    def answer(
        self, call: Call, exchange: Exchange, channel: Channel | None
    ) -> Coroutine[Any, Any, bytes]:
        """Return the whole JSON-RPC response to a call; failures of tools are results.

        An ordinary function, to cost no extra frame: what it returns is to be awaited.

        Args:
            call: what the client asks for.
            exchange: its exchange, just begun; it is filled in here.
            channel: where progress goes; None where there is no way to send it.

        Raises:
            GatewayError: to be answered as a JSON-RPC error.
        """
        exchange.request_id = str(call.id)
        if call.meta_traceparent:
            exchange.traceparent = call.meta_traceparent
            exchange.tracestate = call.meta_tracestate
        if call.method == "tools/call":
            exchange.tool = call.tool
            return self._call_tool(call, exchange, channel)
        return self._protocol(call, exchange)

    async def _protocol(self, call: Call, exchange: Exchange) -> bytes:
        await self.engine.handle(exchange)
        catalog, method = self.engine.catalog, call.method
        if method == "tools/list":
            return outbound.tools_list(call.id, call.era, catalog.tools_json)
        if method == "server/discover":
            return outbound.discover(call.id, catalog.instructions)
        if method == "initialize":
            return outbound.initialize(call.id, call.version, catalog.instructions)
        assert method == "ping", "the protocol lets through what is served"
        return outbound.empty(call.id, call.era)

    async def _call_tool(self, call: Call, exchange: Exchange, channel: Channel | None) -> bytes:
        try:
            chat = self.engine.catalog.call_from_tool(call.tool, call.arguments)
        except GatewayError as error:
            return await self._refuse(call, exchange, error)
        if chat is None:
            return await self._models(call, exchange)
        exchange.operation = Operation.CHAT
        exchange.call = chat
        if call.progress_token is not None and channel is not None:
            chat.stream = True
            exchange.sink = ProgressSink(channel, call.progress_token)
        try:
            answer = await self.engine.handle(exchange)
        except (UpstreamError, RemoteProtocolError) as error:
            return outbound.tool_error(call.id, call.era, error, exchange.id)
        assert answer is not None, "a chat that did not fail has an answer"
        total = self._loop.time() - exchange.started
        return outbound.chat_result(call.id, call.era, answer, exchange, total)

    async def _refuse(self, call: Call, exchange: Exchange, error: GatewayError) -> bytes:
        """Wrong arguments are a result that the model can read; the rest is raised."""
        try:
            await refuse(self.engine, exchange, error)
        except InvalidArguments as invalid:
            return outbound.tool_error(call.id, call.era, invalid, exchange.id)

    async def _models(self, call: Call, exchange: Exchange) -> bytes:
        exchange.operation = Operation.MODELS
        await self.engine.handle(exchange)
        models = await self.engine.catalog.models(exchange.client)
        listed = [{"id": model.id, "provider": model.provider} for model in models]
        return outbound.structured_result(
            call.id, call.era, msgspec.json.encode({"models": listed})
        )
