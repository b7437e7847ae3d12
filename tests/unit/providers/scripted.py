"""A provider at the network border: a transport that answers what is written by a script."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from mcp_gateway.providers.base import StreamEvent
from mcp_gateway.upstream.connection import Connection
from mcp_gateway.upstream.endpoint import Endpoint

EOF_ = b""
"""In a script: the provider closes the connection."""


class ScriptedTransport(asyncio.Transport):
    """Feeds its connection the pieces of one answer for each request, one loop round apart."""

    def __init__(self, connection: Connection, answers: Sequence[Sequence[bytes]]) -> None:
        super().__init__()
        self.written: list[bytes] = []
        self.closed = False
        self._connection = connection
        self._answers = list(answers)
        self._loop = asyncio.get_running_loop()

    def write(self, data: Any) -> None:
        self.written.append(bytes(data))
        pieces = self._answers.pop(0) if self._answers else ()
        for number, piece in enumerate(pieces):
            self._loop.call_later(0.01 * (number + 1), self._feed, piece)

    def get_write_buffer_size(self) -> int:
        return 0

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return default

    def is_closing(self) -> bool:
        return self.closed

    def pause_reading(self) -> None:
        """The script is short."""

    def resume_reading(self) -> None:
        """The script is short."""

    def close(self) -> None:
        self.abort()

    def abort(self) -> None:
        if not self.closed:
            self.closed = True
            self._loop.call_soon(self._connection.connection_lost, None)

    def _feed(self, piece: bytes) -> None:
        if self.closed:
            return
        if piece == EOF_:
            self._connection.eof_received()
            self.abort()
        else:
            self._connection.data_received(piece)


class Recorder:
    """A sink that keeps what it is sent."""

    def __init__(self) -> None:
        self.events: list[StreamEvent] = []
        self.congested = False
        self.waited = 0

    def send(self, event: StreamEvent) -> None:
        self.events.append(event)

    async def drained(self) -> None:
        self.waited += 1
        self.congested = False


def connection(
    *answers: Sequence[bytes], url: str = "http://provider.test/v1"
) -> tuple[Connection, ScriptedTransport]:
    """A ready connection whose requests are answered by the script."""
    made = Connection(Endpoint.parse(url), asyncio.get_running_loop())
    transport = ScriptedTransport(made, answers)
    made.connection_made(transport)
    return made, transport


def response(body: bytes, status: int = 200, **headers: str) -> bytes:
    """A whole HTTP response; underscores in header names stand for hyphens."""
    lines = [f"HTTP/1.1 {status} X", f"content-length: {len(body)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + body


def stream(*events: bytes, end: bool = True) -> list[bytes]:
    """A chunked event stream, one piece per event; without `end` the body stays open."""
    head = (
        b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
    )
    pieces = [head]
    for event in events:
        framed = b"data: " + event + b"\n\n"
        pieces.append(b"%x\r\n%b\r\n" % (len(framed), framed))
    if end:
        pieces.append(b"0\r\n\r\n")
    return pieces
