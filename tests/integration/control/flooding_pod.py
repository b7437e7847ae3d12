"""A pod that greets and then never stops talking: `python -m ... FOLDER HOST PORT NAME`.

A process, because a flood in the test's own loop would slow the test down, not the fleet.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import sys
from pathlib import Path

from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from mcp_gateway.api.control import SUBPROTOCOL, Hello, Pong


async def main(folder: Path, host: str, port: int, name: str) -> None:
    """Serve until the process is ended."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "tls.crt", folder / "tls.key")

    async def flood(connection: ServerConnection) -> None:
        with contextlib.suppress(ConnectionClosed):
            await connection.send(Hello(pod=name, version="0", generation=1).encode())
            while True:
                await connection.send(Pong().encode())

    async with serve(flood, host, port, ssl=context, subprotocols=[SUBPROTOCOL]):  # type: ignore[list-item]
        print("ready", flush=True)
        await asyncio.get_running_loop().create_future()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), sys.argv[4]))
