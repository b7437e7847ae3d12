"""Pods of one gateway in one process: real peer ports and callers, joined by pipes of memory."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.support.fake_upstream import FakeSocket
from tests.support.scripted_provider import Script, Step

from mcp_gateway.api.quota import Peer
from mcp_gateway.config.control_folder import ControlFolder
from mcp_gateway.errors import ConnectFailed
from mcp_gateway.providers.base import ChatAnswer
from mcp_gateway.proxy.exchange import Exchange
from mcp_gateway.proxy.meters import HopMeters
from mcp_gateway.proxy.middleware import Handler
from mcp_gateway.proxy.peer import PeerCaller
from mcp_gateway.proxy.peer_ways import PeerWays
from mcp_gateway.server.connection import HTTPConnection
from mcp_gateway.server.listener import HTTPListener
from mcp_gateway.server.message import Bounds
from mcp_gateway.server.peer import PeerFace, TokenGuard
from mcp_gateway.telemetry import definitions as metric
from mcp_gateway.telemetry.metrics import Registry
from mcp_gateway.upstream.connection import Connection
from mcp_gateway.upstream.endpoint import Endpoint
from mcp_gateway.upstream.pool import PoolSettings
from mcp_gateway_operator import pki

NAME = pki.server_name("default", "web")


class Pipe(asyncio.Transport):
    """One end of a connection: what is written arrives at the other end a turn later.

    Attributes:
        written: everything that was.
        mute: what is written arrives no more, as from a node that is gone.
    """

    def __init__(self, protocol: asyncio.Protocol) -> None:
        super().__init__()
        self.protocol = protocol
        self.other: Pipe
        self.written = b""
        self.mute = False
        self._socket = FakeSocket()
        self._loop = asyncio.get_running_loop()
        self._lost = False

    def write(self, data: Any) -> None:
        if not self._lost:
            self.written += bytes(data)
            if not self.mute:
                self._loop.call_soon(self.other.arrive, bytes(data))

    def arrive(self, data: bytes) -> None:
        if not self._lost:
            self.protocol.data_received(data)

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return {"socket": self._socket, "peername": ("10.0.0.9", 1)}.get(name, default)

    def get_write_buffer_size(self) -> int:
        return 0

    def can_write_eof(self) -> bool:
        return False

    def pause_reading(self) -> None:
        """A pipe holds everything."""

    resume_reading = pause_reading

    def is_closing(self) -> bool:
        return self._lost

    def close(self) -> None:
        self._loop.call_soon(self.other.lose)
        self.lose()

    abort = close

    def lose(self) -> None:
        if not self._lost:
            self._lost = True
            self._socket.close()
            self._loop.call_soon(self.protocol.connection_lost, None)


@dataclass
class MemoryPod:
    """One pod.

    Attributes:
        name, address: what the others know it by.
        script: its account and the provider behind it.
        caller: asks the others.
        listener: its peer port.
        reachable: connections to it come about.
        pipes: the peer port's ends of its connections.
    """

    name: str
    address: str
    script: Script
    caller: PeerCaller
    registry: Registry
    listener: HTTPListener
    reachable: bool = True
    pipes: list[Pipe] = field(default_factory=list)

    def hops(self, direction: str) -> dict[str, int]:
        """Its hops by outcome, those that were."""
        counted = self.registry.counted(metric.HOPS).items()
        return {o: int(n) for (way, o), n in counted if way == direction and n}

    def kill(self) -> None:
        """End it as -9 does."""
        self.reachable = False
        for pipe in self.pipes:
            pipe.close()


class MemoryFleet:
    """All pods, and the network between them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.pods: dict[str, MemoryPod] = {}
        self.ways: list[PeerWays] = []
        self.authority = pki.authority(None, time.time())
        folder.mkdir(exist_ok=True)
        self.write()

    def write(self, **changed: bytes) -> None:
        """Write the files that the pods share."""
        for file, data in pki.control_data(self.authority, NAME, changed, time.time()).items():
            (self.folder / file).write_bytes(data)

    def add(
        self, name: str, *steps: Step, share: int, settings: PoolSettings | None = None
    ) -> MemoryPod:
        """Make a pod that holds `share` slots."""
        folder = ControlFolder(self.folder)
        registry = Registry()
        meters = HopMeters(registry)
        script = Script("kimi", *steps, settings=settings)
        script.account.pool.set_share(share, governed=True)
        ways = PeerWays(folder, lambda **_: self)
        self.ways.append(ways)
        face = PeerFace({"kimi": script.account}, name, meters, _untraced)
        listener = HTTPListener(face, Bounds(admit=TokenGuard(folder, _time).admit))
        address = f"10.0.0.{len(self.pods) + 1}:9082"
        caller = PeerCaller(ways, name, meters)
        pod = MemoryPod(name, address, script, caller, registry, listener)
        self.pods[address] = pod
        return pod

    def grant(self, *shares: int) -> None:
        """Share the slots out anew, and let everybody know."""
        pods = list(self.pods.values())
        for pod, share in zip(pods, shares, strict=True):
            pod.script.account.pool.set_share(share, governed=True)
        for pod in pods:
            pod.script.account.set_peers({"": self.peers(besides=pod)})

    def peers(self, besides: MemoryPod | None = None) -> list[Peer]:
        """Who holds slots."""
        return [
            Peer(address=pod.address, provider="kimi", share=share)
            for pod in self.pods.values()
            if pod is not besides and (share := pod.script.account.pool.stats().share)
        ]

    async def connect(self, endpoint: Endpoint) -> Connection:
        """Open a connection to a pod; see `upstream.opener.Connector`."""
        pod = self.pods.get(endpoint.authority)
        if pod is None or not pod.reachable:
            raise ConnectFailed(f"no connection to {endpoint}")
        client = Connection(endpoint, asyncio.get_running_loop())
        here = Pipe(client)
        there = Pipe(HTTPConnection(pod.listener))
        here.other, there.other = there, here
        pod.pipes.append(there)
        there.protocol.connection_made(there)
        client.connection_made(here)
        return client

    async def aclose(self) -> None:
        for ways in self.ways:
            await ways.aclose()
        for pod in self.pods.values():
            await pod.listener.aclose()
            await pod.script.account.pool.aclose()


@asynccontextmanager
async def memory_fleet(folder: Path) -> AsyncIterator[MemoryFleet]:
    """A fleet for the length of the block."""
    fleet = MemoryFleet(folder / "control")
    try:
        yield fleet
    finally:
        await fleet.aclose()


def _untraced(exchange: Exchange, handler: Handler) -> Awaitable[ChatAnswer | None]:
    return handler(exchange)


def _time() -> float:
    return asyncio.get_running_loop().time()
