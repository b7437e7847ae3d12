"""MCPGateways made, changed and waited for, with the time at which the API server told of it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

from tests.cluster.api import API, MERGE, Refused

from mcp_gateway.api.crd import PLURAL
from mcp_gateway.api.gateway import API_VERSION, KIND

Object = dict[str, Any]


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


def observed(found: Object) -> bool:
    """Tell whether the operator has looked at what the spec says now."""
    seen = found.get("status", {}).get("observedGeneration")
    return bool(seen == found["metadata"]["generation"])


class Watcher:
    """One namespace's MCPGateways, watched. An async context manager.

    Attributes:
        objects: what the watch has told last, by name.
    """

    def __init__(self, kubeconfig: Path, namespace: str) -> None:
        self.objects: dict[str, Object] = {}
        self._api = API(kubeconfig)
        self._path = f"/apis/{API_VERSION}/namespaces/{namespace}/{PLURAL}"
        self._news = asyncio.Condition()
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        await self._api.__aenter__()
        found = await self._api.request("GET", self._path)
        self._task = asyncio.create_task(
            self._watch(found["metadata"]["resourceVersion"]), name="watch"
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        await self._api.__aexit__(None, None, None)

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
            async with asyncio.timeout(within), self._news:
                await self._news.wait_for(holds)
                return time.perf_counter()
        except TimeoutError:
            raise TooSlow(f"not within {within:g} s: {what}") from None

    async def _watch(self, version: str) -> None:
        parameters = {"watch": "1", "resourceVersion": version, "timeoutSeconds": "3600"}
        async with self._api.stream(self._path, parameters) as answer:
            async for line in answer.aiter_lines():
                event = json.loads(line)
                found = event["object"]
                async with self._news:
                    if event["type"] == "DELETED":
                        self.objects.pop(found["metadata"]["name"], None)
                    else:
                        self.objects[found["metadata"]["name"]] = found
                    self._news.notify_all()
