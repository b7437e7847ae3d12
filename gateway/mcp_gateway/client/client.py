"""The Python client of a running gateway."""

from __future__ import annotations

import asyncio
import itertools
import ssl
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

from mcp_gateway.api.chat import ChatRequest, ChatResponse
from mcp_gateway.client import answer
from mcp_gateway.client.answer import Model
from mcp_gateway.client.stream import ChatStream
from mcp_gateway.client.transport import Settings, Transport
from mcp_gateway.client.wire import Progress, Result, ToolCall
from mcp_gateway.errors import (
    ConnectionLost,
    DeadlineExceeded,
    GatewayError,
    Overloaded,
)

MIB = 1024 * 1024


class Client:
    """Calls a gateway over WebSocket (`ws://`, `wss://`) or HTTP (`http://`, `https://`).

    Use it as an async context manager, on one event loop, from as many tasks as you like:

    ```python
    async with Client("ws://127.0.0.1:8079/mcp", api_key=key) as client:
        response = await client.chat(ChatRequest(model="kimi-k3", messages=[...]))
        print(response.content)
    ```

    Nothing is connected before the first call. A lost connection is opened again, with growing
    jittered pauses; a call is sent again only when it surely was not sent before, since a chat
    is paid for each time.

    Args:
        url: where the gateway's MCP endpoint is, its path included.
        api_key: the client key; empty where the gateway asks for none.
        timeout: seconds for a request that says nothing itself; None waits for ever. The
            default is a little over the gateway's own ten minutes.
        connect_timeout: seconds one try to connect may take.
        reconnect_for: seconds a request waits for a connection, over as many tries as fit; 0
            gives up after the first.
        max_in_flight: requests on their way at once; the gateway's own bound for one WebSocket
            is 128 unless it is told otherwise.
        max_waiting: requests that wait for one of those places; one more ends with `Overloaded`.
        max_message: longest message taken from the gateway, in bytes.
        tls: how to verify the gateway's certificate; None trusts the system's store.
        proxy: URL of an HTTP proxy to go through. The environment is not consulted.
        transport: another way to the gateway than the URL says, for tests.

    Raises:
        ValueError: the URL is not one of the four kinds.
    """

    def __init__(
        self,
        url: str,
        api_key: str = "",
        *,
        timeout: float | None = 660.0,
        connect_timeout: float = 5.0,
        reconnect_for: float = 10.0,
        max_in_flight: int = 100,
        max_waiting: int = 1000,
        max_message: int = 16 * MIB,
        tls: ssl.SSLContext | None = None,
        proxy: str | None = None,
        transport: Transport | None = None,
    ) -> None:
        settings = Settings(
            url=url,
            api_key=api_key,
            connect_timeout=connect_timeout,
            reconnect_for=reconnect_for,
            max_message=max_message,
            max_in_flight=max_in_flight,
            tls=tls,
            proxy=proxy,
        )
        self._transport = transport or _transport(settings)
        self._timeout = timeout
        self._ids = itertools.count(1)
        self._places = asyncio.Semaphore(max_in_flight)
        self._waiting = 0
        self._max_waiting = max_waiting

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
        """Close the connections; requests in flight end with `ConnectionLost`. Idempotent."""
        await self._transport.aclose()

    async def chat(self, request: ChatRequest) -> ChatResponse:
        """Make a chat request and return the whole answer.

        A failure is the response's `error`, and is raised where its `content` is read.

        Raises:
            RuntimeError: the client is closed.
        """
        try:
            result = await self._result(self._chat_call(request), self._deadline(request.timeout))
        except GatewayError as exc:
            return answer.failed(exc)
        return answer.chat_response(result)

    def stream(self, request: ChatRequest) -> ChatStream:
        """Make a chat request and return its answer in pieces, as they come.

        Leaving the stream early, by `aclose()`, by the end of its `async with` or by
        cancellation, cancels the request at the gateway and at the provider.
        """
        call = self._chat_call(request, stream=True)
        return ChatStream(self._events(call), self._deadline(request.timeout))

    async def models(self) -> list[Model]:
        """Return the models this client may call.

        Raises:
            GatewayError: the gateway refused, or could not be reached.
        """
        call = ToolCall(next(self._ids), "models", {})
        return answer.models(await self._result(call, self._deadline(None)))

    # --- calls -------------------------------------------------------------------------

    def _chat_call(self, request: ChatRequest, *, stream: bool = False) -> ToolCall:
        arguments: dict[str, Any] = request.fields()
        if request.provider:
            arguments["provider"] = request.provider
        return ToolCall(next(self._ids), "chat", arguments, stream=stream, timeout=request.timeout)

    def _deadline(self, timeout: float | None) -> float | None:
        """Seconds from now, as `loop.time()`."""
        seconds = self._timeout if timeout is None else timeout
        return None if seconds is None else asyncio.get_running_loop().time() + seconds

    async def _result(self, call: ToolCall, deadline: float | None) -> Result:
        try:
            async with asyncio.timeout_at(deadline), aclosing(self._events(call)) as events:
                async for event in events:
                    if isinstance(event, Result):
                        return event
        except TimeoutError as exc:
            raise DeadlineExceeded("the answer did not come in the time the request had") from exc
        raise ConnectionLost("the gateway's answer ended before its result")

    async def _events(self, call: ToolCall) -> AsyncGenerator[Progress | Result, None]:
        async with self._place(), aclosing(self._transport.events(call)) as events:
            async for event in events:
                yield event

    @asynccontextmanager
    async def _place(self) -> AsyncIterator[None]:
        """Hold one of the places for requests on their way."""
        if self._waiting >= self._max_waiting:
            raise Overloaded(f"{self._waiting} requests of this client wait already")
        self._waiting += 1
        try:
            await self._places.acquire()
        finally:
            self._waiting -= 1
        try:
            yield
        finally:
            self._places.release()


def _transport(settings: Settings) -> Transport:
    # Each library takes longer to import than a request to answer, and only one is needed.
    parts = urlsplit(settings.url)
    if parts.hostname and (parts.port is None or parts.port):
        if parts.scheme in {"ws", "wss"}:
            from mcp_gateway.client.websocket import WebSocketTransport  # noqa: PLC0415

            return WebSocketTransport(settings)
        if parts.scheme in {"http", "https"}:
            from mcp_gateway.client.http import HTTPTransport  # noqa: PLC0415

            return HTTPTransport(settings)
    raise ValueError(f"expected a ws, wss, http or https URL, got {settings.url!r}")
