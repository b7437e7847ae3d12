"""MCP over Streamable HTTP: one POST, answered with JSON or with an event stream.

MCP 2026-07-28 §transports, and the handshake era's form of it without sessions. In the stateless
era the end of the connection cancels the request; in the handshake era it does not, and
`notifications/cancelled` does.
"""

from __future__ import annotations

import asyncio
from typing import Any

from mcp_gateway.errors import GatewayError, RequestCancelled
from mcp_gateway.protocol import outbound, sse
from mcp_gateway.protocol.event import Call, Notified, Replied
from mcp_gateway.protocol.inbound import receive_http
from mcp_gateway.protocol.jsonrpc import MessageType, Rejected
from mcp_gateway.protocol.status import http_status
from mcp_gateway.protocol.versions import Era
from mcp_gateway.proxy.exchange import Exchange, Face
from mcp_gateway.server.cancellation import Cancellations
from mcp_gateway.server.intake import answer_head, begin_http, error_head
from mcp_gateway.server.mcp import MCPService
from mcp_gateway.server.message import EVENT_STREAM, JSON, HTTPRequest, error_body
from mcp_gateway.server.responder import Responder
from mcp_gateway.server.stream import EventStream


class StreamChannel(EventStream):
    """Carries a request's notifications on its own response."""

    __slots__ = ()

    def notify(self, message: bytes) -> None:
        """Send one notification."""
        self.send(sse.encode(message))


class MCPOverHTTP:
    """The application behind the MCP endpoint, for everything but WebSocket upgrades."""

    def __init__(self, service: MCPService) -> None:
        self._service = service
        self._engine = service.engine
        self._cancellations = Cancellations()
        self._loop = asyncio.get_running_loop()

    async def __call__(self, request: HTTPRequest, responder: Responder) -> None:
        """Answer one request."""
        if request.method != "POST":
            # No stream to GET and no session to DELETE, in any era.
            body = error_body("the MCP endpoint takes POST", "invalid_request_error")
            responder.respond(405, JSON + b"allow: POST\r\n", body)
            return
        event = receive_http(request.headers, request.body)
        method = event.method if isinstance(event, (Call, Notified)) else ""
        exchange = begin_http(request, self._engine, self._loop, face=Face.HTTP, method=method)
        if not isinstance(event, Call):
            await self._unanswered(event, exchange, responder)
            return
        task = asyncio.current_task()
        assert task is not None, "a listener runs each exchange in a task"
        if event.era is Era.STATELESS:
            responder.on_disconnect(task.cancel)
            await self._answer(event, exchange, responder)
        else:
            await self._answer_cancellable(event, exchange, responder, task)

    async def _answer_cancellable(
        self,
        call: Call,
        exchange: Exchange,
        responder: Responder,
        task: asyncio.Task[Any],
    ) -> None:
        """Answer a call that a notification can end, and the end of the connection does not."""
        key = (exchange.credential, exchange.peer, call.id)
        self._cancellations.add(key, task)
        cancelled = False
        try:
            await self._answer(call, exchange, responder)
        finally:
            cancelled = self._cancellations.remove(key, task)
            if cancelled and not responder.finished:
                # No answer is owed (MCP 2025-11-25 §cancellation), but HTTP has to end.
                error = RequestCancelled("cancelled by the client")
                _respond_error(call.id, call.era, exchange, responder, error)

    async def _answer(self, call: Call, exchange: Exchange, responder: Responder) -> None:
        stream: StreamChannel | None = None
        if call.wants_sse:
            stream = StreamChannel(responder, answer_head(exchange, EVENT_STREAM))
        try:
            body = await self._service.answer(call, exchange, stream)
        except GatewayError as error:
            _respond_error(call.id, call.era, exchange, responder, error)
            return
        if stream is not None and stream.started:
            stream.notify(body)
            stream.finish()
        else:
            responder.respond(200, answer_head(exchange), body)

    async def _unanswered(
        self, event: Notified | Replied | Rejected, exchange: Exchange, responder: Responder
    ) -> None:
        """Take in what is owed no result, once the layers agree."""
        era = event.era if isinstance(event, Notified) else Era.STATELESS
        exchange.kind = _kind(event)
        if isinstance(event, Rejected):
            exchange.invalid = event.error
        try:
            await self._engine.handle(exchange)
        except GatewayError as error:
            if isinstance(event, Rejected) and error is event.error:
                body = outbound.error(event.id, error)
                responder.respond(event.status, error_head(exchange, error), body)
            else:
                _respond_error(None, era, exchange, responder, error)
            return
        if isinstance(event, Notified) and event.cancels is not None:
            self._cancellations.cancel((exchange.credential, exchange.peer, event.cancels))
        responder.respond(202, answer_head(exchange, b""))


def _kind(event: Notified | Replied | Rejected) -> MessageType:
    return MessageType.REQUEST if isinstance(event, Rejected) else event.type


def _respond_error(
    request_id: str | int | None,
    era: Era,
    exchange: Exchange,
    responder: Responder,
    error: GatewayError,
) -> None:
    body = outbound.error(request_id, error)
    if responder.started:
        responder.write(sse.encode(body))
        responder.finish()
    else:
        responder.respond(http_status(error, era), error_head(exchange, error), body)
