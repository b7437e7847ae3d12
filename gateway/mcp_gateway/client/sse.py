"""Server-sent events, as far as MCP uses them: one JSON message in the `data` of each event."""

from __future__ import annotations

from mcp_gateway.errors import RemoteProtocolError


class EventReader:
    """Turn chunks of a `text/event-stream` into the data of its events.

    Comments (the gateway's keep-alives) and fields other than `data` are skipped. Line ends may
    be LF, CRLF or CR, as HTML §9.2.6 says.
    """

    __slots__ = ("_data", "_limit", "_parts", "_size")

    def __init__(self, limit: int) -> None:
        """Bound one event to `limit` bytes."""
        self._limit = limit
        self._parts: list[bytes] = []  # the line that has not ended, in the chunks it came in
        self._data: list[bytes] = []  # data lines of the event that has not ended
        self._size = 0  # bytes held in both

    def feed(self, chunk: bytes) -> list[bytes]:
        """Return the data of the events that `chunk` completes.

        Raises:
            RemoteProtocolError: an event is over the limit.
        """
        self._parts.append(chunk)
        self._size += len(chunk)
        events = self._completed() if b"\n" in chunk or b"\r" in chunk else []
        if self._size > self._limit:
            raise RemoteProtocolError(f"the gateway sent an event of more than {self._limit} bytes")
        return events

    def _completed(self) -> list[bytes]:
        text = b"".join(self._parts)
        # A CR at the end may be the first half of a CRLF: it waits for the other half.
        held = text.endswith(b"\r")
        if held:
            text = text[:-1]
        lines = text.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
        rest = lines.pop()
        self._parts = [rest, b"\r"] if held else [rest]
        events = [event for line in lines if (event := self._line(line)) is not None]
        # A line break each: lines without data are to be bounded, too.
        self._size = len(rest) + held + sum(map(len, self._data)) + len(self._data)
        return events

    def _line(self, line: bytes) -> bytes | None:
        if line:
            if line.startswith(b"data:"):
                self._data.append(line[5:].removeprefix(b" "))
            return None
        if not self._data:
            return None
        event = b"\n".join(self._data)
        self._data.clear()
        return event
