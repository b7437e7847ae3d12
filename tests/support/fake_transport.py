"""The network's side of one connection: bytes in, bytes out, and everything that can go wrong.

A fake at the border: it behaves as asyncio's and uvloop's transports do towards a protocol
(`connection_lost` comes a turn later, writing after a close is dropped) and remembers the rest.
"""

from __future__ import annotations

import asyncio
import socket
from typing import Any

from tests.support.fake_upstream import FakeSocket


class FakeTransport(asyncio.Transport):
    """A connected socket without a network.

    Attributes:
        protocol: who is fed; may be replaced by `set_protocol`.
        written: bytes that left.
        writes: how many writes they left in.
        eof_written, closed, aborted: what the protocol did.
        reading: the protocol wants bytes; what is sent meanwhile waits.
        unsent: bytes that the other end has not read yet; a test says how many.
    """

    def __init__(
        self, protocol: asyncio.Protocol, *, peer: str = "127.0.0.1", half_close: bool = True
    ) -> None:
        super().__init__()
        self.protocol: asyncio.BaseProtocol = protocol
        self.written = b""
        self.writes = 0
        self.eof_written = False
        self.closed = False
        self.aborted = False
        self.reading = True
        self.unsent = 0
        self._socket: FakeSocket | socket.socket | None = None
        self._half_close = half_close
        self._peer = peer
        self._held: list[bytes] = []
        self._lost = False
        protocol.connection_made(self)

    # The other end's side.

    def send(self, data: bytes) -> None:
        """Let `data` arrive, now or when the protocol reads again."""
        self._held.append(data)
        self._deliver()

    def vanish(self) -> None:
        """Let the other end be gone."""
        self._lose()

    def hang_up(self) -> None:
        """Let the other end close; as with a socket, it is told to whoever reads."""
        self._socket = self._socket or FakeSocket()
        assert isinstance(self._socket, FakeSocket), "nothing lies in the kernel"
        self._socket.hang_up()

    def leave_in_kernel(self) -> socket.socket:
        """Let what was sent lie with the system until the returned socket is read."""
        ours, theirs = socket.socketpair()
        ours.send(b"x")
        self._socket = ours
        return theirs

    def stall(self, unsent: int = 100_000) -> None:
        """Let the other end stop reading."""
        self.unsent = unsent
        self.protocol.pause_writing()

    def flow(self) -> None:
        """Let the other end read again."""
        self.unsent = 0
        self.protocol.resume_writing()

    def take(self) -> bytes:
        """Return what was written since the last call."""
        written, self.written = self.written, b""
        return written

    # The protocol's side.

    def write(self, data: Any) -> None:
        if not self.closed and not self.eof_written:
            self.written += bytes(data)
            self.writes += 1

    def write_eof(self) -> None:
        self.eof_written = True

    def get_write_buffer_size(self) -> int:
        return self.unsent

    def can_write_eof(self) -> bool:
        return self._half_close

    def close(self) -> None:
        self.closed = True
        asyncio.get_running_loop().call_soon(self._lose)

    def abort(self) -> None:
        self.aborted = True
        self.close()

    def is_closing(self) -> bool:
        return self.closed

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True
        asyncio.get_running_loop().call_soon(self._deliver)

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        if name == "socket" and not self.closed:
            self._socket = self._socket or FakeSocket()
            return self._socket
        return (self._peer, 40000) if name == "peername" else default

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self.protocol = protocol

    def get_protocol(self) -> asyncio.BaseProtocol:
        return self.protocol

    def _deliver(self) -> None:
        while self._held and self.reading and not self.closed and not self._lost:
            assert isinstance(self.protocol, asyncio.Protocol)
            self.protocol.data_received(self._held.pop(0))

    def _lose(self) -> None:
        if not self._lost:
            self._lost = self.closed = True
            if self._socket is not None:
                self._socket.close()
            self.protocol.connection_lost(None)


async def settle(turns: int = 60) -> None:
    """Let everything run that needs no time."""
    for _ in range(turns):
        await asyncio.sleep(0)
