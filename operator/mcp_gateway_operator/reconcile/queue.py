"""The keys to look at: each once, one at a time, and later after a failure."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from mcp_gateway_operator.cluster.backoff import backoff
from mcp_gateway_operator.facts import Key

FIRST: Final = 0.5
MOST: Final = 60.0


class KeyQueue:
    """A queue of keys for several workers.

    A key that is added while it waits is there once; one that is added while it is worked on
    comes back when that is done; a delayed one is overtaken by an earlier wish.

    Args:
        depth: told the number of keys that wait.
    """

    def __init__(self, depth: Callable[[int], None] | None = None) -> None:
        self._waiting: dict[Key, None] = {}
        self._working: set[Key] = set()
        self._again: set[Key] = set()
        self._timers: dict[Key, asyncio.TimerHandle] = {}
        self._failures: dict[Key, int] = {}
        self._some = asyncio.Event()
        self._depth = depth or (lambda number: None)

    def add(self, key: Key) -> None:
        """Ask for a look at a key, now."""
        if (timer := self._timers.pop(key, None)) is not None:
            timer.cancel()
        if key in self._working:
            self._again.add(key)
            return
        self._waiting.setdefault(key)
        self._some.set()
        self._depth(len(self._waiting))

    def add_after(self, key: Key, delay: float) -> None:
        """Ask for a look in `delay` seconds, unless one comes earlier anyhow."""
        loop = asyncio.get_running_loop()
        known = self._timers.get(key)
        if key in self._waiting or (known and known.when() <= loop.time() + delay):
            return
        if known is not None:
            known.cancel()
        self._timers[key] = loop.call_later(delay, self._due, key)

    async def take(self) -> Key:
        """Wait for a key. It must be given back by `done`."""
        while not self._waiting:
            self._some.clear()
            await self._some.wait()
        key = next(iter(self._waiting))
        del self._waiting[key]
        self._working.add(key)
        self._depth(len(self._waiting))
        return key

    def done(self, key: Key, *, failed: bool = False, at_least: float = 0.0) -> None:
        """Give a key back.

        Args:
            key: which.
            failed: it is to come back, later each time in a row.
            at_least: seconds before that, where somebody asked for them.
        """
        self._working.discard(key)
        if not failed:
            self._failures.pop(key, None)
            if key in self._again:
                self._again.discard(key)
                self.add(key)
            return
        # What was asked for in between waits too: it would fail for the same reason, and
        # a watch that keeps telling of an object must not turn its backoff into a loop.
        self._again.discard(key)
        failures = self._failures.get(key, 0) + 1
        self._failures[key] = failures
        self.add_after(key, max(at_least, backoff(failures, first=FIRST, most=MOST)))

    def _due(self, key: Key) -> None:
        self._timers.pop(key, None)
        self.add(key)

    def __len__(self) -> int:
        return len(self._waiting)
