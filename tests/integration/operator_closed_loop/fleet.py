"""A gateway whose account an operator divides, and clients that ask all its pods at once."""

from __future__ import annotations

import asyncio
import base64
import collections
import json
import threading
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Self

import httpx
from tests.support.gateway_process import SimulatorProcess
from tests.support.kubernetes import Cluster, Object, eventually

TICK = "--tuning-interval=0.1"
KEY = "sk-first"
PROVIDER_LABEL = "app.kubernetes.io/instance"
PATIENCE = 90.0
PORT = 8079
QUESTION = {
    "model": "kimi-k2.6",
    "messages": [{"role": "user", "content": "Hello!"}],
    "max_tokens": 5,
}


def settings(*, seconds: float = 0.25, **more: Any) -> dict[str, Any]:
    """A provider whose answers take so long: a busy machine still keeps an account full."""
    return {
        "latency": {
            "firstToken": {"median": f"{seconds:g}s", "sigma": 0.0},
            "perToken": {"median": "0s"},
            "refusal": {"median": "20ms", "sigma": 0.0},
        },
        "answerTokens": {"median": 5, "sigma": 0.0},
        "retryAfter": "100ms",
        **more,
    }


def account(provider: SimulatorProcess, name: str = "kimi", **limits: Any) -> Object:
    """A provider of a document, on one key; waits are long, so that nothing but a loss fails."""
    return {
        "name": name,
        "type": "kimi",
        "endpoints": [{"url": provider.url}],
        "apiKey": {"secretRef": {"name": "account", "key": "api-key"}},
        "limits": limits,
        "pool": {"acquireTimeout": f"{PATIENCE:g}s", "maxWaiting": 10_000},
    }


class Fleet:
    """A gateway's pods.

    Attributes:
        name, namespace: the gateway's.
    """

    def __init__(self, cluster: Cluster, namespace: str, name: str = "llm") -> None:
        self.name, self.namespace = name, namespace
        self._cluster = cluster
        self._key = ""

    def create(self, *providers: Object, replicas: int, mode: str = "Auto") -> Self:
        """Make it, and return when its pods are ready."""
        secret = {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": "account"},
            "stringData": {"api-key": KEY},
        }
        spec = {
            "replicas": replicas,
            "providers": list(providers),
            "retry": {"maxRetries": 20, "backoffFactor": 0.1, "budget": 1.0},
            "recording": {"enabled": False},
            "tuning": {"mode": mode},
        }
        document = {
            "apiVersion": "gateway.exai.dev/v1alpha1",
            "kind": "MCPGateway",
            "metadata": {"name": self.name},
            "spec": spec,
        }
        self._cluster.apply(secret, document, namespace=self.namespace)
        eventually(lambda: len(self.pods()) == replicas, f"{replicas} pods are ready")
        made = self._cluster.get("secret", f"{self.name}-client", self.namespace)
        self._key = base64.b64decode(made["data"]["api-key"]).decode()
        return self

    def change(self, patch: str) -> None:
        """Merge JSON into its spec."""
        self._cluster.kubectl(
            "patch", "mcpgateway", self.name, "--namespace", self.namespace, "--type=merge", "-p",
            f'{{"spec": {patch}}}',
        )  # fmt: skip

    def remove(self, provider: str) -> None:
        """Take a provider out of the document."""
        self._put([each for each in self._providers() if each["name"] != provider])

    def limit(self, provider: str, concurrency: int) -> None:
        """State another limit of a provider."""
        changed = self._providers()
        next(each for each in changed if each["name"] == provider)["limits"] = {
            "concurrency": concurrency
        }
        self._put(changed)

    def _providers(self) -> list[Object]:
        whole = self._cluster.get("mcpgateway", self.name, self.namespace)
        found: list[Object] = whole["spec"]["providers"]
        return found

    def _put(self, providers: list[Object]) -> None:
        self.change(json.dumps({"providers": providers}))

    def pods(self) -> list[Object]:
        """Those that take requests, by name."""
        found = self._cluster.list("pods", self.namespace, f"{PROVIDER_LABEL}={self.name}")
        return sorted(filter(_ready, found), key=lambda pod: str(pod["metadata"]["name"]))

    def pid(self, pod: Object) -> int:
        """The process of a pod."""
        return self._cluster.pid(self.namespace, pod["metadata"]["name"], "gateway")

    def status(self, provider: str = "kimi") -> Object:
        """What the status says of a provider; empty where it says nothing."""
        whole = self._cluster.get("mcpgateway", self.name, self.namespace).get("status", {})
        found: list[Object] = whole.get("providers", [])
        return next((each for each in found if each["name"] == provider), {})

    def ask(self, number: int, pods: Sequence[Object] = ()) -> Asked:
        """Ask its pods, or these, in turn and all at once; enter it to begin."""
        origins = [f"http://{pod['status']['podIP']}:{PORT}" for pod in pods or self.pods()]
        return Asked([origins[n % len(origins)] for n in range(number)], self._key)


class Asked:
    """Requests under way. A context manager: leaving it waits for the answers.

    Attributes:
        words: how many ended how: `answered`, or an error's code.
    """

    def __init__(self, origins: Sequence[str], key: str) -> None:
        self.words: collections.Counter[str] = collections.Counter()
        self._origins = origins
        self._key = key
        self._thread = threading.Thread(target=lambda: asyncio.run(self._ask_all()), daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._thread.join(PATIENCE + 30.0)
        assert not self._thread.is_alive(), f"requests hang: {dict(self.words)}"

    def wait(self, answered: int) -> None:
        """Return once so many were answered."""
        eventually(lambda: self.words["answered"] >= answered, f"{answered} answers", PATIENCE)

    async def _ask_all(self) -> None:
        limits = httpx.Limits(max_connections=None)
        async with (
            httpx.AsyncClient(trust_env=False, timeout=PATIENCE, limits=limits) as http,
            asyncio.TaskGroup() as group,
        ):
            for origin in self._origins:
                group.create_task(self._ask(http, origin))

    async def _ask(self, http: httpx.AsyncClient, origin: str) -> None:
        url = f"{origin}/v1/chat/completions"
        headers = {"Authorization": f"Bearer {self._key}"}
        try:
            answer = await http.post(url, json=QUESTION, headers=headers)
        except httpx.TransportError as error:
            self.words[type(error).__name__] += 1
            return
        good = answer.status_code == 200
        self.words["answered" if good else str(answer.json()["error"]["code"])] += 1


def most(provider: SimulatorProcess) -> int:
    """The most in flight that a provider ever saw, of any account."""
    accounts = provider.stats()["accounts"].values()
    return max((each["max_in_flight"] for each in accounts), default=0)


def refused(provider: SimulatorProcess) -> int:
    """Attempts that it refused."""
    accounts = provider.stats()["accounts"].values()
    return sum(sum(each["refused"].values()) for each in accounts)


def _ready(pod: Object) -> bool:
    conditions = pod.get("status", {}).get("conditions", [])
    true = any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)
    return true and not pod["metadata"].get("deletionTimestamp")
