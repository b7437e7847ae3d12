"""One fleet for all tests here: simulated providers, and gateways in front of them, as processes.

`slow` answers after a minute, to be cancelled; nobody listens where `down` is said to be.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.support.gateway_process import (
    ClientKey,
    GatewayProcess,
    SimulatorProcess,
    client_key,
    document,
    gateway,
    simulator,
)

PROMPT: dict[str, object] = {
    "latency": {"firstToken": {"median": "20ms", "sigma": 0}, "perToken": {"median": "2ms"}},
    "answerTokens": {"median": 40, "sigma": 0},
}
AFTER_A_MINUTE: dict[str, object] = {
    "models": ["kimi-slow"],
    "latency": {"firstToken": {"median": "1m", "sigma": 0}},
}


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@dataclass(frozen=True, slots=True)
class Providers:
    """The simulated providers by name, and a port where there is none."""

    kimi: SimulatorProcess
    glm: SimulatorProcess
    slow: SimulatorProcess
    dead_port: int

    def spec(self) -> list[dict[str, object]]:
        """`spec.providers` of a gateway in front of them."""
        key = {"secretRef": {"name": "providers", "key": "key"}}
        addresses = {
            "kimi": ("kimi", self.kimi.url),
            "glm": ("glm", self.glm.url),
            "slow": ("kimi", self.slow.url),
            "down": ("openai", f"http://127.0.0.1:{self.dead_port}/v1"),
        }
        return [
            {"name": name, "type": kind, "endpoints": [{"url": url}], "apiKey": key}
            for name, (kind, url) in addresses.items()
        ]

    def routes(self) -> list[dict[str, object]]:
        """`spec.routes`: who was asked for by name, then the two families of models."""
        matches: list[tuple[str, dict[str, str]]] = [
            *((name, {"provider": name}) for name in ("kimi", "glm", "slow", "down")),
            *((name, {"model": f"{name}-.*"}) for name in ("kimi", "glm")),
        ]
        return [
            {"name": f"route-{number}", "match": match, "backends": [{"provider": name}]}
            for number, (name, match) in enumerate(matches)
        ]


@dataclass(frozen=True, slots=True)
class Fleet:
    """What a test can reach.

    Attributes:
        providers: behind both gateways.
        guarded: asks for a key.
        open: serves anybody on loopback, for clients that cannot send a header.
        key: opens `guarded`.
        tired: a key that has one request an hour.
    """

    providers: Providers
    guarded: GatewayProcess
    open: GatewayProcess
    key: ClientKey
    tired: ClientKey


@pytest.fixture(scope="session")
def providers() -> Iterator[Providers]:
    with (
        simulator(PROMPT) as kimi,
        simulator(PROMPT, wire="glm") as glm,
        simulator(AFTER_A_MINUTE) as slow,
        socket.socket() as silent,
    ):
        silent.bind(("127.0.0.1", 0))  # it is taken, and never listens
        yield Providers(kimi, glm, slow, silent.getsockname()[1])


@pytest.fixture(scope="session")
def fleet(providers: Providers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    folder: Path = tmp_path_factory.mktemp("fleet")
    key, tired = client_key("tester"), client_key("tired", "rate=1/1h burst=1")
    secrets = {
        "providers": {"key": "sk-any.any"},
        "clients": {"keys": f"{key.line}\n{tired.line}\n"},
    }
    common = {
        "server": {"host": "127.0.0.1"},
        "providers": providers.spec(),
        "routes": providers.routes(),
        "retry": {"maxRetries": 1, "backoffFactor": 0.01},
    }
    guarded = {**common, "auth": {"apiKeys": {"secretRef": {"name": "clients", "key": "keys"}}}}
    unguarded = {**common, "auth": {"anonymous": True}}
    with (
        gateway(document("guarded", guarded), folder / "guarded", secrets_of=secrets) as first,
        gateway(document("open", unguarded), folder / "open", secrets_of=secrets) as second,
    ):
        yield Fleet(providers, first, second, key, tired)
