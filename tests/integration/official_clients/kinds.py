"""Every official client under test, with what its parts need to be installed."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.integration.official_clients import sdk2
from tests.integration.official_clients.client import OfficialClient, RemoteClient
from tests.support import node_clients, python_clients
from tests.support.cached_install import InstallFailed

HERE = Path(__file__).parent
REVISION = "2026-07-28"


@dataclass(frozen=True, slots=True)
class Kind:
    """One client, one transport, one way to agree on a revision.

    Attributes:
        language, generation: which SDK.
        transport: `http` or `websocket`. The official WebSocket clients cannot send headers.
        mode: how it chooses the revision: `auto`, `legacy`, `pinned`.
    """

    language: str
    generation: str
    transport: str
    mode: str

    def __str__(self) -> str:
        return f"{self.language}-{self.generation}-{self.transport}-{self.mode}"

    @contextlib.asynccontextmanager
    async def connect(self, url: str, key: str) -> AsyncIterator[OfficialClient]:
        """Install the client if need be, and connect it."""
        if (self.language, self.generation) == ("python", "2"):
            mode = REVISION if self.mode == "pinned" else self.mode
            async with sdk2.connect(mode, url, key) as inside:
                yield inside
            return
        try:
            arguments = self._arguments(url, key)
        except InstallFailed as error:
            pytest.skip(str(error))
        async with RemoteClient(arguments) as remote:
            yield remote

    def _arguments(self, url: str, key: str) -> list[str]:
        if self.language == "python":
            python = python_clients.interpreter(python_clients.MCP_WITH_WEBSOCKET)
            return [str(python), str(HERE / "driver_mcp1.py"), self.transport, url, key]
        folder = node_clients.packages(node_clients.CLIENTS)
        driver = [node_clients.node(), str(HERE / "driver.mjs"), str(folder)]
        return [*driver, f"v{self.generation}", self.transport, self.mode, url, key]


KINDS = [
    Kind("python", "2", "http", "auto"),
    Kind("python", "2", "http", "legacy"),
    Kind("python", "2", "http", "pinned"),
    Kind("python", "1", "http", "legacy"),
    Kind("python", "1", "websocket", "legacy"),
    Kind("typescript", "2", "http", "auto"),
    Kind("typescript", "2", "http", "legacy"),
    Kind("typescript", "2", "http", "pinned"),
    Kind("typescript", "1", "http", "legacy"),
    Kind("typescript", "1", "websocket", "legacy"),
]
