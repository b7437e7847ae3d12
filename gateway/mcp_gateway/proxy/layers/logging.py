"""`logging`: one JSON line for each exchange.

The line says what was asked, who answered and where the time went. It never holds a credential,
and holds no prompt unless the document asks for it.
"""

from __future__ import annotations

import asyncio
import time

import msgspec

from mcp_gateway.providers.base import ChatAnswer
from mcp_gateway.proxy.exchange import Exchange
from mcp_gateway.proxy.middleware import Handler
from mcp_gateway.proxy.outcome import milliseconds, status_code
from mcp_gateway.telemetry.logs import LineWriter, timestamp

MAX_ERROR = 500


class ExchangeLine(msgspec.Struct, omit_defaults=True):
    """The fields of the line; what is empty is left out. Times are milliseconds."""

    time: str
    level: str
    message: str
    exchange: str
    face: str
    kind: str
    method: str
    status: int
    total_ms: float
    request_id: str = ""
    tool: str = ""
    client: str = ""
    route: str = ""
    provider: str = ""
    model: str = ""
    attempts: int = 0
    pod: str = ""
    queue_ms: float = 0.0
    upstream_ms: float = 0.0
    first_token_ms: float = 0.0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    error: str = ""
    error_message: str = ""
    traceparent: str = ""
    trace_id: str = ""
    span_id: str = ""
    prompt: msgspec.Raw | None = None
    content: str = ""


class LoggingLayer:
    """Writes a line when the exchange ends, however it ends."""

    def __init__(self, writer: LineWriter, *, level: str = "info", content: bool = False) -> None:
        self._add = writer.add
        self._errors_only = level in {"warning", "error"}
        self._content = content
        self._loop = asyncio.get_running_loop()

    async def __call__(self, exchange: Exchange, handler: Handler) -> ChatAnswer | None:
        """Go on, then write the line."""
        try:
            answer = await handler(exchange)
        except BaseException as error:
            self._write(exchange, None, error)
            raise
        self._write(exchange, answer, None)
        return answer

    def _write(
        self, exchange: Exchange, answer: ChatAnswer | None, error: BaseException | None
    ) -> None:
        first = exchange.first_token
        status = status_code(error)
        if status < 500 and self._errors_only:
            return
        line = ExchangeLine(
            timestamp(time.time()),
            "error" if status >= 500 else "info",
            "exchange",
            exchange.id,
            exchange.face,
            exchange.kind,
            exchange.method,
            status,
            milliseconds(self._loop.time() - exchange.started),
            exchange.request_id,
            exchange.tool,
            exchange.client.name,
            exchange.route,
            exchange.provider,
            exchange.model,
            len(exchange.attempts),
            exchange.pod,
            milliseconds(exchange.queued),
            milliseconds(exchange.upstream),
            milliseconds(first) if first is not None else 0.0,
        )
        if answer is not None:
            line.prompt_tokens = answer.prompt_tokens
            line.completion_tokens = answer.completion_tokens
        if error is not None:
            line.error = type(error).__name__
            line.error_message = str(error)[:MAX_ERROR]
        line.traceparent = exchange.traceparent
        if exchange.trace is not None and exchange.trace.sampled:
            line.trace_id = exchange.trace.trace_id
            line.span_id = exchange.trace.span_id
        if self._content and exchange.call is not None:
            line.prompt = exchange.call.fields["messages"]
            line.content = answer.content if answer is not None else ""
        self._add(line)
