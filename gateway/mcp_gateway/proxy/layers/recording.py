"""Hands a copy of every exchange to the recorder. Always there, just inside the metrics.

Only references are taken here; encoding, redaction and the disk are the recorder's, off the
path. In `sync` durability, and only there, the answer waits for the commit.
"""

from __future__ import annotations

import asyncio
from typing import Protocol

from mcp_gateway.errors import GatewayError
from mcp_gateway.providers.base import ChatAnswer
from mcp_gateway.proxy.exchange import Exchange
from mcp_gateway.proxy.middleware import Handler
from mcp_gateway.proxy.outcome import milliseconds, status_code
from mcp_gateway.recording.record import Record, Try

MAX_ERROR = 2000


class Recorder(Protocol):
    """What the layer needs of `recording.recorder.Recorder`."""

    def put(self, record: Record) -> bool:
        """Take the record, or count it as dropped. Never waits."""

    async def put_durably(self, record: Record) -> None:
        """Take the record and return when it is on disk."""


class RecordingLayer:
    """Records an exchange when it ends, however it ends."""

    def __init__(self, recorder: Recorder, *, sync: bool) -> None:
        self._recorder = recorder
        self._put = recorder.put
        self._sync = sync
        self._loop = asyncio.get_running_loop()

    async def __call__(self, exchange: Exchange, handler: Handler) -> ChatAnswer | None:
        """Go on, then record."""
        try:
            answer = await handler(exchange)
        except BaseException as error:
            if exchange.recorded:
                record = self._record(exchange, None, error)
                if self._sync and isinstance(error, GatewayError):
                    await self._recorder.put_durably(record)
                else:
                    self._put(record)
            raise
        if exchange.recorded:
            record = self._record(exchange, answer, None)
            if self._sync:
                await self._recorder.put_durably(record)
            else:
                self._put(record)
        return answer

    def _record(
        self, exchange: Exchange, answer: ChatAnswer | None, error: BaseException | None
    ) -> Record:
        call = exchange.call
        first = exchange.first_token
        record = Record(
            exchange.id,
            exchange.wall,
            exchange.face,
            "error" if error is not None else exchange.kind,
            exchange.method,
            exchange.tool,
            exchange.request_id,
            exchange.client.name,
            exchange.route,
            exchange.provider,
            call.model if call is not None else "",
            exchange.model,
            status_code(error),
        )
        record.attempts = len(exchange.attempts)
        record.queue_ms = milliseconds(exchange.queued)
        record.upstream_ms = milliseconds(exchange.upstream)
        record.total_ms = milliseconds(self._loop.time() - exchange.started)
        record.first_token_ms = milliseconds(first) if first is not None else None
        record.streamed = exchange.streamed
        trace = exchange.trace
        if trace is not None and trace.sampled:
            record.traceparent = trace.traceparent
        else:
            record.traceparent = exchange.traceparent
        if answer is not None:
            record.prompt_tokens = answer.prompt_tokens
            record.completion_tokens = answer.completion_tokens
            record.finish_reason = answer.finish_reason
        if error is not None:
            record.error = type(error).__name__
            record.error_message = str(error)[:MAX_ERROR]
        if error is not None or record.attempts > 1 or exchange.pod:
            record.tries = [
                Try(
                    a.provider,
                    a.model,
                    milliseconds(a.queue),
                    milliseconds(a.upstream),
                    a.outcome,
                    a.status,
                    a.pod,
                )
                for a in exchange.attempts
            ]
        _keep_content(record, exchange, answer)
        return record


def _keep_content(record: Record, exchange: Exchange, answer: ChatAnswer | None) -> None:
    call = exchange.call
    if exchange.kept.request and call is not None:
        record.request = call.body if call.body is not None else call.fields
    if exchange.kept.response:
        record.events = exchange.events or None
        if answer is not None and answer.body:
            record.response = answer.body
