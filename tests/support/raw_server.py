"""A server on loopback whose every byte a test decides, and a proxy in front of it."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

Handler = Callable[["Peer"], Awaitable[None]]


class Peer:
    """The server's side of one connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def request(self) -> bytes:
        """Read one request with a Content-Length or without a body; b"" when the client left."""
        try:
            head = await self.reader.readuntil(b"\r\n\r\n")
        except (asyncio.IncompleteReadError, ConnectionError):
            return b""
        for line in head.split(b"\r\n"):
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length":
                return head + await self.reader.readexactly(int(value))
        return head

    async def send(self, data: bytes) -> None:
        """Write `data` and let it leave."""
        self.writer.write(data)
        await self.writer.drain()

    async def gone(self) -> None:
        """Return when the client has closed its side."""
        with suppress(ConnectionError):
            while await self.reader.read(65536):
                pass

    def reset(self) -> None:
        """Close with a RST instead of a FIN."""
        sock = self.writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()


class Server:
    """Serves `handler` on loopback.

    Attributes:
        port: chosen by the system.
        connections: how many it has accepted.
        open: how many are open now.
    """

    def __init__(self, handler: Handler) -> None:
        self.port = 0
        self.connections = 0
        self.open = 0
        self._handler = handler
        self._tasks: set[asyncio.Task[None]] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.connections += 1
        self.open += 1
        try:
            # Clients that leave, and the end of the test, are no errors of the server's.
            with suppress(ConnectionError, asyncio.CancelledError, ssl.SSLError):
                await self._handler(Peer(reader, writer))
        finally:
            self.open -= 1
            self._tasks.discard(task)
            writer.transport.abort() if writer.is_closing() else writer.close()
            with suppress(ConnectionError, asyncio.CancelledError, ssl.SSLError, TimeoutError):
                await writer.wait_closed()

    async def end(self) -> None:
        """Drop every connection."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=5)


@asynccontextmanager
async def serving(handler: Handler, tls: ssl.SSLContext | None = None) -> AsyncIterator[Server]:
    """Run a server of `handler` as long as the block."""
    server = Server(handler)
    listener = await asyncio.start_server(server.serve, "127.0.0.1", 0, ssl=tls)
    server.port = listener.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        listener.close()
        await server.end()


def responder(*answers: bytes) -> Handler:
    """Answer the first request with the first answer, and so on; the last one repeats."""

    async def handle(peer: Peer) -> None:
        count = 0
        while await peer.request():
            await peer.send(answers[min(count, len(answers) - 1)])
            count += 1

    return handle


def tunnel(credentials: str = "", seen: list[bytes] | None = None) -> Handler:
    """An outbound proxy: opens CONNECT tunnels for those with the right credentials."""

    async def handle(peer: Peer) -> None:
        head = await peer.request()
        if seen is not None:
            seen.append(head)
        method, target, _ = head.split(b" ", 2)
        wanted = f"Proxy-Authorization: {credentials}".encode()
        if method != b"CONNECT" or (credentials and wanted not in head):
            await peer.send(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n")
            return
        host, _, port = target.decode().rpartition(":")
        reader, writer = await asyncio.open_connection(host.strip("[]"), int(port))
        await peer.send(b"HTTP/1.1 200 Connection established\r\nX-Proxy: yes\r\n\r\n")
        pipes = [_pipe(peer.reader, writer), _pipe(reader, peer.writer)]
        try:
            await asyncio.gather(*pipes)
        finally:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()

    return handle


async def _pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
        writer.close()
