"""Back-pressure of one client connection.

The transport says when its buffer is full and when it is not; exchanges that produce more than
the client reads wait here. Nobody waits for ever: since when the client has been behind is
known, and the connection's owner aborts it when that becomes too long.
"""

from __future__ import annotations

import asyncio


class Flow:
    """Whether a client keeps up, and who waits until it does.

    Attributes:
        congested: the transport's buffer is above its high-water mark.
        since: coarse time when that began, or when the client was last seen to read since;
            meaningless while not congested.
    """

    __slots__ = ("_unsent", "_waiters", "congested", "since")

    def __init__(self) -> None:
        self.congested = False
        self.since = 0.0
        self._unsent = 0
        self._waiters: list[asyncio.Future[None]] = []

    def pause(self, now: float) -> None:
        """Note that the buffer is full."""
        self.congested = True
        self.since = now
        self._unsent = 0

    def stuck(self, unsent: int, now: float, patience: float) -> bool:
        """Whether a congested client has read nothing for more than `patience` seconds.

        A long answer over a thin line keeps the buffer full for minutes while it moves on.

        Args:
            unsent: bytes in the transport's buffer; fewer than at the last look were read.
            now: coarse time.
            patience: seconds.
        """
        if unsent < self._unsent:
            self.since = now
        self._unsent = unsent
        return now - self.since > patience

    def resume(self) -> None:
        """Note that there is room again, or nobody left to write to, and wake the waiters."""
        self.congested = False
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)

    async def drained(self) -> None:
        """Return when not congested. Any number of tasks may wait."""
        while self.congested:
            # A future of its own for each waiter: cancelling one task must not wake the rest.
            waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiters.append(waiter)
            await waiter
