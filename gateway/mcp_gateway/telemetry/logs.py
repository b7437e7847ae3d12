"""Log lines: one JSON object a line, to standard error.

The line of an exchange is on the request path, so it is encoded by msgspec and written in
batches; everything rarer goes through `logging`, whose formatter here makes the same form.
"""

from __future__ import annotations

import asyncio
import logging
import sys
import time
from functools import lru_cache
from typing import Any, BinaryIO

import msgspec

FLUSH_LINES = 64
FLUSH_SECONDS = 0.1
LEVELS = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
}

_encoder = msgspec.json.Encoder(enc_hook=str)
_encode = _encoder.encode


def timestamp(seconds: float) -> str:
    """UTC in RFC 3339 with milliseconds, from seconds since the epoch."""
    whole = int(seconds)
    return f"{_second(whole)}.{int((seconds - whole) * 1000):03d}Z"


@lru_cache(maxsize=4)
def _second(whole: int) -> str:
    """Formatting a date costs more than all the rest of a line, and a second has many lines."""
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(whole))


class JSONFormatter(logging.Formatter):
    """One record as one JSON line; `extra={"fields": {...}}` adds fields."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line without its newline."""
        line: dict[str, Any] = {
            "time": timestamp(record.created),
            "level": record.levelname.lower(),
            "message": record.getMessage(),
            "logger": record.name,
        }
        line.update(getattr(record, "fields", {}))
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return _encode(line).decode()


def configure(level: str = "info") -> None:
    """Send every logger's records from `level` on to standard error, as JSON lines."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JSONFormatter())
    root = logging.getLogger()
    for existing in list(root.handlers):
        root.removeHandler(existing)
    root.addHandler(handler)
    root.setLevel(LEVELS[level])
    # The libraries' own stories belong to debugging them, not to running a gateway.
    for name in ("httpx", "httpcore", "websockets", "asyncio", "hpack"):
        logging.getLogger(name).setLevel(max(logging.WARNING, LEVELS[level]))


class LineWriter:
    """Writes many small lines with few system calls.

    A line is written at the latest `FLUSH_SECONDS` after it was added, or with the 64th. Lines
    that the other end does not take are dropped: a log never stops a request.
    """

    def __init__(self, stream: BinaryIO | None = None) -> None:
        self._stream = stream if stream is not None else sys.stderr.buffer
        self._lines: list[bytes] = []
        self._timer: asyncio.TimerHandle | None = None

    def add(self, fields: msgspec.Struct | dict[str, Any]) -> None:
        """Encode `fields` and write them soon."""
        lines = self._lines
        lines.append(_encode(fields))
        if len(lines) >= FLUSH_LINES:
            self.flush()
        elif self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(FLUSH_SECONDS, self.flush)

    def flush(self) -> None:
        """Write what is waiting. Idempotent."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        lines = self._lines
        if not lines:
            return
        self._lines = []
        lines.append(b"")
        try:
            self._stream.write(b"\n".join(lines))
            self._stream.flush()
        except (OSError, ValueError):
            return
