"""Opens a pool's connections in the background, and remembers which endpoints fail."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Sequence
from functools import partial
from typing import Protocol

from mcp_gateway.errors import ConnectFailed, UpstreamTimeout
from mcp_gateway.upstream.connection import Connection
from mcp_gateway.upstream.endpoint import Endpoint
from mcp_gateway.upstream.health import Health

ConnectError = ConnectFailed | UpstreamTimeout


def copy_error(error: ConnectError, name: str) -> ConnectError:
    """Return an error of its own for one of several waiters: it carries that task's traceback."""
    copy: ConnectError
    if isinstance(error, UpstreamTimeout):
        copy = UpstreamTimeout(str(error), phase=error.phase, provider=name)
    else:
        copy = ConnectFailed(str(error), provider=name)
    copy.__cause__ = error.__cause__
    return copy


class Connector(Protocol):
    """Opens connections."""

    async def connect(self, endpoint: Endpoint) -> Connection:
        """Open one. Raises ConnectFailed or UpstreamTimeout."""


class Opener:
    """Runs one task per connection being opened, and owns them.

    Args:
        name: the pool's, for the names of tasks.
        endpoints: where connections lead.
        connector: opens them.
        opened: told each new connection.
        failed: told why one did not come about.
        rng: a source of numbers in [0, 1).

    Attributes:
        health: the endpoints.
        failures: tries that failed so far.
        last_error: why the last one did, or empty.
    """

    def __init__(
        self,
        name: str,
        endpoints: Sequence[Endpoint],
        connector: Connector,
        *,
        opened: Callable[[Connection], None],
        failed: Callable[[ConnectError], None],
        rng: Callable[[], float] = random.random,
    ) -> None:
        self.health = Health(endpoints, rng=rng)
        self.failures = 0
        self.last_error = ""
        self._name = name
        self._connector = connector
        self._opened = opened
        self._failed = failed
        self._tasks: set[asyncio.Task[Connection]] = set()
        self._closed = False

    @property
    def connecting(self) -> int:
        """Connections being opened."""
        return len(self._tasks)

    def open(self, loop: asyncio.AbstractEventLoop) -> None:
        """Begin to open one."""
        endpoint = self.health.choose(loop.time())
        task = loop.create_task(
            self._connector.connect(endpoint), name=f"connect {self._name} {endpoint}"
        )
        self._tasks.add(task)
        task.add_done_callback(partial(self._done, endpoint, loop))

    async def connect(self, now: float) -> Connection:
        """Open one for the caller alone.

        Raises:
            ConnectFailed, UpstreamTimeout: it did not come about.
        """
        endpoint = self.health.choose(now)
        try:
            return await self._connector.connect(endpoint)
        except (ConnectFailed, UpstreamTimeout) as error:
            self.failures += 1
            self.last_error = str(error)
            self.health.failed(endpoint, now)
            raise

    async def aclose(self) -> None:
        """Give up what is under way, and return when it has ended."""
        self._closed = True
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    def _done(
        self,
        endpoint: Endpoint,
        loop: asyncio.AbstractEventLoop,
        task: asyncio.Task[Connection],
    ) -> None:
        self._tasks.discard(task)
        if task.cancelled():
            error: BaseException | None = ConnectFailed(f"connecting to {endpoint} was given up")
        else:
            error = task.exception()
        if self._closed:
            if error is None:
                task.result().abort()
            return
        if error is None:
            if task.result().reusable:
                self.health.succeeded(endpoint)
                self._opened(task.result())
                return
            error = ConnectFailed(f"{endpoint} closed the connection as soon as it was open")
        if not isinstance(error, ConnectError):
            context = {"message": "opening a connection failed unexpectedly", "exception": error}
            loop.call_exception_handler(context)
            error = ConnectFailed(f"no connection to {endpoint}: {type(error).__name__}")
        self.failures += 1
        self.last_error = str(error)
        self.health.failed(endpoint, loop.time())
        self._failed(error)
