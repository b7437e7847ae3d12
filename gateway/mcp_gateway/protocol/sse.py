"""Server-sent events, the part of them that MCP and the providers use."""

from __future__ import annotations

from mcp_gateway.errors import RemoteProtocolError

MAX_EVENT = 1 << 20
"""Bytes of one event that a decoder takes, unless told otherwise."""


def encode(data: bytes) -> bytes:
    """Return one `message` event that carries `data`, a JSON text.

    Line breaks in JSON are only ever white space, and simple readers expect one `data` line.
    """
    if b"\n" in data or b"\r" in data:
        data = data.replace(b"\r", b" ").replace(b"\n", b" ")
    return b"event: message\ndata: %b\n\n" % data


def encode_plain(data: bytes) -> bytes:
    """Return one event without a name; data of several lines stays what it is."""
    if b"\n" in data:
        data = data.replace(b"\n", b"\ndata: ")
    return b"data: %b\n\n" % data


class SSEDecoder:
    """Cuts a byte stream into the data of its events. Event names, ids and comments are dropped.

    Lines may end in CR LF, LF or CR, cut anywhere by the network (WHATWG HTML §9.2.6).
    """

    __slots__ = ("_after_cr", "_data", "_held", "_max_event", "_parts", "_size", "_started")

    def __init__(self, max_event: int = MAX_EVENT) -> None:
        self._max_event = max_event
        # The line that has not ended, in the pieces it came in: a long one that comes byte by
        # byte is put together once.
        self._parts: list[bytes] = []
        self._held = 0
        self._data: list[bytes] = []
        self._size = 0
        self._after_cr = False
        self._started = False

    def feed(self, chunk: bytes) -> list[bytes]:
        """Take in the next bytes and return the data of every event they complete.

        Raises:
            RemoteProtocolError: an event is longer than the bound.
        """
        if b"\r" in chunk or self._after_cr:
            chunk = self._normalised(chunk)
        if not chunk:
            return []
        self._parts.append(chunk)
        self._held += len(chunk)
        events: list[bytes] = []
        if b"\n" in chunk:
            *lines, rest = b"".join(self._parts).split(b"\n")
            self._parts, self._held = [rest], len(rest)
            for line in lines:
                self._take(line, events)
        if self._size + self._held > self._max_event:
            raise RemoteProtocolError(f"an event is longer than {self._max_event} bytes")
        return events

    def close(self) -> list[bytes]:
        """Return what a stream that ended without its last line break still held."""
        events: list[bytes] = []
        self._take(b"".join(self._parts), events)
        self._take(b"", events)
        self._parts, self._held = [], 0
        return events

    def _normalised(self, chunk: bytes) -> bytes:
        if self._after_cr and chunk.startswith(b"\n"):
            chunk = chunk[1:]
            self._after_cr = False
        if chunk:
            self._after_cr = chunk.endswith(b"\r")
        return chunk.replace(b"\r\n", b"\n").replace(b"\r", b"\n")

    def _take(self, line: bytes, events: list[bytes]) -> None:
        if not self._started:
            self._started = True
            line = line.removeprefix(b"\xef\xbb\xbf")
        if not line:
            if self._data:
                events.append(b"\n".join(self._data))
                self._data.clear()
                self._size = 0
            return
        name, _, value = line.partition(b":")
        if name == b"data":
            self._data.append(value.removeprefix(b" "))
            self._size += len(value) + 1
