"""MCPGateways made, changed and waited for, with the time at which the API server told of it."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

from tests.cluster.api import API, MERGE, Key, Mirror, Object, Refused

from mcp_gateway.api.crd import PLURAL
from mcp_gateway.api.gateway import API_VERSION, KIND


class TooSlow(AssertionError):
    """What was waited for did not come."""


def gateway(name: str, *, replicas: int, **spec: Any) -> Object:
    """An MCPGateway that needs no key."""
    provider = {"name": "kimi", "type": "simulator", "simulator": {"wire": "kimi"}}
    return {
        "apiVersion": API_VERSION,
        "kind": KIND,
        "metadata": {"name": name},
        "spec": {"replicas": replicas, "providers": [provider], **spec},
    }


def ready(found: Object | None) -> bool:
    """Tell whether the condition Ready is true for what the spec says now."""
    if found is None:
        return False
    conditions = found.get("status", {}).get("conditions", [])
    return any(
        each["type"] == "Ready"
        and each["status"] == "True"
        and each["observedGeneration"] == found["metadata"]["generation"]
        for each in conditions
    )


def observed(found: Object | None) -> bool:
    """Tell whether the operator has looked at what the spec says now."""
    if found is None:
        return False
    seen = found.get("status", {}).get("observedGeneration")
    return bool(seen == found["metadata"]["generation"])


class Watcher:
    """One namespace's MCPGateways, watched. An async context manager."""

    def __init__(self, kubeconfig: Path, namespace: str) -> None:
        self._api = API(kubeconfig)
        self._namespace = namespace
        self._path = f"/apis/{API_VERSION}/namespaces/{namespace}/{PLURAL}"
        self._mirror = Mirror(self._api, self._path, self._changed)
        self._news = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        await self._api.__aenter__()
        self._task = asyncio.create_task(self._mirror.run(), name="watch")
        await self._mirror.synced.wait()
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        await self._api.__aexit__(None, None, None)

    def find(self, name: str) -> Object | None:
        """One of them, as the watch has told last."""
        return self._mirror.objects.get((self._namespace, name))

    def count(self, holds: Callable[[Object], bool]) -> int:
        """How many of them are so."""
        return sum(map(holds, self._mirror.objects.values()))

    async def create(self, body: Object) -> None:
        """Make one."""
        await self._api.request("POST", self._path, body)

    async def change(self, name: str, spec: Object) -> None:
        """Merge something into one's spec."""
        await self._api.request("PATCH", f"{self._path}/{name}", {"spec": spec}, kind=MERGE)

    async def delete(self, name: str) -> None:
        """Delete one that may be gone."""
        with contextlib.suppress(Refused):
            await self._api.request("DELETE", f"{self._path}/{name}")

    async def until(self, holds: Callable[[], bool], what: str, within: float) -> float:
        """Wait for what the watch tells; the moment at which it held.

        Raises:
            TooSlow: it did not within `within` seconds.
        """
        try:
            async with asyncio.timeout(within):
                while not holds():
                    self._news.clear()
                    await self._news.wait()
                return time.perf_counter()
        except TimeoutError:
            raise TooSlow(f"not within {within:g} s: {what}") from None

    def _changed(self, _: Key, __: Object | None) -> None:
        self._news.set()
