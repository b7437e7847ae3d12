"""The tasks that run as long as the process does, by name; one that ends is a fault."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any

log = logging.getLogger(__name__)


class Tasks:
    """Owns tasks that must not end. The liveness probe asks for `dead`."""

    def __init__(self) -> None:
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self.dead: list[str] = []
        self._closing = False

    def start(self, name: str, work: Coroutine[Any, Any, None]) -> None:
        """Run `work` from now on."""
        task = asyncio.get_running_loop().create_task(work, name=name)
        self._tasks[name] = task
        task.add_done_callback(self._ended)

    async def aclose(self) -> None:
        """End all of them, and wait until they have ended."""
        self._closing = True
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    def _ended(self, task: asyncio.Task[None]) -> None:
        if self._closing:
            return
        self.dead.append(task.get_name())
        error = None if task.cancelled() else task.exception()
        log.critical("task ended", exc_info=error, extra={"fields": {"task": task.get_name()}})
