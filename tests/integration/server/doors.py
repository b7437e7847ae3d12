"""Listeners on real ports before an engine that answers from a script, and raw clients."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from tests.support.http_answer import Answer, read_answers
from tests.support.stand_in_engine import StandInEngine

from mcp_gateway.api.server import Server
from mcp_gateway.config.secrets import SecretReader
from mcp_gateway.server.listeners import Listeners

PATIENCE = 60.0
"""Seconds any single wait may take before the test fails."""


class Backend:
    """What the admin port shows."""

    def ready(self) -> tuple[bool, dict[str, Any]]:
        return True, {}

    def status(self) -> dict[str, Any]:
        return {"name": "doors", "ready": True}

    def metrics(self) -> bytes:
        return b"up 1\n"

    async def apply_config(self, document: bytes) -> dict[str, Any]:
        return {"length": len(document)}

    async def apply_limits(self, limits: bytes) -> dict[str, Any]:
        return {"length": len(limits)}


@asynccontextmanager
async def doors(
    engine: StandInEngine | None = None, *, secrets_dir: Path | None = None, **server: Any
) -> AsyncIterator[Listeners]:
    """Open listeners on ports the system chooses."""
    fields = {"host": "127.0.0.1", "port": 0, "adminPort": 0, **server}
    listeners = Listeners(
        engine or StandInEngine(),
        Server.model_validate(fields),
        Backend(),
        secrets=SecretReader(secrets_dir, {}),
    )
    try:
        await listeners.start()
        yield listeners
    finally:
        await listeners.aclose()


class Wire:
    """A client that sends and reads bytes."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    @classmethod
    @asynccontextmanager
    async def connect(
        cls, address: tuple[str, int], tls: ssl.SSLContext | None = None
    ) -> AsyncIterator[Wire]:
        """Connect, and close at the end whatever became of it."""
        name = "localhost" if tls else None
        reader, writer = await asyncio.open_connection(*address, ssl=tls, server_hostname=name)
        try:
            yield cls(reader, writer)
        finally:
            writer.transport.abort()

    async def ask(self, data: bytes) -> Answer:
        """Send a request and read its answer."""
        self.writer.write(data)
        return await self.answer()

    async def answer(self) -> Answer:
        """Read one whole answer."""
        data = b""
        async with asyncio.timeout(PATIENCE):
            while True:
                piece = await self.reader.read(65536)
                data += piece
                answers = read_answers(data) if data else []
                if answers and (answers[-1].whole or not piece):
                    return answers[-1]
                assert piece, "the connection ended before an answer"

    async def ended(self) -> bytes:
        """Read until the other side ends the connection; what came before that."""
        async with asyncio.timeout(PATIENCE):
            try:
                return await self.reader.read(-1)
            except ConnectionError:
                return b""


async def eventually(condition: Callable[[], object]) -> None:
    """Wait, with a bound, until `condition()` is true: for what no event tells."""
    for _ in range(int(PATIENCE / 0.01)):
        if condition():
            return
        await asyncio.sleep(0.01)
    raise TimeoutError(f"not within {PATIENCE} seconds")
