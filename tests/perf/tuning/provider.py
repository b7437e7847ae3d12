"""The simulated provider of a run: told what to do, asked what it saw."""

from __future__ import annotations

from types import TracebackType
from typing import Any, Self

import httpx
from tests.support.gateway_process import SimulatorProcess

from mcp_gateway.api.simulator import SimulatorSettings


class Provider:
    """Talks to a simulator's process. An async context manager.

    Attributes:
        url: base URL to configure a gateway with.
        host, port: where it listens.
    """

    def __init__(self, process: SimulatorProcess) -> None:
        self.url = process.url
        self._control = f"{process.origin}/simulator"
        where = httpx.URL(process.origin)
        self.host, self.port = where.host, where.port or 80
        self._http = httpx.AsyncClient(trust_env=False, timeout=5.0)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._http.aclose()

    async def configure(self, settings: SimulatorSettings) -> None:
        """Change what it does."""
        body = settings.model_dump(mode="json", by_alias=True, exclude_none=True)
        answer = await self._http.put(f"{self._control}/settings", json=body)
        answer.raise_for_status()

    async def stats(self) -> dict[str, Any]:
        """What it saw of the one account."""
        answer = await self._http.get(f"{self._control}/stats")
        found: dict[str, Any] = next(iter(answer.json()["accounts"].values()), {})
        return found

    async def forget(self) -> None:
        """Have it count anew."""
        await self._http.delete(f"{self._control}/stats")
