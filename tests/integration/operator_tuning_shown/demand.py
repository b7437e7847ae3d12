"""Clients that ask the pods of gateways without a pause, from a thread of their own."""

from __future__ import annotations

import asyncio
import collections
import itertools
import threading
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Final, Self

import httpx

BODY: Final = {
    "model": "kimi-k2-0905-preview",
    "messages": [{"role": "user", "content": "Hello!"}],
}
Pod = tuple[str, str]
"""Address, and the key that opens it."""
REFRESH: Final = 0.5
_TIMEOUT: Final = 30.0


class Demand:
    """So many clients, each with one request at a time, to the pods in turn. A context manager.

    Args:
        pods: tells the pods; asked now and then, in a thread.
        clients: how many.

    Attributes:
        outcomes: answers by status; 0 counts what found no pod.
    """

    def __init__(self, pods: Callable[[], Sequence[Pod]], clients: int) -> None:
        self.outcomes: collections.Counter[int] = collections.Counter()
        self._find = pods
        self._clients = clients
        self._pods: Sequence[Pod] = ()
        self._turn = itertools.count()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), name="demand")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._ended.set()
        self._thread.join()

    async def _run(self) -> None:
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=None)
        async with httpx.AsyncClient(trust_env=False, timeout=_TIMEOUT, limits=limits) as http:
            tasks = [asyncio.create_task(self._client(http)) for _ in range(self._clients)]
            while not self._ended.is_set():
                self._pods = await asyncio.to_thread(self._find)
                await asyncio.sleep(REFRESH)
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)

    async def _client(self, http: httpx.AsyncClient) -> None:
        while True:
            pods = self._pods
            if not pods:
                await asyncio.sleep(REFRESH)
                continue
            address, key = pods[next(self._turn) % len(pods)]
            url, headers = (
                f"http://{address}:8079/v1/chat/completions",
                {"Authorization": f"Bearer {key}"},
            )
            try:
                answer = await http.post(url, json=BODY, headers=headers)
                self.outcomes[answer.status_code] += 1
            except httpx.TransportError:
                self.outcomes[0] += 1
                await asyncio.sleep(0.05)
