"""Just enough HTTP/1.1 and WebSocket to know when an answer is whole and whether it is good.

Written for the known peers of the benchmark, so that the load generator costs little beside
what it measures. It reads answers; it does not judge servers.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Protocol

_LENGTH = re.compile(rb"(?i)\r\ncontent-length: *(\d+)")
_END_OF_CHUNKS = b"0\r\n\r\n"
_TOOL_FAILED = b'"isError":true'
_RPC_FAILED = b'"error":{'


class BadAnswer(Exception):
    """The peer answered something else than success."""


@dataclass(slots=True)
class Answer:
    """One whole answer: how many events of a stream it had (1 without a stream)."""

    events: int


class Reader(Protocol):
    """Turns the bytes of one connection into answers."""

    def feed(self, data: bytes) -> list[Answer]:
        """Take bytes; return the answers they complete.

        Raises:
            BadAnswer: the peer answered with an error.
        """

    def control(self) -> bytes:
        """Bytes to send back first (a pong), or nothing."""


class HTTPReader:
    """Answers of one keep-alive connection, one at a time."""

    def __init__(self) -> None:
        self._buffer = b""
        self._events = 0
        self._length = -1  # of head and body; -1: the head is not whole; 0: chunked

    def control(self) -> bytes:
        """HTTP has none."""
        return b""

    def feed(self, data: bytes) -> list[Answer]:
        """See `Reader.feed`."""
        self._buffer = self._buffer + data if self._buffer else data
        if self._length < 0 and not self._head():
            return []
        if self._length > 0:
            return self._whole()
        return self._chunked(data)

    def _head(self) -> bool:
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            return False
        if not self._buffer.startswith(b"HTTP/1.1 200"):
            raise BadAnswer(self._buffer[:500].decode(errors="replace"))
        length = _LENGTH.search(self._buffer, 0, end + 2)
        self._length = end + 4 + int(length[1]) if length else 0
        return True

    def _whole(self) -> list[Answer]:
        if len(self._buffer) < self._length:
            return []
        if _TOOL_FAILED in self._buffer or _RPC_FAILED in self._buffer:
            raise BadAnswer(self._buffer[:1000].decode(errors="replace"))
        self._buffer, self._length = b"", -1
        return [Answer(1)]

    def _chunked(self, data: bytes) -> list[Answer]:
        self._events += data.count(b"data:")
        if not self._buffer.endswith(_END_OF_CHUNKS):
            self._buffer = self._buffer[-8:]  # enough to see the end mark come in pieces
            return []
        events, self._events = self._events, 0
        self._buffer, self._length = b"", -1
        return [Answer(events)]


class WebSocketReader:
    """Answers of one WebSocket, after its opening handshake.

    Notifications count as events of the answer that follows them.
    """

    def __init__(self) -> None:
        self._buffer = b""
        self._open = False
        self._events = 0
        self._control = b""

    def control(self) -> bytes:
        """See `Reader.control`."""
        control, self._control = self._control, b""
        return control

    @property
    def open(self) -> bool:
        """The peer has agreed to the upgrade."""
        return self._open

    def feed(self, data: bytes) -> list[Answer]:
        """See `Reader.feed`."""
        self._buffer = self._buffer + data if self._buffer else data
        if not self._open and not self._opening():
            return []
        answers: list[Answer] = []
        while (payload := self._frame()) is not None:
            self._events += 1
            if b'"method":"notifications/' in payload:
                continue
            if _TOOL_FAILED in payload or _RPC_FAILED in payload:
                raise BadAnswer(payload[:1000].decode(errors="replace"))
            answers.append(Answer(self._events))
            self._events = 0
        return answers

    def _opening(self) -> bool:
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            return False
        if not self._buffer.startswith(b"HTTP/1.1 101"):
            raise BadAnswer(self._buffer[:500].decode(errors="replace"))
        self._buffer = self._buffer[end + 4 :]
        self._open = True
        return True

    def _frame(self) -> bytes | None:
        """Return the next text payload, stepping over control frames; None when there is none."""
        while len(self._buffer) >= 2:
            opcode, size, start = self._buffer[0] & 0xF, self._buffer[1] & 0x7F, 2
            if size >= 126:
                start = 4 if size == 126 else 10
                size = int.from_bytes(self._buffer[2:start], "big")
            if len(self._buffer) < start + size:
                return None
            payload = self._buffer[start : start + size]
            self._buffer = self._buffer[start + size :]
            if opcode == 0x1:
                return payload
            if opcode == 0x8:
                raise BadAnswer(f"the peer closed the WebSocket: {payload!r}")
            if opcode == 0x9:
                # A pong with a zero mask, as in `wire.frame`; ping payloads stay below 126.
                self._control += bytes([0x8A, 0x80 | size]) + b"\0\0\0\0" + payload
        return None
