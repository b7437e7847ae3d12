"""An engine that answers from a script: what is behind the listeners, reduced to its border.

The catalog is the real one; only what lies behind `handle` (layers, providers) is scripted.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import cast

import msgspec

from mcp_gateway.errors import GatewayError
from mcp_gateway.providers.base import ChatAnswer, StreamEvent
from mcp_gateway.proxy.catalog import Catalog
from mcp_gateway.proxy.exchange import Exchange, Operation
from mcp_gateway.proxy.model_list import ModelList


class _Listed:
    def __init__(self, models: Sequence[str]) -> None:
        self._models = models

    async def get(self) -> Sequence[str]:
        return self._models


def completion(content: str = "Hello!") -> ChatAnswer:
    """A whole answer, with the body a provider would have sent."""
    message = {"role": "assistant", "content": content}
    body = {"id": "c1", "choices": [{"message": message, "finish_reason": "stop"}]}
    return ChatAnswer(
        body=msgspec.json.encode(body),
        content=content,
        finish_reason="stop",
        model="kimi-k2",
        prompt_tokens=3,
        completion_tokens=2,
    )


def piece(text: str) -> StreamEvent:
    """One event of a streamed answer."""
    delta = {"choices": [{"delta": {"content": text}}]}
    return StreamEvent(msgspec.json.encode(delta), content=text)


DONE = StreamEvent(b"[DONE]")


class StandInEngine:
    """Answers every chat alike.

    Attributes:
        exchanges: every exchange handled, in order.
        answer: returned for a chat.
        events: sent to the sink of a streamed chat before the answer, each after a turn.
        error: raised instead, where set; for a streamed chat after its events.
        refuse: looked at first, for every exchange: an error here is raised.
        gate: chats wait for it, after their events, where it is set.
        cancelled: ids of exchanges that were cancelled.
    """

    def __init__(self) -> None:
        self.catalog = Catalog([], {"kimi": cast(ModelList, _Listed(["kimi-k2", "moonshot-v1"]))})
        self.exchanges: list[Exchange] = []
        self.answer = completion()
        self.events: list[StreamEvent] = []
        self.error: GatewayError | None = None
        self.refuse: Callable[[Exchange], GatewayError | None] = lambda exchange: None
        self.gate: asyncio.Event | None = None
        self.cancelled: list[str] = []

    def new_id(self) -> str:
        """32 hexadecimal digits, counting."""
        return f"{len(self.exchanges) + 1:032x}"

    async def handle(self, exchange: Exchange) -> ChatAnswer | None:
        """Play the script."""
        self.exchanges.append(exchange)
        refused = self.refuse(exchange)
        if refused is not None:
            raise refused
        if exchange.invalid is not None:
            raise exchange.invalid
        if exchange.operation is not Operation.CHAT:
            return None
        try:
            await self._stream(exchange)
            if self.gate is not None:
                await self.gate.wait()
        except asyncio.CancelledError:
            self.cancelled.append(exchange.id)
            raise
        if self.error is not None:
            raise self.error
        exchange.provider = "kimi"
        return self.answer

    async def _stream(self, exchange: Exchange) -> None:
        sink = exchange.sink
        if sink is None:
            return
        for event in self.events:
            await asyncio.sleep(0)
            if sink.congested:
                await sink.drained()
            sink.send(event)
