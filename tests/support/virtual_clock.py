"""An asyncio event loop whose clock jumps: waiting costs no time and is exact.

Whenever nothing is ready to run, `loop.time()` is set to the moment of the next timer. A test
may wait an hour in a millisecond, and `loop.time()` differences are what the code asked for.

The clock stands still while work submitted with `run_in_executor` is under way, so a worker
thread never sees its timeouts fire early. Nothing to run, no timer and no thread means that the
test waits for something that nobody will do: the loop raises instead of hanging.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable
from concurrent.futures import Executor
from typing import Any

START = 1000.0
"""First reading of a virtual clock: not zero, so that "0.0 means never" cannot hide in a test."""

PATIENCE = 60.0
"""Wall-clock seconds a thread, or a wake-up from one, is waited for before the loop gives up."""


class Deadlock(Exception):
    """The test waits for something that nobody will do."""


class _JumpingSelector(selectors.DefaultSelector):
    """A selector that moves its loop's clock instead of sleeping."""

    loop: VirtualClockLoop

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        events = super().select(0)
        if events or (timeout is not None and timeout <= 0):
            return events
        if timeout is None or self.loop.threads_at_work:
            events = super().select(PATIENCE)
            if not events:
                raise Deadlock(f"nothing happened in {PATIENCE} s, and no timer is set")
            return events
        self.loop.advance(timeout)
        return events


class VirtualClockLoop(asyncio.SelectorEventLoop):
    """The loop. `asyncio.Runner(loop_factory=VirtualClockLoop)` runs a coroutine on it."""

    def __init__(self) -> None:
        self._now = START
        self.threads_at_work = 0
        selector = _JumpingSelector()
        selector.loop = self
        super().__init__(selector)

    def time(self) -> float:
        """Virtual seconds."""
        return self._now

    def advance(self, seconds: float) -> None:
        """Move the clock; timers due by then run in the loop's next round."""
        self._now += seconds

    def run_in_executor(  # type: ignore[override]
        self, executor: Executor | None, func: Callable[..., Any], *args: Any
    ) -> asyncio.Future[Any]:
        """Like asyncio's; the clock stands still until the work is done."""
        future = super().run_in_executor(executor, func, *args)
        self.threads_at_work += 1
        future.add_done_callback(self._thread_done)
        return future

    def _thread_done(self, _future: asyncio.Future[Any]) -> None:
        self.threads_at_work -= 1
