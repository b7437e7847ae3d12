"""Pods on a network that is a script: what fleets dial in unit tests."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from mcp_gateway.api import Rollout
from mcp_gateway.api.control import (
    Ack,
    Config,
    Hello,
    Message,
    Ping,
    Pong,
    Probe,
    Probed,
    ProbeResult,
    Report,
    read_down,
)
from mcp_gateway_operator.facts import Credentials, Document, Key, Pod, Target
from mcp_gateway_operator.fleet.wire import Address, Lost, Unconnected, Wire, WrongToken

KEY = Key("team-a", "web")
CREDENTIALS = Credentials(token="t1", ca="ca", server_name="web.team-a")


def document(generation: int, *providers: str) -> Document:
    spec = {"providers": [{"name": name} for name in providers or ("kimi",)]}
    return Document(generation, {"spec": spec})


@dataclass(eq=False)
class FakePod:
    """A pod that does as it is told.

    Attributes:
        down: why it cannot be dialed; empty where it can.
        silent: it reads and never answers.
        refuses: answers to a configuration instead of an acknowledgement.
        heard: what it was told, in order.
        dials: when it was dialed.
    """

    name: str
    generation: int = 1
    epoch: int = 0
    token: str = "t1"
    down: str = ""
    silent: bool = False
    refuses: Message | None = None
    report: Report = field(default_factory=lambda: Report(requests=0, errors=0, since=1.0))
    state: str = "Healthy"
    heard: list[Message] = field(default_factory=list)
    dials: list[float] = field(default_factory=list)
    wires: list[FakeWire] = field(default_factory=list)

    @property
    def pod(self) -> Pod:
        """As the API server shows it."""
        return Pod(self.name, f"uid-{self.name}", f"ip-{self.name}", ready=True)

    @property
    def configs(self) -> list[Config]:
        return [message for message in self.heard if isinstance(message, Config)]

    @property
    def probes(self) -> list[Probe]:
        return [message for message in self.heard if isinstance(message, Probe)]

    def cut(self) -> None:
        """Break its channels."""
        for wire in self.wires:
            wire.put(None)

    def answer(self, message: Message | None) -> list[Message]:
        match message:
            case Config() if self.refuses is not None:
                return [self.refuses]
            case Config():
                self.generation = message.generation
                self.epoch = max(self.epoch, message.epoch)
                return [Ack(generation=message.generation)]
            case Ping():
                return [self.report, Pong()]
            case Probe():
                found = [
                    ProbeResult.model_validate({"provider": name, "state": self.state})
                    for name in message.providers
                ]
                return [Probed(id=message.id, results=found)]
            case _:
                return []


class FakeWire:
    """An open channel to a fake pod; a `Wire`."""

    def __init__(self, pod: FakePod) -> None:
        self._pod = pod
        self._up: asyncio.Queue[str | None] = asyncio.Queue()

    def put(self, text: str | None) -> None:
        """What the pod sends next; None breaks the channel."""
        self._up.put_nowait(text)

    async def send(self, text: str) -> None:
        message = read_down(text)
        assert message is not None
        self._pod.heard.append(message)
        if not self._pod.silent:
            for answer in self._pod.answer(message):
                self.put(answer.encode())

    async def receive(self) -> str | bytes:
        text = await self._up.get()
        if text is None:
            raise Lost("connection lost")
        return text


class Network:
    """Where the fake pods are; a `Dial`."""

    def __init__(self, *names: str) -> None:
        self.pods = {f"ip-{name}": FakePod(name) for name in names}

    def __getitem__(self, name: str) -> FakePod:
        return self.pods[f"ip-{name}"]

    def target(self, wanted: Document, *names: str, **fields: object) -> Target:
        """A target for these pods, or for all."""
        pods = [self[name] for name in names] if names else list(self.pods.values())
        settings: dict[str, object] = {
            "promoted": wanted,
            "epoch": 1,
            "rollout": Rollout(),
            "pods": tuple(pod.pod for pod in pods),
            "credentials": CREDENTIALS,
            **fields,
        }
        return Target(wanted=wanted, **settings)  # type: ignore[arg-type]

    @asynccontextmanager
    async def dial(self, address: Address, token: str) -> AsyncIterator[Wire]:
        """Open a channel to a fake pod."""
        pod = self.pods[address.host]
        pod.dials.append(asyncio.get_running_loop().time())
        await asyncio.sleep(0.001)
        if pod.down:
            raise Unconnected(pod.down)
        if token != pod.token:
            raise WrongToken("the pod does not know our token yet")
        wire = FakeWire(pod)
        pod.wires.append(wire)
        hello = Hello(pod=pod.name, version="1", generation=pod.generation, epoch=pod.epoch)
        if not pod.silent:
            wire.put(hello.encode())
            wire.put(pod.report.encode())
        try:
            yield wire
        finally:
            pod.wires.remove(wire)
