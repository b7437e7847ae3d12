"""A provider without sockets: transports that remember, and a connector that makes them.

Everything above the transport is the product's own code.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from typing import Any

from mcp_gateway.upstream.connection import Connection
from mcp_gateway.upstream.endpoint import Endpoint

ENDPOINT = Endpoint.parse("http://provider.test/v1")


def answer(body: bytes = b"{}", status: int = 200, extra: bytes = b"") -> bytes:
    """The bytes of a whole response with a Content-Length."""
    return b"HTTP/1.1 %d X\r\n%sContent-Length: %d\r\n\r\n%s" % (status, extra, len(body), body)


class FakeSocket:
    """Something with a descriptor that can be made readable, and hung up."""

    def __init__(self) -> None:
        self._read, self._write = os.pipe()

    def fileno(self) -> int:
        return self._read

    def make_readable(self) -> None:
        os.write(self._write, b"x")

    def hang_up(self) -> None:
        if self._write >= 0:
            os.close(self._write)
            self._write = -1

    def close(self) -> None:
        self.hang_up()
        if self._read >= 0:
            os.close(self._read)
            self._read = -1


class FakeTransport(asyncio.Transport):
    """Remembers what was written, and plays the provider's side."""

    def __init__(self, connection: Connection, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__()
        self.written: list[bytes] = []
        self.ended: str | None = None
        self.paused = False
        self.unsent = 0
        self.on_write: Callable[[FakeTransport, bytes], None] | None = None
        self.on_end: Callable[[], None] | None = None
        self.socket: FakeSocket | None = None
        self.connection = connection
        self._loop = loop
        self._lost = False

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        if name != "socket" or self.ended:
            return default
        if self.socket is None:
            self.socket = FakeSocket()
        return self.socket

    def write(self, data: bytes | bytearray | memoryview[Any]) -> None:
        self.written.append(bytes(data))
        if self.on_write is not None:
            self._loop.call_soon(self.on_write, self, bytes(data))

    def get_write_buffer_size(self) -> int:
        return self.unsent

    def pause_reading(self) -> None:
        self.paused = True

    def resume_reading(self) -> None:
        self.paused = False

    def is_closing(self) -> bool:
        return self.ended is not None

    def close(self) -> None:
        self._finish("close", None)

    def abort(self) -> None:
        self._finish("abort", None)

    def feed(self, data: bytes) -> None:
        """The provider sends `data`."""
        if self.ended is None:
            self.connection.data_received(data)

    def eof(self) -> None:
        """The provider closes in order."""
        if self.ended is None:
            self.connection.eof_received()
            self._finish("eof", None)

    def reset(self) -> None:
        """The provider resets the connection."""
        self._finish("reset", ConnectionResetError("reset by peer"))

    def _finish(self, how: str, exc: Exception | None) -> None:
        self.ended = self.ended or how
        if self._lost:
            return
        self._lost = True
        if self.socket is not None:
            self.socket.close()
        if self.on_end is not None:
            self.on_end()
        self._loop.call_soon(self.connection.connection_lost, exc)


def connect(endpoint: Endpoint = ENDPOINT, **bounds: int) -> tuple[Connection, FakeTransport]:
    """Make a connection that is READY, and the provider's side of it."""
    loop = asyncio.get_running_loop()
    connection = Connection(endpoint, loop, **bounds)
    transport = FakeTransport(connection, loop)
    connection.connection_made(transport)
    return connection, transport


class FakeConnector:
    """Opens connections after `delay` virtual seconds, or raises what `fail_with` says.

    Attributes:
        delay: virtual seconds each takes.
        fail_with: makes the error of the next tries; None lets them succeed.
        on_write: what each transport does with a request.
        connecting, open: how many now.
        most: the most of both together, ever.
        tried: the endpoint of each try.
        transports: of each connection, in order.
    """

    def __init__(self, delay: float = 0.0) -> None:
        self.delay = delay
        self.fail_with: Callable[[], BaseException] | None = None
        self.on_write: Callable[[FakeTransport, bytes], None] | None = None
        self.connecting = 0
        self.open = 0
        self.most = 0
        self.tried: list[Endpoint] = []
        self.transports: list[FakeTransport] = []

    async def connect(self, endpoint: Endpoint) -> Connection:
        self.tried.append(endpoint)
        self.connecting += 1
        self.most = max(self.most, self.connecting + self.open)
        try:
            await asyncio.sleep(self.delay)
            if self.fail_with is not None:
                raise self.fail_with()
        finally:
            self.connecting -= 1
        connection, transport = connect(endpoint)
        transport.on_write = self.on_write
        transport.on_end = self._ended
        self.transports.append(transport)
        self.open += 1
        return connection

    def _ended(self) -> None:
        self.open -= 1
