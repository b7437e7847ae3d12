"""Takes the operator's grants, keeps them for the next process, and does without an operator.

Whoever has a control channel open is an operator, for a channel on which nobody speaks is closed.
Where there is none for a while, a pod that holds nothing uses a part that is small enough for all
pods, and a limit that a refusal cut recovers alone.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from mcp_gateway.api.control import SILENCE, Grant
from mcp_gateway.app.grant_file import GrantFile, Kept
from mcp_gateway.app.steering import Steering
from mcp_gateway.proxy.governor import Governor

log = logging.getLogger(__name__)

ALONE: Final = 10.0
"""Seconds without an operator after which a pod without a grant helps itself."""

REPORT_EVERY: Final = 1.0
"""Seconds between two reports while something changes, before a grant says so."""


class Granting:
    """One process's grants.

    Args:
        governor: sets the accounts.
        steering: knows the highest leadership that was heard.
        file: keeps the grant in force.

    Attributes:
        taken_at: loop time of the last grant; None where this process took none.
        heard_at: loop time of the operator's last word; None before the first.
        connected: there is a channel.
    """

    def __init__(self, governor: Governor, steering: Steering, file: GrantFile) -> None:
        self._governor = governor
        self._steering = steering
        self._file = file
        self._loop = asyncio.get_running_loop()
        self._timers: list[asyncio.TimerHandle] = []
        self._writing = asyncio.Lock()
        self._changing = False
        self.taken_at: float | None = None
        self.heard_at: float | None = None
        self.connected = False
        self._kept = grant = governor.grant
        if grant is not None:
            steering.epoch = max(steering.epoch, grant.epoch)

    @property
    def sequence(self) -> int:
        """Number of the grant in force, if it is of the highest leadership heard; else 0.

        It says that the grant is taken, and so only once the pod goes by it, and no process of
        the pod can go on with one before it.
        """
        grant = self._kept
        return grant.sequence if grant is not None and grant.epoch == self._steering.epoch else 0

    @property
    def report_every(self) -> float:
        """Seconds between two reports while something changes."""
        grant = self._governor.grant
        return REPORT_EVERY if grant is None else grant.report_every

    def hear(self) -> None:
        """The operator said a word."""
        self.heard_at = self._loop.time()

    def channels(self, count: int) -> None:
        """So many channels are open now; to be called at the start too."""
        was, self.connected = self.connected, count > 0
        if self.connected:
            self.close()
            self._governor.hear()
        elif was or not self._timers:
            self._timers = [
                self._loop.call_later(ALONE, self._governor.leave_alone),
                self._loop.call_later(SILENCE, self._give_up),
            ]

    def close(self) -> None:
        """Wait for nobody's silence any more."""
        for timer in self._timers:
            timer.cancel()
        self._timers = []

    async def take(self, grant: Grant) -> bool:
        """Bring a grant into force, unless a newer one was heard.

        It is written down before this returns, so that no process of this pod uses more than was
        acknowledged. Where that fails and the one before stays on the disk, it is in force and
        not acknowledged: the operator goes on counting both.
        """
        if not self._counts(grant):
            fields = {"epoch": grant.epoch, "sequence": grant.sequence}
            log.info("grant of former times ignored", extra={"fields": fields})
            return False
        self._steering.epoch = max(self._steering.epoch, grant.epoch)
        self._governor.take(grant, time.time())
        self.taken_at = self._loop.time()
        await self._keep()
        return True

    @asynccontextmanager
    async def changing(self) -> AsyncIterator[None]:
        """Keep nothing for the next process while another document is brought into force.

        It may take away what was granted; the operator hears that before the disk could.
        """
        async with self._writing:
            self._changing = await asyncio.to_thread(self._file.clear)
        try:
            yield
        finally:
            self._changing = False
            await self._keep()

    def _give_up(self) -> None:
        if self._governor.governs:
            log.warning("no operator: the shares stay, and limits recover without it")
        self._governor.give_up()

    def _counts(self, grant: Grant) -> bool:
        if grant.epoch < self._steering.epoch:
            return False
        former = self._governor.grant
        return (
            former is None
            or grant.epoch > former.epoch
            or (grant.epoch == former.epoch and grant.sequence > former.sequence)
        )

    async def _keep(self) -> None:
        async with self._writing:
            # Whatever is in force by now: two operators may speak at the same time.
            grant = self._governor.grant
            if grant is not None:
                kept = Kept(grant, self._governor.accounts())
                saved = self._changing or await asyncio.to_thread(self._file.save, kept)
                # A document by which no grant counts yet lets more be in use than was granted.
                if saved and self._governor.governs:
                    self._kept = grant
