"""A gateway of two pods under an operator, what they call and record into, and a Prometheus."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import yaml
from tests.integration.operator_cluster.installed import client_key
from tests.integration.operator_reconcile.gateways import gateway, secret
from tests.support.gateway_process import SimulatorProcess, simulator
from tests.support.kubernetes import Cluster, Object
from tests.support.operator_process import OperatorProcess, running_operator
from tests.support.postgres import Postgres
from tests.support.postgrest import Project
from tests.support.process import ROOT
from tests.support.prometheus import Prometheus

from mcp_gateway.api import ChatRequest
from mcp_gateway.client import Client
from mcp_gateway.client.sync import SyncClient
from mcp_gateway.errors import GatewayError
from mcp_gateway.recording.schema import migration
from mcp_gateway_operator.render.alerts import Scope, gateway_groups, operator_groups

PACE = 1 / 60
"""A minute of the alerts' passes in a second."""
CEILING = 12
SYSTEM = "system"
"""Where the operator seems to be."""
MODEL = "kimi-k2-0905-preview"
QUICK = {
    "firstToken": {"median": "100ms", "sigma": 0.2},
    "perToken": {"median": "20ms", "sigma": 0.2},
}


class _Refusing(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.do_GET()

    def do_GET(self) -> None:
        text = b'{"error": {"type": "invalid_authentication_error", "message": "no such key"}}'
        self.send_response(401)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextlib.contextmanager
def refusing_provider() -> Iterator[str]:
    """Run a provider that knows no key; its URL."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Refusing) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, name="refusing", daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}/v1"
        server.shutdown()
        thread.join(10.0)


class Load:
    """Clients that ask one thing after another, of all pods in turn. A context manager.

    Attributes:
        answered, failed: how many were.
    """

    def __init__(self, urls: list[str], key: str, provider: str, clients: int) -> None:
        self.answered = self.failed = 0
        self._urls, self._key, self._provider = urls, key, provider
        self._clients = clients
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"load-{provider}", daemon=True)

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
        self._thread.join(60.0)

    def _run(self) -> None:
        asyncio.run(self._ask_all())

    async def _ask_all(self) -> None:
        async with contextlib.AsyncExitStack() as stack:
            clients = [
                await stack.enter_async_context(Client(url, api_key=self._key))
                for url in self._urls
            ]
            await asyncio.gather(
                *(self._ask(clients[number % len(clients)]) for number in range(self._clients))
            )

    async def _ask(self, client: Client) -> None:
        messages = [{"role": "user", "content": "Hello!"}]
        request = ChatRequest(
            provider=self._provider, model=MODEL, messages=messages, max_tokens=20
        )
        while not self._ended.is_set():
            try:
                error = (await client.chat(request)).error
            except GatewayError as failure:
                error = failure
            if error is None:
                self.answered += 1
            else:
                self.failed += 1
                await asyncio.sleep(0.1)


@dataclass(slots=True)
class World:
    """Everything that runs.

    Attributes:
        started: time of Prometheus's start, monotonic.
    """

    cluster: Cluster
    namespace: str
    operator: OperatorProcess
    kimi: SimulatorProcess
    shaky: SimulatorProcess
    project: Project
    prometheus: Prometheus
    pods: list[Object]
    key: str
    started: float

    @property
    def age(self) -> float:
        """Seconds for which Prometheus has looked."""
        return time.monotonic() - self.started

    def load(self, provider: str, clients: int) -> Load:
        """Clients of one provider."""
        urls = [f"http://{pod['status']['podIP']}:8079/mcp" for pod in self.pods]
        return Load(urls, self.key, provider, clients)

    def ask(self, provider: str, text: str) -> None:
        """Have one chat answered."""
        messages = [{"role": "user", "content": text}]
        url = f"http://{self.pods[0]['status']['podIP']}:8079/mcp"
        with SyncClient(url, api_key=self.key) as client:
            request = ChatRequest(provider=provider, model=MODEL, messages=messages, max_tokens=5)
            assert client.chat(request).error is None

    def change(self, **spec: Any) -> None:
        """Patch the gateway's spec."""
        self.cluster.kubectl(
            "patch", "mcpgateway", "llm", "--namespace", self.namespace, "--type=merge",
            "--patch", json.dumps({"spec": spec}),
        )  # fmt: skip


def document(kimi: str, shaky: str, revoked: str, project: Project) -> Object:
    """The gateway: a good provider with limits and prices, one that will fail, one without key."""
    key = {"secretRef": {"name": "keys", "key": "provider"}}

    def provider(name: str, url: str, **fields: Any) -> Object:
        return {"name": name, "type": "kimi", "endpoints": [{"url": url}], "apiKey": key, **fields}

    limits = {"concurrency": CEILING, "requestsPerMinute": 6_000, "tokensPerMinute": 900_000}
    supabase = {
        "url": project.url,
        "key": {"secretRef": {"name": "keys", "key": "writer"}},
        "apiKey": {"secretRef": {"name": "keys", "key": "anon"}},
        "maxBackoff": "1s",
    }
    return gateway(
        replicas=2,
        providers=[
            provider("kimi", kimi, limits=limits, prices={MODEL: {"input": 0.6, "output": 2.5}}),
            provider("shaky", shaky, circuitBreaker={"minRequests": 5, "window": "10s"}),
            provider("revoked", revoked),
        ],
        recording={"enabled": True, "mode": "all", "supabase": supabase},
        tuning={"mode": "Auto"},
        monitoring={"tracing": {"otlpEndpoint": "http://127.0.0.1:9", "sampleRatio": 0.01}},
    )


def scrapes(pods: list[Object], operator: OperatorProcess) -> list[Object]:
    """The jobs of the sample, given what discovery in a cluster gives: each port of each pod.

    Debian's Prometheus is built without that discovery.
    """
    sample = (ROOT / "manifests/samples/prometheus/scrape.yaml").read_text(encoding="utf-8")
    of_pods, of_operator = yaml.safe_load(sample)["scrape_configs"]
    del of_pods["kubernetes_sd_configs"], of_operator["kubernetes_sd_configs"]
    of_pods["static_configs"] = [
        discovered(pod, f"{pod['status']['podIP']}:{port['containerPort']}", port["name"])
        for pod in pods
        for port in pod["spec"]["containers"][0]["ports"]
    ]
    port = operator.lines("listening")[0]["port"]
    labels = {"app.kubernetes.io/name": "mcp-gateway-operator"}
    metadata = {"name": "operator", "namespace": SYSTEM, "labels": labels}
    own = {"metadata": metadata, "status": {"phase": "Running"}}
    of_operator["static_configs"] = [discovered(own, f"127.0.0.1:{port}", "http")]
    return [of_pods, of_operator]


def discovered(pod: Object, address: str, port: str) -> Object:
    """A target as discovery by the role `pod` gives it."""
    metadata = pod["metadata"]
    labels = {
        f"pod_label_{re.sub(r'[^a-zA-Z0-9]', '_', name)}": value
        for name, value in metadata["labels"].items()
    }
    labels |= {
        "namespace": metadata["namespace"],
        "pod_name": metadata["name"],
        "pod_phase": pod["status"]["phase"],
        "pod_container_port_name": port,
    }
    named = {f"__meta_kubernetes_{name}": value for name, value in labels.items()}
    return {"targets": [address], "labels": named}


@contextlib.contextmanager
def running_world(cluster: Cluster, folder: Path) -> Iterator[World]:
    """Start everything, and end it."""
    with contextlib.ExitStack() as stack:
        project = stack.enter_context(Project(stack.enter_context(Postgres())))
        project.migrate(migration())
        kimi = stack.enter_context(simulator({"concurrency": CEILING, "latency": QUICK}))
        shaky = stack.enter_context(simulator({"latency": QUICK}))
        revoked = stack.enter_context(refusing_provider())
        namespace = stack.enter_context(cluster.namespace())
        operator = stack.enter_context(running_operator(cluster, namespace, folder))
        keys = secret(
            "keys", provider="sk-test", writer=project.key("mcp_gateway_writer"),
            anon=project.key("anon"),
        )  # fmt: skip
        cluster.apply(
            keys,
            document(kimi.url, shaky.url, revoked, project),
            gateway("advised", replicas=1, tuning={"mode": "Recommend"}),
            namespace=namespace,
        )
        cluster.wait("mcpgateway", "llm", "condition=Ready", namespace)
        cluster.wait("mcpgateway", "llm", "jsonpath={.status.readyReplicas}=2", namespace)
        cluster.wait("mcpgateway", "advised", "condition=Ready", namespace)
        pods = cluster.list("pods", namespace, "app.kubernetes.io/instance=llm")
        advised = cluster.list("pods", namespace, "app.kubernetes.io/instance=advised")
        rules = [
            *gateway_groups(Scope(pace=PACE)),
            *operator_groups(Scope(f'namespace="{SYSTEM}"', pace=PACE)),
        ]
        targets = scrapes([*pods, *advised], operator)
        place = folder / "prometheus"
        place.mkdir()
        prometheus = stack.enter_context(Prometheus(place, targets, {"groups": rules}))
        key = client_key(cluster, "llm", namespace)
        yield World(
            cluster, namespace, operator, kimi, shaky, project, prometheus, pods, key,
            time.monotonic(),
        )  # fmt: skip
