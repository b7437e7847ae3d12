"""The official Python SDK 2.x, in this process, over Streamable HTTP."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import httpx2
from mcp import Client, MCPError
from mcp.client.streamable_http import streamable_http_client
from tests.integration.official_clients.client import CallFailed, OfficialClient, Outcome


class SDK2Client:
    """A connected `mcp.Client`."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._running: asyncio.Task[Outcome] | None = None

    async def tools(self) -> list[str]:
        """See `OfficialClient.tools`."""
        return [tool.name for tool in (await self._client.list_tools()).tools]

    async def call(
        self, tool: str, arguments: dict[str, Any], *, progress: bool = False
    ) -> Outcome:
        """See `OfficialClient.call`."""
        pieces: list[str] = []

        async def notice(progress: float, total: float | None, message: str | None) -> None:
            pieces.append(message or "")

        try:
            result = await self._client.call_tool(
                tool, arguments, progress_callback=notice if progress else None
            )
        except MCPError as error:
            raise CallFailed(error.code, error.message, error.data) from error
        text = "".join(getattr(part, "text", "") for part in result.content)
        return Outcome(text, result.structured_content, bool(result.is_error), pieces)

    async def begin(self, tool: str, arguments: dict[str, Any]) -> None:
        """See `OfficialClient.begin`."""
        self._running = asyncio.create_task(self.call(tool, arguments), name="begun call")

    async def abandon(self) -> str:
        """See `OfficialClient.abandon`."""
        assert self._running is not None
        self._running.cancel()
        outcome = (await asyncio.gather(self._running, return_exceptions=True))[0]
        return "answered" if isinstance(outcome, Outcome) else "ended"


@contextlib.asynccontextmanager
async def connect(mode: str, url: str, key: str) -> AsyncIterator[OfficialClient]:
    """Connect in one of the SDK's modes: `auto`, `legacy` or a revision to pin."""
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    async with httpx2.AsyncClient(headers=headers, timeout=60.0) as http:
        transport = streamable_http_client(url, http_client=http)
        async with Client(transport, mode=mode) as client:
            yield SDK2Client(client)
