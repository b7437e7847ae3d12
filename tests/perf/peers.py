"""The processes of a run: the simulated provider, the gateway with everything on, nginx.

What is measured has a core to itself; the provider and the load generator share the other.
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from tests.perf import machine, nginx, wire
from tests.perf.wire import Target
from tests.support.gateway_process import (
    GatewayProcess,
    SimulatorProcess,
    client_key,
    document,
    gateway,
    simulator,
)
from tests.support.port import free_port, wait_until_listening

PROVIDER_KEY = "sk-bench"
ENOUGH = 1_000_000_000
"""A limit that is checked on every request and never reached."""

AT_ONCE: dict[str, object] = {
    "models": [wire.MODEL],
    "latency": {"firstToken": {"median": "0s"}, "perToken": {"median": "0s"}},
    "answerTokens": {"median": 100, "sigma": 0},
}
"""Answers of one size, about 700 bytes, without a delay."""

EVERY_20_MS: dict[str, object] = {
    "models": [wire.MODEL],
    "latency": {
        "firstToken": {"median": "20ms", "sigma": 0},
        "perToken": {"median": "20ms", "sigma": 0},
    },
    "answerTokens": {"median": 100, "sigma": 0},
}
"""Streams of one length: a chunk every 20 ms, for two seconds."""


def target(url: str, key: str = "") -> Target:
    """Split a face's URL."""
    parts = urlsplit(url)
    assert parts.hostname is not None
    assert parts.port is not None
    return Target(parts.hostname, parts.port, parts.path, key)


def _document(provider: SimulatorProcess, more: Mapping[str, object]) -> dict[str, object]:
    """A gateway on which every feature that a request can meet is switched on."""
    account = {
        "name": "kimi",
        "type": "kimi",
        "endpoints": [{"url": provider.url}],
        "apiKey": {"secretRef": {"name": "kimi", "key": "api-key"}},
        "limits": {
            "concurrency": 10_000,
            "requestsPerMinute": ENOUGH,
            "tokensPerMinute": ENOUGH,
        },
        "pool": {"minConnections": 2, "maxConnections": 256, "maxOverflow": 16},
        "circuitBreaker": {"failureRatio": 0.5},
    }
    spec = {
        "server": {"host": "127.0.0.1"},
        "auth": {"apiKeys": {"secretRef": {"name": "clients", "key": "keys"}}},
        "middleware": ["auth", "rate_limit", "logging"],
        "rateLimit": {"requests": ENOUGH, "per": "1m", "burst": ENOUGH, "by": "client"},
        "providers": [account],
        "routes": [
            {
                "name": "code",
                "match": {"model": "kimi-.*-code"},
                "backends": [{"provider": "kimi"}],
            },
            {
                "name": "kimi",
                "match": {"model": "kimi-.*"},
                "strategy": "least_connections",
                "backends": [{"provider": "kimi"}],
            },
        ],
        "retry": {"maxRetries": 3},
        "recording": {"enabled": True, "mode": "metadata"},
        "logging": {"level": "info"},
        **more,
    }
    return document("bench", spec)


@dataclass(frozen=True, slots=True)
class Face:
    """A running gateway with the key that opens it."""

    process: GatewayProcess
    key: str

    @property
    def pids(self) -> list[int]:
        """Its processes."""
        return machine.family(self.process.child.pid)

    @property
    def http(self) -> Target:
        """MCP over Streamable HTTP."""
        return target(self.process.http, self.key)

    @property
    def websocket(self) -> Target:
        """MCP over WebSocket."""
        return target(self.process.websocket, self.key)

    @property
    def openai(self) -> Target:
        """The OpenAI API's chat completions."""
        return target(f"{self.process.openai}/chat/completions", self.key)


@dataclass(frozen=True, slots=True)
class Yardstick:
    """A running nginx, in front of the same provider, for whole answers and for streams."""

    pids: list[int]
    whole: Target
    streamed: Target


class Peers:
    """Starts the processes of a run on their cores, in a folder of their own."""

    def __init__(self, folder: Path, say: Callable[[str], None]) -> None:
        self._folder = folder
        self._say = say
        self._cores = machine.cores()
        self._numbers = itertools.count(1)
        if self._cores is None:
            say("only one core is allowed: nothing is pinned, figures include the load's own noise")

    @property
    def measured_core(self) -> int | None:
        """Where what is measured runs."""
        return self._cores[0] if self._cores else None

    @property
    def load_core(self) -> int | None:
        """Where the load generator and the provider run."""
        return self._cores[1] if self._cores else None

    @contextlib.contextmanager
    def provider(self) -> Iterator[SimulatorProcess]:
        """Run the simulated provider, answering at once."""
        with contextlib.ExitStack() as stack:
            with machine.pinned(self.load_core):
                running = stack.enter_context(simulator(AT_ONCE))
            yield running

    @contextlib.contextmanager
    def gateway(
        self, provider: SimulatorProcess, interpreter: tuple[str, ...] = (), **more: object
    ) -> Iterator[Face]:
        """Run a gateway with every feature on, its log written to a file.

        Args:
            provider: what it asks.
            interpreter: words of the command line in front of `-m mcp_gateway`.
            more: further parts of its `spec`.
        """
        key = client_key("bench")
        folder = self._folder / f"gateway-{next(self._numbers)}"
        folder.mkdir()
        with contextlib.ExitStack() as stack:
            with machine.pinned(self.measured_core):
                running = stack.enter_context(
                    gateway(
                        _document(provider, more),
                        folder,
                        secrets_of={
                            "clients": {"keys": key.line},
                            "kimi": {"api-key": PROVIDER_KEY},
                        },
                        log=folder / "log",
                        interpreter=interpreter,
                    )
                )
            yield Face(running, key.key)

    @contextlib.contextmanager
    def nginx(self, provider: SimulatorProcess) -> Iterator[Yardstick | None]:
        """Run nginx, or say why not and yield None."""
        port = free_port()
        upstream = urlsplit(provider.url).netloc
        with contextlib.ExitStack() as stack:
            try:
                with machine.pinned(self.measured_core):
                    child = stack.enter_context(
                        nginx.start(self._folder / "nginx", port, upstream, PROVIDER_KEY)
                    )
            except nginx.NoNginx as error:
                self._say(f"no yardstick: {error}")
                yield None
                return
            wait_until_listening(port)
            path = f"{urlsplit(provider.url).path}/chat/completions"
            yield Yardstick(
                machine.family(child.pid),
                whole=Target("127.0.0.1", port, path),
                streamed=Target("127.0.0.1", port, f"{nginx.STREAMED}{path}"),
            )
