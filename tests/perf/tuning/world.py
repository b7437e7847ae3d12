"""What a run happens in: a real API server, a real operator, gateways, a simulated provider."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx
from tests.cluster.api import API, MERGE, Key, Mirror, Object, Refused
from tests.perf.tuning import scenario as life
from tests.perf.tuning.load import question
from tests.perf.tuning.scenario import Pace
from tests.support.kubernetes import Cluster
from tests.support.operator_process import OperatorProcess
from tests.support.process import python_environment

from mcp_gateway.api.crd import PLURAL
from mcp_gateway.api.gateway import API_VERSION, KIND
from mcp_gateway.simulator.text import estimate_tokens

READY_WITHIN = 90.0
PORT = 8079
KEY = "sk-bench-of-the-tuning"
ENOUGH = 1_000_000


def document(
    name: str, url: str, pace: Pace, *, replicas: int, mode: str, limits: Object
) -> Object:
    """An MCPGateway whose waits run at a pace."""

    def duration(seconds: float) -> str:
        return f"{pace.real(seconds) * 1000:.3f}ms"

    pool: Object = {"acquireTimeout": duration(life.PATIENCE), "maxWaiting": ENOUGH}
    if mode == "Off":
        pool |= {"maxConnections": limits["concurrency"], "maxOverflow": 0}
    account = {
        "name": "kimi",
        "type": "kimi",
        "endpoints": [{"url": url}],
        "apiKey": {"secretRef": {"name": "account", "key": "api-key"}},
        "limits": limits,
        "pool": pool,
        "timeouts": {"firstByte": "10m", "total": "10m"},
    }
    return {
        "apiVersion": API_VERSION,
        "kind": KIND,
        "metadata": {"name": name},
        "spec": {
            "replicas": replicas,
            "providers": [account],
            "retry": {
                "maxRetries": life.RETRIES,
                "backoffFactor": pace.real(life.RETRY_MOST),
                "budget": 1.0,
            },
            "recording": {"enabled": False},
            "logging": {"level": "warning"},
            "tuning": {"mode": mode},
        },
    }


class World:
    """One run's. An async context manager: leaving it deletes its gateways and its operator.

    Attributes:
        operator: the process that runs now.
    """

    def __init__(
        self,
        cluster: Cluster,
        url: str,
        folder: Path,
        pace: Pace,
        tell: Callable[[list[tuple[str, int, str]]], None],
    ) -> None:
        """Tell whom the load may ask with `tell`, whenever that changes."""
        self._url = url
        self._cluster = cluster
        self._folder = folder
        self._interval = pace.real(1.0)
        self._pace = pace
        self._tell = tell
        self._api = API(cluster.kubeconfig)
        self._http = httpx.AsyncClient(trust_env=False, timeout=5.0)
        self._stack = contextlib.AsyncExitStack()
        self._keys: dict[str, str] = {}
        self._named: list[tuple[str, int, str]] = []
        self._news = asyncio.Event()
        self._operators = 0

    async def __aenter__(self) -> Self:
        async with self._stack as stack:
            await self._enter(stack)
            self._stack = stack.pop_all()
        return self

    async def _enter(self, stack: contextlib.AsyncExitStack) -> None:
        self.namespace = stack.enter_context(self._cluster.namespace("tuning"))
        secret = {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": "account"},
            "stringData": {"api-key": KEY},
        }
        self._cluster.apply(secret, namespace=self.namespace)
        await stack.enter_async_context(self._api)
        await stack.enter_async_context(self._http)
        path = f"/api/v1/namespaces/{self.namespace}/pods"
        self._pods = Mirror(self._api, path, self._changed)
        watching = asyncio.create_task(self._pods.run(), name="pods")
        stack.callback(watching.cancel)
        self.start_operator()
        stack.callback(lambda: self.operator.__exit__(None, None, None))
        # This blocks the loop, on which nothing else is to be done yet.
        self.operator.wait_leading()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with contextlib.suppress(Refused, httpx.TransportError):
            for name in self._keys:
                await self._api.request("DELETE", f"{self._path}/{name}")
            await self._until(lambda: not self._pods.objects, "the pods have gone", 40.0)
        await self._stack.aclose()

    @property
    def _path(self) -> str:
        return f"/apis/{API_VERSION}/namespaces/{self.namespace}/{PLURAL}"

    # gateways and their pods

    async def create(self, name: str, *, replicas: int, mode: str, limits: Object) -> None:
        """Make a gateway, and return when its pods are ready."""
        body = document(name, self._url, self._pace, replicas=replicas, mode=mode, limits=limits)
        await self._api.request("POST", self._path, body)
        self._keys[name] = await self._client_key(name)
        await self._until(
            lambda: len(self._ready(name)) == replicas, f"{name} has its pods", READY_WITHIN
        )
        self._changed(("", ""), None)

    async def scale(self, name: str, replicas: int) -> None:
        """Change the number of a gateway's pods, without waiting."""
        await self._api.request(
            "PATCH", f"{self._path}/{name}", {"spec": {"replicas": replicas}}, kind=MERGE
        )

    async def gateway(self, name: str) -> Object:
        """A gateway as it is now."""
        return await self._api.request("GET", f"{self._path}/{name}")

    async def changes(self, name: str) -> list[str]:
        """What a gateway's status says of its ceiling's last changes."""
        status = (await self.gateway(name)).get("status", {})
        found = [
            change for each in status.get("providers", []) for change in each.get("changes", [])
        ]
        return [
            f"{each.get('before')} → {each.get('after')}: {each.get('reason')}" for each in found
        ]

    def ready(self) -> list[Object]:
        """The pods that may be asked, by name."""
        found = [pod for name in self._keys for pod in self._ready(name)]
        return sorted(found, key=lambda pod: str(pod["metadata"]["name"]))

    def kill_pod(self, turn: int) -> tuple[int, int] | None:
        """Kill a pod's process without a word; which in turn, of how many."""
        there = self.ready()
        if not there:
            return None
        status = there[turn % len(there)]["status"]["containerStatuses"][0]
        with contextlib.suppress(ProcessLookupError):
            os.kill(int(status["containerID"].removeprefix("process://")), signal.SIGKILL)
        return turn % len(there), len(there)

    def _ready(self, name: str) -> list[Object]:
        return [pod for pod in self._pods.objects.values() if _serves(pod, name)]

    def _changed(self, _: Key, __: Object | None) -> None:
        self._news.set()
        named = [
            (pod["status"]["podIP"], PORT, self._keys[name])
            for name in self._keys
            for pod in self._ready(name)
        ]
        if named != self._named:
            self._named = named
            self._tell(named)

    async def _client_key(self, name: str) -> str:
        path = f"/api/v1/namespaces/{self.namespace}/secrets/{name}-client"
        async with asyncio.timeout(READY_WITHIN):
            while True:
                with contextlib.suppress(Refused):
                    secret = await self._api.request("GET", path)
                    return base64.b64decode(secret["data"]["api-key"]).decode()
                await asyncio.sleep(0.05)

    async def _until(self, holds: Callable[[], bool], what: str, within: float) -> None:
        try:
            async with asyncio.timeout(within):
                while not holds():
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            raise AssertionError(f"not within {within:g} s: {what}") from None

    # the operator and the API server

    def start_operator(self) -> None:
        """Start an operator; the one before is to have ended."""
        self._operators += 1
        options = [f"--tuning-interval={self._interval:.4f}"]
        self.operator = OperatorProcess(
            self._cluster, self.namespace, self._folder, "--log-level=info", *options
        )

    def kill_operator(self) -> None:
        """End it without a word and start another, as its Deployment would."""
        self.operator.kill()
        self.operator.__exit__(None, None, None)
        self.start_operator()

    def stop_api_server(self) -> None:
        """Take the API server away."""
        assert self._cluster.local is not None, "a cluster of our own"
        self._cluster.local.control_plane.api_server.kill()

    def start_api_server(self) -> None:
        """Bring it back."""
        assert self._cluster.local is not None, "a cluster of our own"
        self._cluster.local.control_plane.api_server.start()

    async def figures(self) -> dict[str, float]:
        """What the operator shows of the account: ceiling, granted, in flight, waiting."""
        try:
            port = self.operator.lines("listening")[0]["port"]
            answer = await self._http.get(f"http://127.0.0.1:{port}/metrics")
        except (IndexError, OSError, httpx.TransportError):
            return {}
        prefix = "mcp_gateway_operator_tuning_"
        found: dict[str, float] = {}
        for line in answer.text.splitlines():
            if line.startswith(prefix):
                name, _, value = line.removeprefix(prefix).rpartition(" ")
                name = name.partition("{")[0]
                # All of it is about the account, which two gateways may share.
                found[name] = max(found.get(name, 0.0), float(value))
        return found


class LoadProcess:
    """A load generator, `load` or `static`. An async context manager: leaving it ends it."""

    def __init__(self, module: str = "load") -> None:
        self._module = f"tests.perf.tuning.{module}"

    async def __aenter__(self) -> Self:
        self._process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", self._module,
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
            env=python_environment(),
        )  # fmt: skip
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()
        await self._process.wait()

    @staticmethod
    def tokens(answer: int) -> int:
        """What the provider charges a request with whose answer has so many tokens."""
        return estimate_tokens(len(question(answer))) + answer

    def tell(self, **command: object) -> None:
        """Send a command."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(command).encode() + b"\n")

    async def result(self, within: float) -> dict[str, Any]:
        """What became of the requests."""
        assert self._process.stdout is not None
        async with asyncio.timeout(within):
            line = await self._process.stdout.readline()
        if not line:
            raise AssertionError("the load generator ended")
        told: dict[str, Any] = json.loads(line)
        return told


def _serves(pod: Object, gateway: str) -> bool:
    """A pod of a gateway that takes requests."""
    metadata = pod["metadata"]
    if metadata.get("deletionTimestamp") or (
        metadata.get("labels", {}).get("app.kubernetes.io/instance") != gateway
    ):
        return False
    conditions = pod.get("status", {}).get("conditions", [])
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)
