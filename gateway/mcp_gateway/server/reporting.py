"""When a pod reports on one channel: often while others could care, and not at all when idle.

A look that finds nothing costs a few attributes for each account, and sends nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol

from websockets.exceptions import ConnectionClosed

from mcp_gateway.api.control import REPORT_EVERY, Report


@dataclass(frozen=True, slots=True)
class Pulse:
    """What decides whether it is time to report.

    Attributes:
        contended: somebody waits, or all that is allowed is in use.
        state: what others could care about; another value is worth a report.
    """

    contended: bool
    state: Hashable


class Reporting(Protocol):
    """What reports are made of."""

    def report(self) -> Report:
        """How the requests went so far, and how the limits are used."""

    def pulse(self) -> Pulse:
        """What decides whether it is time to report."""

    @property
    def report_every(self) -> float:
        """Seconds between two reports while others could care."""


class Reporter:
    """Reports on one channel.

    Args:
        send: sends a message.
        backend: what reports are made of.
    """

    def __init__(self, send: Callable[[str], Awaitable[None]], backend: Reporting) -> None:
        self._send = send
        self._backend = backend
        self._told: Report | None = None
        self._state: Hashable = None

    async def run(self) -> None:
        """Report until the channel ends."""
        loop = asyncio.get_running_loop()
        with suppress(ConnectionClosed):
            await self.tell_news()
            told = loop.time()
            while True:
                await asyncio.sleep(min(self._backend.report_every, REPORT_EVERY))
                pulse = self._backend.pulse()
                if pulse.contended or pulse.state != self._state:
                    await self.tell()
                elif loop.time() - told >= REPORT_EVERY:
                    await self.tell_news()
                else:
                    continue
                told = loop.time()

    async def tell(self) -> None:
        """Report now."""
        self._state = self._backend.pulse().state
        self._told = self._backend.report()
        await self._send(self._told.encode())

    async def tell_news(self) -> None:
        """Report now, unless nothing changed since the last report."""
        if self._backend.report() != self._told:
            await self.tell()
