"""A pod that is ready, and on its control port is no gateway.

    python -m tests.cluster.hostile_peer MODE FOLDER ADMIN_PORT CONTROL_PORT

FOLDER holds the certificate that the operator made for the pod. The modes, from the bottom of
the protocol to its top:

    noise   answers TLS with bytes that are none
    hang    takes connections and says nothing
    mute    opens the channel and says nothing
    liar    opens the channel and sends what is no greeting
    flood   greets, and never stops talking
    giant   greets, and sends one message without end
"""

from __future__ import annotations

import asyncio
import os
import ssl
import sys
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from mcp_gateway.api.control import SUBPROTOCOL, Hello, Pong

MODES = ("noise", "hang", "mute", "liar", "flood", "giant")
READY = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"


async def _probed(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Tell the kubelet that all is well."""
    with suppress(OSError, asyncio.IncompleteReadError):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(READY)
        await writer.drain()
    writer.close()


async def _noise(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        await reader.read(1)
        writer.write(bytes(range(256)) * 64)
        await writer.drain()
    writer.close()


async def _hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while await reader.read(4096):
            pass
    writer.close()


def _hello() -> str:
    return Hello(pod=os.environ["POD_NAME"], version="0", generation=0).encode()


async def _endless() -> AsyncIterator[str]:
    while True:
        yield "x" * 65536


async def _talk(mode: str, connection: ServerConnection) -> None:
    """Misbehave on an open channel, for as long as it is open."""
    with suppress(ConnectionClosed):
        if mode == "liar":
            await connection.send('{"type": "ack"')
        if mode in ("flood", "giant"):
            await connection.send(_hello())
        if mode == "giant":
            await connection.send(_endless())
        while mode == "flood":
            await connection.send(Pong().encode())
            await asyncio.sleep(0)  # its probes are to be answered: only the channel is wrong
        await connection.wait_closed()


async def main(mode: str, folder: Path, admin: int, control: int) -> None:
    """Serve until the process is ended."""
    host = os.environ["MCP_GATEWAY_BIND"]
    await asyncio.start_server(_probed, host, admin)
    if mode in ("noise", "hang"):
        await asyncio.start_server(_noise if mode == "noise" else _hang, host, control)
    else:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(folder / "tls.crt", folder / "tls.key")
        await serve(
            lambda connection: _talk(mode, connection), host, control, ssl=context,
            subprotocols=[Subprotocol(SUBPROTOCOL)],
        )  # fmt: skip
    await asyncio.get_running_loop().create_future()


if __name__ == "__main__":
    assert sys.argv[1] in MODES, __doc__
    asyncio.run(main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])))
