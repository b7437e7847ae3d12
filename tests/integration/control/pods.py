"""Gateway processes that stand for a gateway's pods: each on an address of its own, one Secret."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from tests.support.port import free_port
from tests.support.process import Child

from mcp_gateway.api import Rollout
from mcp_gateway.api.control import GENERATION_ANNOTATION
from mcp_gateway_operator import pki
from mcp_gateway_operator.facts import Credentials, Document, FleetView, Key, Pod, Target, Term
from mcp_gateway_operator.fleet import PodFleet

KEY = Key("default", "web")
SERVER_NAME = pki.server_name(*KEY)
START = 120.0
CHAT = {"model": "kimi-k2.6", "messages": [{"role": "user", "content": "Hello!"}]}
FAST: dict[str, Any] = {
    "latency": {"firstToken": {"median": "0s"}, "perToken": {"median": "0s"}},
    "answerTokens": {"median": 5, "sigma": 0.0},
}


def simulated(name: str = "kimi", **settings: Any) -> dict[str, Any]:
    """A provider that each pod simulates for itself."""
    return {"name": name, "type": "simulator", "simulator": {"wire": "kimi", **FAST, **settings}}


def body(*providers: dict[str, Any], generation: int = 0, **spec: Any) -> dict[str, Any]:
    """A document as pods read it."""
    annotations = {GENERATION_ANNOTATION: str(generation)} if generation else {}
    return {
        "apiVersion": "gateway.exai.dev/v1alpha1",
        "kind": "MCPGateway",
        "metadata": {"name": KEY.name, "annotations": annotations},
        "spec": {
            "server": {"host": "127.0.0.1", "port": 0, "adminPort": 0, "shutdownGrace": "2s"},
            "auth": {"anonymous": True},
            "recording": {"enabled": False},
            "providers": list(providers) or [simulated()],
            **spec,
        },
    }


@dataclass(slots=True)
class PodProcess:
    """One pod that runs."""

    pod: Pod
    child: Child
    openai: str
    admin: str


@dataclass(slots=True)
class Pods:
    """A gateway's pods and what they share.

    Attributes:
        folder: for files; `control` is the mounted control Secret, `secrets` the compiled one.
        authority: signs the certificates.
        port: the control port of every pod.
        running: by name.
    """

    folder: Path
    authority: pki.Authority
    port: int = field(default_factory=free_port)
    running: dict[str, PodProcess] = field(default_factory=dict)
    children: list[Child] = field(default_factory=list)
    started: int = 0
    net: str = field(default_factory=lambda: f"127.{random.randint(64, 250)}")

    @classmethod
    def make(cls, folder: Path) -> Pods:
        """Prepare the folders; nothing runs yet."""
        pods = cls(folder, pki.authority(None, time.time()))
        (folder / "secrets").mkdir(parents=True)
        pods.write_control()
        return pods

    @property
    def control(self) -> Path:
        return self.folder / "control"

    def write_control(self, **changed: bytes) -> None:
        """Write the control Secret's files, as the kubelet does after the Secret changed."""
        self.control.mkdir(exist_ok=True)
        held = {file.name: file.read_bytes() for file in self.control.iterdir()}
        data = pki.control_data(self.authority, SERVER_NAME, {**held, **changed}, time.time())
        for name, value in data.items():
            if held.get(name) != value:
                (self.control / name).write_bytes(value)

    @property
    def credentials(self) -> Credentials:
        token = (self.control / "token").read_text()
        return Credentials(token=token, ca=self.authority.bundle, server_name=SERVER_NAME)

    def target(self, wanted: Document, **fields: Any) -> Target:
        """A target for all pods that run."""
        settings = {
            "promoted": wanted,
            "epoch": 1,
            "rollout": Rollout(),
            "pods": tuple(process.pod for process in self.running.values()),
            "credentials": self.credentials,
            **fields,
        }
        return Target(wanted=wanted, **settings)

    async def start(self, count: int, document: Mapping[str, Any]) -> list[PodProcess]:
        """Start pods that read `document`, and return when each listens."""
        children = [self._spawn(document) for _ in range(count)]
        return [await asyncio.to_thread(self._ready, *child) for child in children]

    def _spawn(self, document: Mapping[str, Any], again: str = "") -> tuple[Pod, Child]:
        self.started += 1
        number = self.started
        pod = Pod(again or f"web-{number}", f"uid-{number}", f"{self.net}.0.{number}", ready=True)
        if again:
            before = self.running[again].pod
            pod = Pod(again, before.uid, before.ip, ready=True)
        home = self.folder / f"{pod.name}-{number}"
        home.mkdir()
        file = home / "gateway.yaml"
        file.write_text(json.dumps(document), encoding="utf-8")
        arguments = ["run", str(file), "--json", "--port", "0", "--admin-port", "0"]
        arguments += ["--control-dir", str(self.control), "--control-port", str(self.port)]
        arguments += ["--document-from-operator", "--data-dir", str(self.folder / "data" / pod.uid)]
        arguments += ["--secrets-dir", str(self.folder / "secrets")]
        environment = {"POD_NAME": pod.name, "POD_UID": pod.uid, "MCP_GATEWAY_BIND": pod.ip}
        child = Child.module(
            "mcp_gateway", *arguments, name=pod.name, extra_environment=environment
        )
        self.children.append(child)
        return pod, child

    def _ready(self, pod: Pod, child: Child) -> PodProcess:
        facts = json.loads(child.wait_for_line(lambda line: line.startswith("{"), START))
        process = PodProcess(pod, child, facts["openai"], facts["admin"])
        self.running[pod.name] = process
        return process

    async def restart(self, name: str, document: Mapping[str, Any]) -> PodProcess:
        """Start a container again in its pod, after it died."""
        spawned = self._spawn(document, again=name)
        return await asyncio.to_thread(self._ready, *spawned)

    def stop(self) -> None:
        """End every process."""
        for child in self.children:
            child.stop(5.0)


@contextlib.contextmanager
def pods_in(folder: Path) -> Iterator[Pods]:
    """Pods for the length of the block."""
    pods = Pods.make(folder)
    try:
        yield pods
    finally:
        pods.stop()


@dataclass(slots=True)
class Operator:
    """A leader of the operator: a fleet and what a test wants of it."""

    fleet: PodFleet
    news: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def view(self) -> FleetView:
        return self.fleet.view(KEY)

    def assign(self, target: Target) -> None:
        self.fleet.assign(KEY, target)

    async def until_all_run(self, generation: int, patience: float = 60.0) -> None:
        """Return when every pod of the target runs a generation."""
        async with asyncio.timeout(patience):
            while not self.all_run(generation):
                self.news.clear()
                await self.news.wait()

    def all_run(self, generation: int) -> bool:
        pods = self.view.pods.values()
        return bool(pods) and all(p.connected and p.generation == generation for p in pods)

    def changed(self, _: Key) -> None:
        """Take note that the view has changed."""
        self.news.set()


@contextlib.asynccontextmanager
async def operator(pods: Pods) -> AsyncIterator[Operator]:
    """A leader for the length of the block."""
    leader = Operator(PodFleet(port=pods.port))
    leader.fleet.start(leader.changed, Term())
    try:
        yield leader
    finally:
        await leader.fleet.aclose()


async def chat(pod: PodProcess, model: str = "kimi-k2.6") -> int:
    """Ask a pod something; the status of its answer."""
    async with httpx.AsyncClient(trust_env=False, timeout=60.0) as http:
        answer = await http.post(f"{pod.openai}/chat/completions", json={**CHAT, "model": model})
        return answer.status_code


async def metric(pod: PodProcess, name: str) -> float:
    """One number of a pod's metrics."""
    async with httpx.AsyncClient(trust_env=False, timeout=60.0) as http:
        text = (await http.get(f"{pod.admin}/metrics")).text
    return next(
        float(line.split()[-1]) for line in text.splitlines() if line.startswith(f"{name} ")
    )
