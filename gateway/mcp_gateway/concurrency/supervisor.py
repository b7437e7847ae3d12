"""Owned background tasks: each has a name, and none dies unseen."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Coroutine
from types import MappingProxyType

from mcp_gateway.concurrency.backoff import Backoff

_log = logging.getLogger(__name__)

STEADY = 60.0
"""Seconds after which a task counts as having worked, so that its next restart is prompt."""


class Supervisor:
    """Runs named tasks until `aclose`, restarting those that should never end.

    A task that raises is logged. With `restart` it is started again after a growing, jittered
    delay; without, its exception is kept in `failed`, where a health check can see it.
    """

    def __init__(
        self,
        *,
        initial_delay: float = 0.5,
        max_delay: float = 30.0,
        rng: Callable[[], float] = random.random,
    ) -> None:
        self._initial_delay = initial_delay
        self._max_delay = max_delay
        self._rng = rng
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._failed: dict[str, Exception] = {}
        self._closed = False

    @property
    def failed(self) -> MappingProxyType[str, Exception]:
        """Tasks that died and are not running again now, with what killed them."""
        return MappingProxyType(self._failed)

    @property
    def running(self) -> frozenset[str]:
        """Names of the tasks that are under way, including those waiting for a restart."""
        return frozenset(self._tasks)

    def start(
        self, name: str, run: Callable[[], Coroutine[object, object, None]], *, restart: bool = True
    ) -> None:
        """Run `run()` as the task `name`.

        With `restart`, a return of `run()` ends the task and only an exception restarts it.

        Raises:
            RuntimeError: the supervisor is closed, or the name is taken.
        """
        if self._closed:
            raise RuntimeError("the supervisor is closed")
        if name in self._tasks:
            raise RuntimeError(f"a task named {name!r} is running")
        self._failed.pop(name, None)
        watch = self._keep_running if restart else self._run_once
        task = asyncio.get_running_loop().create_task(watch(name, run), name=name)
        self._tasks[name] = task
        task.add_done_callback(self._ended)

    async def stop(self, name: str) -> None:
        """Cancel one task and wait for its end. Unknown names are ignored."""
        task = self._tasks.get(name)
        if task is not None:
            task.cancel()
            await asyncio.wait([task])

    async def aclose(self) -> None:
        """Cancel every task and wait until all have ended. Idempotent."""
        self._closed = True
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    def _ended(self, task: asyncio.Task[None]) -> None:
        del self._tasks[task.get_name()]

    async def _run_once(
        self, name: str, run: Callable[[], Coroutine[object, object, None]]
    ) -> None:
        try:
            await run()
        except Exception as exc:  # a supervisor is where unexpected errors end
            self._failed[name] = exc
            _log.exception("background task %s died", name)

    async def _keep_running(
        self, name: str, run: Callable[[], Coroutine[object, object, None]]
    ) -> None:
        loop = asyncio.get_running_loop()
        backoff = Backoff(self._initial_delay, self._max_delay, rng=self._rng)
        while True:
            started = loop.time()
            try:
                await run()
            except Exception as exc:  # a supervisor is where unexpected errors end
                self._failed[name] = exc
                if loop.time() - started >= STEADY:
                    backoff.reset()
                delay = backoff.next()
                _log.exception("background task %s died, next start in %.1f s", name, delay)
                await asyncio.sleep(delay)
                self._failed.pop(name, None)
            else:
                return
