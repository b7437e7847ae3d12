"""A gateway's pods as processes, one simulated provider, and an operator that only grants."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from tests.integration.control.pods import PodProcess, Pods, body
from tests.support.gateway_process import ClientKey, SimulatorProcess, client_key

from mcp_gateway.api.control import Grant, Report, read_up
from mcp_gateway.api.quota import Peer, Quota
from mcp_gateway.api.server import PEER_PORT
from mcp_gateway_operator.fleet.wire import Address, Dialer, Lost, Wire

CHAT = {"model": "kimi-k2.6", "messages": [{"role": "user", "content": "Hello!"}]}
PATIENCE = 60.0
SECRET = "clients"


def document(simulator: SimulatorProcess, **spec: Any) -> dict[str, Any]:
    """What every pod reads: one account with one slot, shared by an operator's word."""
    provider = {
        "name": "kimi",
        "type": simulator.wire,
        "endpoints": [{"url": simulator.url}],
        "apiKey": {"secretRef": {"name": "kimi", "key": "api-key"}},
        "limits": {"concurrency": 1},
        "pool": {"acquireTimeout": "30s"},
    }
    auth = {"apiKeys": {"secretRef": {"name": SECRET, "key": "keys"}}}
    return body(provider, **{"auth": auth, "tuning": {"mode": "Auto"}, **spec})


@dataclass
class Granter:
    """The operator's end of every pod's channel.

    Attributes:
        reports: the last one of each pod, by its name.
    """

    pods: Pods
    wires: dict[str, Wire] = field(default_factory=dict)
    reports: dict[str, Report] = field(default_factory=dict)
    sequence: int = 0
    news: asyncio.Event = field(default_factory=asyncio.Event)

    async def grant(self, shares: Mapping[str, int], **by_model: Mapping[str, int]) -> None:
        """Tell each pod its share, and those without one who has; return when all have it.

        Who loses a slot hears of it first, as from the real operator.

        Args:
            shares: of the account, by pod.
            by_model: of models, where the provider limits every model by itself.
        """
        self.sequence += 1
        granted = by_model or {"": shares}
        for name in sorted(self.wires, key=lambda name: shares.get(name, 0)):
            quotas, peers = [], []
            for model, given in granted.items():
                quotas.append(Quota(provider="kimi", model=model, share=given.get(name, 0)))
                peers += self._peers(name, given, model)
            grant = Grant(epoch=1, sequence=self.sequence, quotas=quotas, peers=peers)
            await self.wires[name].send(grant.encode())
        async with asyncio.timeout(PATIENCE):
            while not all(
                name in self.reports and self.reports[name].sequence == self.sequence
                for name in self.wires
            ):
                self.news.clear()
                await self.news.wait()

    def _peers(self, name: str, shares: Mapping[str, int], model: str) -> list[Peer]:
        if shares.get(name, 0):
            return []
        address = {other: f"{self.pods.running[other].pod.ip}:{PEER_PORT}" for other in shares}
        return [
            Peer(address=address[other], provider="kimi", model=model, share=share)
            for other, share in shares.items()
            if share
        ]

    async def hear(self, name: str, wire: Wire) -> None:
        """Read what a pod says until it says nothing more."""
        with contextlib.suppress(Lost):
            while True:
                message = read_up(await wire.receive())
                if isinstance(message, Report):
                    self.reports[name] = message
                    self.news.set()


@dataclass
class Fleet:
    """Everything a test needs of it.

    Attributes:
        keys: of two clients.
    """

    pods: Pods
    simulator: SimulatorProcess
    operator: Granter
    http: httpx.AsyncClient
    keys: dict[str, ClientKey]

    def names(self) -> list[str]:
        """The pods, in the order they were started."""
        return list(self.pods.running)

    def pod(self, name: str) -> PodProcess:
        return self.pods.running[name]

    async def ask(self, name: str, client: str = "anna", **more: Any) -> httpx.Response:
        """Ask a pod, and read the whole answer."""
        headers = {"authorization": f"Bearer {self.keys[client].key}"}
        url = f"{self.pod(name).openai}/chat/completions"
        return await self.http.post(url, json={**CHAT, **more}, headers=headers)

    @contextlib.asynccontextmanager
    async def stream(self, name: str, client: str = "anna") -> AsyncIterator[httpx.Response]:
        """Ask a pod for a stream, and have its head."""
        headers = {"authorization": f"Bearer {self.keys[client].key}"}
        url = f"{self.pod(name).openai}/chat/completions"
        content = {**CHAT, "stream": True}
        async with self.http.stream("POST", url, json=content, headers=headers) as response:
            yield response

    def stats(self) -> dict[str, Any]:
        """What the provider saw of the one account."""
        stats = self.simulator.stats()
        accounts = list(stats["accounts"].values())
        assert len(accounts) <= 1, "all pods use one key"
        return accounts[0] if accounts else {}

    async def hops(self, name: str, direction: str) -> dict[str, int]:
        """A pod's hops by outcome, those that were."""
        text = (await self.http.get(f"{self.pod(name).admin}/metrics")).text
        start = f'mcp_gateway_hops_total{{direction="{direction}",outcome="'
        found = {}
        for line in text.splitlines():
            if line.startswith(start):
                outcome, _, value = line.removeprefix(start).partition('"} ')
                if float(value):
                    found[outcome] = int(float(value))
        return found

    async def waiting(self, name: str) -> int:
        """Requests that wait in a pod for a slot."""
        text = (await self.http.get(f"{self.pod(name).admin}/metrics")).text
        start = 'mcp_gateway_pool_waiting{provider="kimi"'
        return sum(int(float(s.split()[-1])) for s in text.splitlines() if s.startswith(start))


@contextlib.asynccontextmanager
async def fleet_of(
    count: int, folder: Path, simulator: SimulatorProcess, **spec: Any
) -> AsyncIterator[Fleet]:
    """`count` pods, each with its channel to the operator; nothing is granted yet."""
    keys = {name: client_key(name) for name in ("anna", "greedy")}
    pods = Pods.make(folder)
    try:
        for name, key, text in (
            (SECRET, "keys", "\n".join(each.line for each in keys.values())),
            ("kimi", "api-key", "sk-fleet"),
        ):
            (folder / "secrets" / name).mkdir()
            (folder / "secrets" / name / key).write_text(text)
        await pods.start(count, document(simulator, **spec))
        async with contextlib.AsyncExitStack() as stack:
            limits = httpx.Limits(max_connections=None)
            http = httpx.AsyncClient(trust_env=False, timeout=60.0, limits=limits)
            await stack.enter_async_context(http)
            operator = Granter(pods)
            listening = await stack.enter_async_context(_group())
            for name, process in pods.running.items():
                wire = await stack.enter_async_context(_channel(pods, process))
                operator.wires[name] = wire
                listening.append(asyncio.create_task(operator.hear(name, wire)))
            yield Fleet(pods, simulator, operator, http, keys)
    finally:
        pods.stop()


@contextlib.asynccontextmanager
async def _group() -> AsyncIterator[list[asyncio.Task[None]]]:
    tasks: list[asyncio.Task[None]] = []
    try:
        yield tasks
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _channel(pods: Pods, process: PodProcess) -> contextlib.AbstractAsyncContextManager[Wire]:
    credentials = pods.credentials
    address = Address(process.pod.ip, pods.port, credentials.server_name, credentials.ca)
    return Dialer().dial(address, credentials.token)


def events(text: str) -> list[Any]:
    """The events of a streamed answer, decoded; the end marker as it is."""
    data = [line.removeprefix("data: ") for line in text.splitlines() if line.startswith("data: ")]
    return [each if each == "[DONE]" else json.loads(each) for each in data]
