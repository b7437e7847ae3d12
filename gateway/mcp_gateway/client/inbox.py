"""Where the messages of one call wait for its caller."""

from __future__ import annotations

import asyncio
from collections import deque

from mcp_gateway.client.wire import Progress, Result
from mcp_gateway.errors import GatewayError

# Beyond this many unread pieces of a stream they are joined: nothing is lost, and a caller that
# fell behind gets larger pieces instead of a longer queue.
_UNREAD_PIECES = 256


class Inbox:
    """A queue for one reader, on one event loop, which never holds more than a bound of text.

    One connection carries many calls, so a slow reader of one must not stop the connection:
    its messages are taken in at once and kept here.
    """

    __slots__ = ("_error", "_events", "_limit", "_unread", "_waiter")

    def __init__(self, limit: int) -> None:
        """Hold at most `limit` characters of unread progress."""
        self._limit = limit
        self._events: deque[Progress | Result] = deque()
        self._unread = 0
        self._error: GatewayError | None = None
        self._waiter: asyncio.Future[None] | None = None

    def put(self, event: Progress | Result) -> bool:
        """Take a message in; False, and nothing is taken, where there is no room for it."""
        if isinstance(event, Progress):
            size = _size(event)
            if self._unread + size > self._limit:
                return False
            self._unread += size
        self._events.append(event)
        if len(self._events) > _UNREAD_PIECES:
            self._join()
        self._notify()
        return True

    def fail(self, error: GatewayError) -> None:
        """Let the reader have what came, and then `error`."""
        self._error = error
        self._notify()

    async def get(self) -> Progress | Result:
        """Return the next message, waiting for it. Must not be awaited concurrently.

        Raises:
            GatewayError: the one given to `fail`, once everything before it was read.
        """
        while not self._events:
            if self._error is not None:
                raise self._error
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter
        event = self._events.popleft()
        if isinstance(event, Progress):
            self._unread -= _size(event)
        return event

    def _notify(self) -> None:
        # A waiter that was cancelled is done already.
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _join(self) -> None:
        """Join neighbours into one piece each."""
        joined: deque[Progress | Result] = deque()
        run: list[Progress] = []
        for event in self._events:
            if isinstance(event, Progress):
                run.append(event)
                continue
            _close(run, joined)
            run = []
            joined.append(event)
        _close(run, joined)
        self._events = joined


def _close(run: list[Progress], joined: deque[Progress | Result]) -> None:
    if run:
        text = "".join(piece.message for piece in run)
        reasoning = "".join(piece.reasoning for piece in run)
        joined.append(Progress(run[0].token, text, reasoning))


def _size(event: Progress) -> int:
    return len(event.message) + len(event.reasoning)
