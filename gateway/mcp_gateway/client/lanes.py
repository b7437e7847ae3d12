"""HTTP connections side by side, each one a pool of its own.

The pool of httpcore looks at all of its connections for each request that begins or ends; with
a hundred of them that costs more than the request. Here each connection is a pool of one, and
which to take next is the top of a stack.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable

import httpx

# Idle connections beyond these are closed: they served a burst.
_KEPT_IDLE = 20


class Lanes(httpx.AsyncBaseTransport):
    """Lends each request a lane: a transport with one connection. The last one used goes first.

    How many there are at once is for the caller to bound.
    """

    def __init__(self, open_lane: Callable[[], httpx.AsyncBaseTransport]) -> None:
        self._open_lane = open_lane
        self._idle: list[httpx.AsyncBaseTransport] = []
        self._busy: set[httpx.AsyncBaseTransport] = set()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send the request; its lane is free again when the response is closed."""
        lane = self._idle.pop() if self._idle else self._open_lane()
        self._busy.add(lane)
        try:
            response = await lane.handle_async_request(request)
        except BaseException:
            await self._give_back(lane)
            raise
        assert isinstance(response.stream, httpx.AsyncByteStream), "made by an async transport"
        return httpx.Response(
            response.status_code,
            headers=response.headers,
            stream=_Lent(response.stream, lane, self._give_back),
            extensions=response.extensions,
        )

    async def aclose(self) -> None:
        """Close every connection, those in use as well."""
        lanes = [*self._busy, *self._idle]
        self._busy.clear()
        self._idle.clear()
        for lane in lanes:
            await lane.aclose()

    async def _give_back(self, lane: httpx.AsyncBaseTransport) -> None:
        if lane not in self._busy:
            return  # closed meanwhile
        self._busy.discard(lane)
        if len(self._idle) < _KEPT_IDLE:
            self._idle.append(lane)
        else:
            await lane.aclose()


class _Lent(httpx.AsyncByteStream):
    """A response's body; closing it gives the lane back."""

    def __init__(
        self,
        body: httpx.AsyncByteStream,
        lane: httpx.AsyncBaseTransport,
        give_back: Callable[[httpx.AsyncBaseTransport], Awaitable[None]],
    ) -> None:
        self._body = body
        self._lane = lane
        self._give_back = give_back

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self._body.__aiter__()

    async def aclose(self) -> None:
        try:
            await self._body.aclose()
        finally:
            await self._give_back(self._lane)
