"""Log lines, to standard error: one JSON object a line, or the same as text for eyes.

The line of an exchange is on the request path, so it is encoded by msgspec and written in
batches; everything rarer goes through `logging`, whose formatter here makes the same form.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sys
import time
from functools import lru_cache
from typing import Any, BinaryIO

import msgspec

from mcp_gateway.telemetry.outlet import Outlet

FLUSH_LINES = 64
FLUSH_SECONDS = 0.1
LAST = 1.0
"""Seconds that a reader is waited for when nothing more is to be written."""
DROPPED = "lines of the log were dropped, because nobody read them"
LEVELS = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
}

_encode = msgspec.json.Encoder(enc_hook=str).encode


def timestamp(seconds: float) -> str:
    """UTC in RFC 3339 with milliseconds, from seconds since the epoch."""
    whole = int(seconds)
    return f"{_second(whole)}.{int((seconds - whole) * 1000):03d}Z"


@lru_cache(maxsize=4)
def _second(whole: int) -> str:
    """Formatting a date costs more than all the rest of a line, and a second has many lines."""
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(whole))


class LineFormatter(logging.Formatter):
    """One record as one line; `extra={"fields": {...}}` adds fields."""

    def __init__(self, *, text: bool = False) -> None:
        super().__init__()
        self._encode = encode_text if text else encode_json

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
        return self._encode(line).decode()


def encode_json(fields: msgspec.Struct | dict[str, Any]) -> bytes:
    """A line for programs. Half surrogate pairs, which UTF-8 cannot say, become `?`."""
    try:
        return _encode(fields)
    except UnicodeEncodeError:
        line = fields if isinstance(fields, dict) else msgspec.structs.asdict(fields)
        return _encode({name: _mended(value) for name, value in line.items()})


def _mended(value: object) -> object:
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else value


def encode_text(fields: msgspec.Struct | dict[str, Any]) -> bytes:
    """A line for eyes: time, level and message, then `name=value` of what is not empty."""
    line = dict(fields) if isinstance(fields, dict) else msgspec.to_builtins(fields)
    head = f"{line.pop('time')} {line.pop('level').upper():7} {_printable(line.pop('message'))}"
    rest = "".join(f" {name}={_word(value)}" for name, value in line.items())
    return (head + rest).encode()


def _word(value: object) -> str:
    """A value as one word: quoted, with what is no print escaped, where it is not one."""
    text = str(value)
    plain = text.isprintable() and not set(text) & set(' "=')
    if plain and text:
        return text
    quoted = text.replace("\\", r"\\").replace('"', r"\"")
    return f'"{_printable(quoted)}"'


def _printable(text: str) -> str:
    """A text that stays on its line and does nothing to a terminal."""
    if text.isprintable():
        return text
    return "".join(mark if mark.isprintable() else ascii(mark)[1:-1] for mark in text)


def configure(level: str = "info", *, text: bool = False) -> None:
    """Send every logger's records from `level` on to standard error."""
    handler = LineHandler(sys.stderr.buffer)
    handler.setFormatter(LineFormatter(text=text))
    root = logging.getLogger()
    for existing in list(root.handlers):
        root.removeHandler(existing)
    root.addHandler(handler)
    root.setLevel(LEVELS[level])
    # The libraries' own stories belong to debugging them, not to running a gateway.
    for name in ("httpx", "httpcore", "websockets", "asyncio", "hpack"):
        logging.getLogger(name).setLevel(max(logging.WARNING, LEVELS[level]))


def reconfigure(level: str, *, text: bool) -> None:
    """Follow another document, where `configure` was called; a program's own logging stays."""
    root = logging.getLogger()
    if any(isinstance(handler.formatter, LineFormatter) for handler in root.handlers):
        configure(level, text=text)


class LineHandler(logging.Handler):
    """Writes each record at once, and never waits for whoever reads them."""

    def __init__(self, stream: BinaryIO) -> None:
        super().__init__()
        self._outlet = Outlet(stream, self._dropped)

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record."""
        try:
            self._outlet.write([self._line(record)])
        except Exception:
            self.handleError(record)

    def flush(self) -> None:
        """Write what waits for its reader, at the end of the program."""
        with self.lock or contextlib.nullcontext():
            self._outlet.finish(LAST)

    def _line(self, record: logging.LogRecord) -> bytes:
        return self.format(record).encode("utf-8", "replace")

    def _dropped(self, count: int) -> bytes:
        fields = {"msg": DROPPED, "levelno": logging.WARNING, "levelname": "WARNING"}
        return self._line(logging.makeLogRecord({**fields, "fields": {"count": count}}))


class LineWriter:
    """Writes many small lines with few system calls.

    A line is written at the latest `FLUSH_SECONDS` after it was added, or with the 64th, while
    somebody reads them. Nobody waits for that: a log never stops a request.
    """

    def __init__(self, stream: BinaryIO | None = None, *, text: bool = False) -> None:
        self._encode = encode_text if text else encode_json
        self._outlet = Outlet(stream if stream is not None else sys.stderr.buffer, self._dropped)
        self._lines: list[bytes] = []
        self._timer: asyncio.TimerHandle | None = None

    def use(self, *, text: bool) -> None:
        """Write the lines to come as text, or as JSON."""
        self._encode = encode_text if text else encode_json

    def add(self, fields: msgspec.Struct | dict[str, Any]) -> None:
        """Encode `fields` and write them soon."""
        lines = self._lines
        lines.append(self._encode(fields))
        if len(lines) >= FLUSH_LINES:
            self._flush_again()
        elif self._timer is None:
            self._arm()

    def flush(self) -> None:
        """Write what is waiting. Idempotent."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        lines, self._lines = self._lines, []
        if lines or self._outlet.waiting:
            self._outlet.write(lines)

    def close(self) -> None:
        """Write the last lines, for which a reader who is behind is waited for a moment."""
        self.flush()
        self._outlet.finish(LAST)

    def _flush_again(self) -> None:
        self.flush()
        if self._outlet.waiting:
            self._arm()

    def _arm(self) -> None:
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(FLUSH_SECONDS, self._flush_again)

    def _dropped(self, count: int) -> bytes:
        time_now = timestamp(time.time())
        return self._encode(
            {"time": time_now, "level": "warning", "message": DROPPED, "count": count}
        )
