"""The answer to a chat, in pieces."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from types import TracebackType
from typing import Self

from mcp_gateway.api.chat import ChatDelta, ChatResponse
from mcp_gateway.client import answer
from mcp_gateway.client.wire import Progress, Result
from mcp_gateway.errors import ConnectionLost, DeadlineExceeded, GatewayError


class ChatStream:
    """Yields each `ChatDelta` as it comes; afterwards `response` is the whole answer.

    ```python
    async with client.stream(request) as stream:
        async for delta in stream:
            print(delta.content, end="", flush=True)
    print(stream.response.usage.total_tokens)
    ```

    A failure, also in the middle, is raised by the iteration; `response` then has the typed
    `error` and the text that had come. Belongs to one task.
    """

    def __init__(
        self, events: AsyncGenerator[Progress | Result, None], deadline: float | None
    ) -> None:
        self._events = events
        self._deadline = deadline
        self._heard: list[str] = []
        self._reasoning: list[str] = []
        self._response: ChatResponse | None = None

    @property
    def response(self) -> ChatResponse:
        """The whole answer.

        Raises:
            RuntimeError: the stream is not at its end yet.
        """
        if self._response is None:
            raise RuntimeError("the stream has no response before its end: iterate over it first")
        return self._response

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> ChatDelta:
        if self._response is not None:
            raise StopAsyncIteration
        try:
            event = await self._next()
        except GatewayError as exc:
            self._response = answer.failed(exc, *self._so_far())
            raise
        if isinstance(event, ChatDelta):
            self._heard.append(event.content)
            self._reasoning.append(event.reasoning)
            return event
        self._response = answer.chat_response(event, *self._so_far())
        await self._events.aclose()
        if self._response.error is not None:
            raise self._response.error
        raise StopAsyncIteration

    async def _next(self) -> ChatDelta | Result:
        """Return the next piece that says something, or the result."""
        try:
            async with asyncio.timeout_at(self._deadline):
                async for event in self._events:
                    if isinstance(event, Result):
                        return event
                    delta = answer.delta(event)
                    if delta.content or delta.reasoning:
                        return delta
        except TimeoutError as exc:
            raise DeadlineExceeded("the answer did not end in the time the request had") from exc
        raise ConnectionLost("the gateway's answer ended before its result")

    def _so_far(self) -> tuple[str, str]:
        return "".join(self._heard), "".join(self._reasoning)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Leave the stream; before its end this cancels the request. Idempotent."""
        await self._events.aclose()
