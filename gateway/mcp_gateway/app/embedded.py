"""Chats asked by Python code of this process, without a listener in between."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import replace

import msgspec

from mcp_gateway.api import ChatDelta, ChatRequest, ChatResponse, Timings, Usage
from mcp_gateway.errors import GatewayError, InvalidArguments, LocalProtocolError
from mcp_gateway.providers.base import ChatAnswer, StreamEvent
from mcp_gateway.proxy.engine import Engine
from mcp_gateway.proxy.exchange import Client, Exchange, Face, Operation

METHOD = "chat"
CLIENT = Client("embedded")
MAX_AHEAD = 256
"""Pieces a stream's reader may be behind before the provider is read more slowly."""


async def chat(engine: Engine, request: ChatRequest) -> ChatResponse:
    """Ask, and return the whole answer or its typed error. Never raises a `GatewayError`."""
    exchange = _exchange(engine, request)
    return await _carry(engine, exchange, request)


class ChatStream(AsyncIterator[ChatDelta]):
    """The answer in pieces; `response` is the whole once the iteration has ended.

    A failure is raised by the iteration, after the pieces that came before it. `aclose`, or
    leaving `async with`, cancels the upstream call.
    """

    def __init__(self, engine: Engine, request: ChatRequest) -> None:
        self.response: ChatResponse | None = None
        self._pieces: asyncio.Queue[ChatDelta | None] = asyncio.Queue()
        self._text: list[str] = []
        self._room = asyncio.Event()
        self._room.set()
        exchange = _exchange(engine, request)
        exchange.sink = self
        run = self._run(engine, exchange, request)
        self._task = asyncio.get_running_loop().create_task(run, name=f"stream {exchange.id}")

    async def __aenter__(self) -> ChatStream:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def __anext__(self) -> ChatDelta:
        piece = None if self._ended else await self._pieces.get()
        if piece is not None:
            if self._pieces.qsize() < MAX_AHEAD:
                self._room.set()
            return piece
        await asyncio.wait([self._task])
        if self._task.cancelled():
            raise StopAsyncIteration
        self._task.result()
        assert self.response is not None, "the task sets the response before it ends"
        if self.response.error is not None:
            raise self.response.error
        raise StopAsyncIteration

    async def aclose(self) -> None:
        """Stop, and cancel the upstream call if it is still running. Idempotent."""
        self._task.cancel()
        await asyncio.wait([self._task])

    def send(self, event: StreamEvent) -> None:
        """Take an event from the provider."""
        if event.content or event.reasoning:
            self._text.append(event.content)
            self._pieces.put_nowait(ChatDelta(event.content, event.reasoning))
            if self._pieces.qsize() >= MAX_AHEAD:
                self._room.clear()

    @property
    def congested(self) -> bool:
        """The reader is far behind."""
        return not self._room.is_set()

    async def drained(self) -> None:
        """Return when the reader has caught up."""
        await self._room.wait()

    @property
    def _ended(self) -> bool:
        return self._task.done() and self._pieces.empty()

    async def _run(self, engine: Engine, exchange: Exchange, request: ChatRequest) -> None:
        try:
            response = await _carry(engine, exchange, request)
            if response.error is not None:
                response = replace(response, text="".join(self._text))
            self.response = response
        finally:
            self._pieces.put_nowait(None)


def _exchange(engine: Engine, request: ChatRequest) -> Exchange:
    now = asyncio.get_running_loop().time()
    return Exchange(
        id=engine.new_id(),
        face=Face.EMBEDDED,
        method=METHOD,
        started=now,
        wall=time.time(),
        operation=Operation.CHAT,
        client=CLIENT,
        deadline=now + request.timeout if request.timeout is not None else None,
    )


async def _carry(engine: Engine, exchange: Exchange, request: ChatRequest) -> ChatResponse:
    error: GatewayError | None = None
    answer: ChatAnswer | None = None
    try:
        arguments = request.fields()
        if request.provider:
            arguments["provider"] = request.provider
        try:
            encoded = msgspec.json.encode(arguments)
        except (TypeError, ValueError) as exc:
            raise InvalidArguments(f"the request cannot be written as JSON: {exc}") from exc
        exchange.call = engine.catalog.call_from_tool("chat", encoded)
        answer = await engine.handle(exchange)
        if answer is None:
            raise LocalProtocolError("a chat came back without an answer")
    except GatewayError as exc:
        error = exc
    total = asyncio.get_running_loop().time() - exchange.started
    timings = Timings(exchange.queued, exchange.upstream, total, exchange.first_token)
    if answer is None:
        answer = ChatAnswer()
    return ChatResponse(
        id=exchange.id,
        text=answer.content,
        error=error,
        reasoning=answer.reasoning,
        finish_reason=answer.finish_reason,
        tool_calls=msgspec.json.decode(answer.tool_calls) if answer.tool_calls else (),
        provider=exchange.provider,
        model=answer.model or exchange.model,
        usage=Usage(answer.prompt_tokens, answer.completion_tokens),
        timings=timings,
        attempts=len(exchange.attempts),
    )
