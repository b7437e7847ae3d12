"""Writes lines to a stream whose reader may stop reading, and never waits for it.

A pipe holds 64 KiB. When whoever reads it stops (a container runtime that stalls, a pager), the
next write would hold up the event loop, and every request with it. So the system is asked first;
what has no room waits here, and what is too much for that is dropped and counted.
"""

from __future__ import annotations

import contextlib
import os
import select
import stat
import time
from collections.abc import Callable, Iterator, Sequence
from typing import BinaryIO

BACKLOG = 1 << 20
"""Bytes of lines that wait for a reader who is behind; any more are dropped."""


class Outlet:
    """The way out for lines. For one thread at a time.

    Args:
        stream: where they go. One that is no file of the system is written to as it is.
        tell: makes the line that says how many were dropped.
    """

    __slots__ = ("_dropped", "_endless", "_lines", "_rest", "_size", "_stream", "_tell")

    def __init__(self, stream: BinaryIO, tell: Callable[[int], bytes]) -> None:
        self._stream = stream
        self._tell = tell
        # A disk takes everything, now or never; there is nobody to wait for.
        self._endless = not _may_fill_up(stream)
        self._rest = b""  # of what was begun
        self._lines: list[bytes] = []
        self._size = 0
        self._dropped = 0

    @property
    def waiting(self) -> bool:
        """Something had no room yet; it goes out with the next `write`."""
        return bool(self._rest or self._lines)

    def finish(self, patience: float) -> None:
        """Write what waits, and wait for room in all for `patience` seconds: nothing follows."""
        until = time.monotonic() + patience
        while self.waiting:
            with contextlib.suppress(OSError, ValueError):  # closed, as `write` finds out
                _has_room(self._stream.fileno(), max(0.0, until - time.monotonic()))
            self.write([])
            if time.monotonic() >= until:
                return

    def write(self, lines: Sequence[bytes]) -> None:
        """Write lines, given without their ends, after those that wait."""
        try:
            if self.waiting:
                taken = self._write(self._lines)
                self._size -= sum(map(len, self._lines[:taken]))
                del self._lines[:taken]
            taken = 0 if self.waiting else self._write(lines)
            if self._dropped and not self.waiting and self._write([self._tell(self._dropped)]):
                self._dropped = 0
        except (OSError, ValueError):  # closed: there is nobody who could miss them
            self._lines, self._size, self._rest = [], 0, b""
        else:
            self._keep(lines[taken:])

    def _keep(self, lines: Sequence[bytes]) -> None:
        for count, line in enumerate(lines):
            if self._size + len(line) > BACKLOG:
                self._dropped += len(lines) - count
                return
            self._lines.append(line)
            self._size += len(line)

    def _write(self, lines: Sequence[bytes]) -> int:
        """How many lines, from the first on, were taken."""
        if self._endless:
            self._stream.write(b"".join(line + b"\n" for line in lines))
            self._stream.flush()
            return len(lines)
        descriptor = self._stream.fileno()
        taken = 0
        self._rest = _push(descriptor, self._rest)
        for piece, count in _pieces(lines):
            if self._rest:
                break
            rest = _push(descriptor, piece)
            if len(rest) == len(piece):
                break
            self._rest = rest
            taken += count
        return taken


def _push(descriptor: int, data: bytes) -> bytes:
    """Write what there is room for; the rest."""
    view = memoryview(data)
    while view and _has_room(descriptor):
        # POSIX: a pipe with room takes so many bytes without waiting.
        view = view[os.write(descriptor, view[: select.PIPE_BUF]) :]
    return bytes(view)


def _pieces(lines: Sequence[bytes]) -> Iterator[tuple[bytes, int]]:
    """Whole lines, as many together as a pipe takes at once, with their number."""
    together: list[bytes] = []
    size = 0
    for line in lines:
        if together and size + len(line) + 1 > select.PIPE_BUF:
            yield b"\n".join([*together, b""]), len(together)
            together, size = [], 0
        together.append(line)
        size += len(line) + 1
    if together:
        yield b"\n".join([*together, b""]), len(together)


def _has_room(descriptor: int, patience: float = 0.0) -> bool:
    poll = select.poll()
    poll.register(descriptor, select.POLLOUT)
    return bool(poll.poll(patience * 1000))


def _may_fill_up(stream: BinaryIO) -> bool:
    try:
        return not stat.S_ISREG(os.fstat(stream.fileno()).st_mode)
    except (AttributeError, OSError, ValueError):  # it is no file of the system, or closed
        return False
