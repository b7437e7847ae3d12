"""The client for code without an event loop: scripts, notebooks, threads.

A loop of its own runs in a background thread. That thread answers the gateway's pings and
notices a closed connection while the program does other things, lets any number of threads
share one client, and works where a loop runs already, as in a notebook; none of which a loop
that runs only during a call could do.
"""

from __future__ import annotations

import asyncio
import threading
import weakref
from collections.abc import Coroutine
from concurrent.futures import CancelledError
from types import TracebackType
from typing import Any, Self, TypeVar

from mcp_gateway.api.chat import ChatDelta, ChatRequest, ChatResponse
from mcp_gateway.client.answer import Model
from mcp_gateway.client.client import Client
from mcp_gateway.client.stream import ChatStream
from mcp_gateway.errors import ConnectionLost

T = TypeVar("T")

_CLOSE_TIMEOUT = 5.0


class SyncClient:
    """`Client` with blocking methods. Takes the same arguments; may be used from many threads.

    ```python
    with SyncClient("ws://127.0.0.1:8079/mcp", api_key=key) as client:
        print(client.chat(request).content)
    ```

    A client that is not closed is closed at the end of the program.
    """

    def __init__(self, url: str, api_key: str = "", **settings: Any) -> None:
        client = Client(url, api_key, **settings)
        loop = asyncio.new_event_loop()
        # A daemon, so that a program that forgets to close still ends; the finalizer, which
        # also runs at exit, closes the connections first.
        thread = threading.Thread(target=loop.run_forever, name="mcp-client", daemon=True)
        thread.start()
        self._client = client
        self._loop = loop
        self._thread = thread
        self._finalizer = weakref.finalize(self, _shut_down, client, loop, thread)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections and end the thread. Idempotent."""
        self._finalizer()

    def chat(self, request: ChatRequest) -> ChatResponse:
        """See `Client.chat`."""
        return self._run(self._client.chat(request))

    def stream(self, request: ChatRequest) -> SyncChatStream:
        """See `Client.stream`."""

        async def start() -> ChatStream:
            return self._client.stream(request)

        return SyncChatStream(self, self._run(start()))

    def models(self) -> list[Model]:
        """See `Client.models`."""
        return self._run(self._client.models())

    def _run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run on the client's loop and wait; an interrupt cancels what runs there."""
        if not self._finalizer.alive:
            coroutine.close()
            raise RuntimeError("the client is closed")
        if threading.current_thread() is self._thread:
            coroutine.close()
            raise RuntimeError("called on the client's own thread, where it would wait for itself")
        future = asyncio.run_coroutine_threadsafe(coroutine, self._loop)
        try:
            return future.result()
        except CancelledError as exc:
            raise ConnectionLost("the client was closed before the answer came") from exc
        except BaseException:
            future.cancel()
            raise


class SyncChatStream:
    """`ChatStream` with blocking methods: iterate, then read `response`. For one thread."""

    def __init__(self, client: SyncClient, stream: ChatStream) -> None:
        self._client = client
        self._stream = stream

    @property
    def response(self) -> ChatResponse:
        """See `ChatStream.response`."""
        return self._stream.response

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> ChatDelta:
        delta = self._client._run(self._next())
        if delta is None:
            raise StopIteration
        return delta

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Leave the stream; before its end this cancels the request. Idempotent."""
        if self._client._finalizer.alive:
            self._client._run(self._stream.aclose())

    async def _next(self) -> ChatDelta | None:
        # StopAsyncIteration cannot travel through a future.
        return await anext(self._stream, None)


def _shut_down(client: Client, loop: asyncio.AbstractEventLoop, thread: threading.Thread) -> None:
    asyncio.run_coroutine_threadsafe(_end(client), loop).result(_CLOSE_TIMEOUT)
    loop.call_soon_threadsafe(loop.stop)
    thread.join(_CLOSE_TIMEOUT)
    loop.close()


async def _end(client: Client) -> None:
    await client.aclose()
    # Callers in other threads that still wait get their cancellation now, not never.
    others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    for task in others:
        task.cancel()
    if others:
        await asyncio.wait(others, timeout=_CLOSE_TIMEOUT / 2)
    await asyncio.get_running_loop().shutdown_asyncgens()
