"""Notices that files changed.

By looking, not by inotify: a Secret mounted by the kubelet changes by a swap of symbolic links
three folders up, network file systems send no events, and a look at ten files costs less
than a hundred microseconds.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final, Self

from mcp_gateway.concurrency.supervisor import Supervisor

SETTLE: Final = 0.1
"""Seconds a file must stay as it is before it counts as written: an editor takes two steps."""

Fingerprint = tuple[int, int, int] | None


class FileWatcher:
    """Calls `on_change` after any of the files changed, appeared or vanished.

    Use it as an async context manager, or give `run` to a supervisor. The files count as seen
    when it is made.

    Args:
        paths: files to look at; symbolic links are followed.
        on_change: called once for all changes seen together. An exception of it ends the look,
            not the watching.
        interval: seconds between looks.
    """

    def __init__(
        self, paths: Iterable[Path], on_change: Callable[[], object], interval: float = 1.0
    ) -> None:
        self._paths = [os.fspath(path) for path in paths]
        self._on_change = on_change
        self._interval = interval
        self._seen = self._look()
        self._supervisor = Supervisor()

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            await asyncio.sleep(self._interval)
            found = self._look()
            if found == self._seen:
                continue
            while (later := await self._later()) != found:
                found = later
            self._seen = found
            self._on_change()

    async def __aenter__(self) -> Self:
        self._supervisor.start("watch files", self.run)
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._supervisor.aclose()

    async def _later(self) -> list[Fingerprint]:
        await asyncio.sleep(min(SETTLE, self._interval))
        return self._look()

    def _look(self) -> list[Fingerprint]:
        return [_fingerprint(path) for path in self._paths]


def _fingerprint(path: str) -> Fingerprint:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
