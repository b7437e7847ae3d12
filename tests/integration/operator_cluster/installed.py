"""The charts as people install them, and a client of the gateways that come of it."""

from __future__ import annotations

import base64
import contextlib
import io
import subprocess
import sys
import tarfile
import threading
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.support.kubernetes import Cluster, CommandFailed
from tests.support.process import ROOT
from tests.support.service_proxy import ServiceProxy

from mcp_gateway.api.chat import ChatRequest
from mcp_gateway.client.sync import SyncClient
from mcp_gateway.errors import GatewayError

SYSTEM = "mcp-gateway-system"
OPERATOR = "mcp-gateway-operator"
RELEASE = "mcp-gateway"
DEFINITIONS = "mcp-gateway-crds"
CRD = "mcpgateways.gateway.exai.dev"
CHARTS = ROOT / "charts"
SAMPLES = ROOT / "manifests" / "samples"
HELM_TIMEOUT = 300.0


def former_charts(folder: Path) -> Path:
    """Return the charts of the commit before this one; where git has none, those of now."""
    done = subprocess.run(
        ["git", "archive", "HEAD~1", "charts"],
        cwd=ROOT, capture_output=True, timeout=30.0, check=False,
    )  # fmt: skip
    if done.returncode:
        return CHARTS
    with tarfile.open(fileobj=io.BytesIO(done.stdout)) as archive:
        archive.extractall(folder, filter="data")
    return folder / "charts"


def helm_install(
    cluster: Cluster,
    chart: str,
    *arguments: str,
    namespace: str = SYSTEM,
    charts: Path = CHARTS,
) -> None:
    """Install or upgrade a chart, and return when what it made is ready.

    Raises:
        AssertionError: it is not in time; the message has what the operators say.
    """
    command = [
        "upgrade", "--install", chart, str(charts / chart), "--namespace", namespace,
        "--create-namespace", "--wait", "--timeout=240s", *arguments,
    ]  # fmt: skip
    try:
        cluster.helm(*command, timeout=HELM_TIMEOUT)
    except CommandFailed as failure:
        pods = ("pods", "--namespace", namespace)
        seen = cluster.kubectl("describe", *pods), operator_log(cluster, namespace)
        raise AssertionError("\n".join([str(failure), *seen])) from failure


def remove_operator(cluster: Cluster) -> None:
    """Remove the operator, however it was installed, and its namespace."""
    cluster.helm("uninstall", RELEASE, "--namespace", SYSTEM, "--ignore-not-found", "--wait")
    cluster.kubectl("delete", "namespace", SYSTEM, "--ignore-not-found", timeout=HELM_TIMEOUT)


def operator_log(cluster: Cluster, namespace: str = SYSTEM) -> str:
    """Return what the operators that run now have written."""
    pods = cluster.list("pods", namespace, f"app.kubernetes.io/name={OPERATOR}")
    names = [pod["metadata"]["name"] for pod in pods]
    return "".join(cluster.log(namespace, name, "operator") for name in names)


def command(cluster: Cluster, *arguments: str, text: str = "") -> subprocess.CompletedProcess[str]:
    """Run the operator's command line against the cluster as a person would."""
    return subprocess.run(
        [sys.executable, "-m", "mcp_gateway_operator", *arguments],
        input=text, env=cluster.environment() | {"PYTHONPATH": f"{ROOT}/gateway:{ROOT}/operator"},
        capture_output=True, text=True, timeout=180.0, check=False,
    )  # fmt: skip


def apply_sample(cluster: Cluster, name: str, namespace: str) -> None:
    """Apply a sample as it says."""
    cluster.kubectl("apply", "--namespace", namespace, "-f", str(SAMPLES / f"{name}.yaml"))


def client_key(cluster: Cluster, gateway: str, namespace: str) -> str:
    """Return the key that the operator made for clients of a gateway."""
    secret = cluster.get("secret", f"{gateway}-client", namespace)
    return base64.b64decode(secret["data"]["api-key"]).decode()


def question(provider: str = "kimi") -> ChatRequest:
    """Return a small request."""
    return ChatRequest(
        provider=provider,
        model="kimi-k2-0905-preview" if provider == "kimi" else "glm-5",
        messages=[{"role": "user", "content": "Hello!"}],
        max_tokens=5,
    )


@contextlib.contextmanager
def client_of(cluster: Cluster, gateway: str, namespace: str) -> Iterator[SyncClient]:
    """Return an MCP client of a gateway's Service."""
    key = client_key(cluster, gateway, namespace)
    with (
        cluster.service(namespace, gateway, 8079) as service,
        SyncClient(f"http://{service.address}/mcp", api_key=key) as client,
    ):
        yield client


class Traffic:
    """Sends one request after another through a gateway's Service. A context manager.

    Every request opens a connection of its own: a client of the day after tomorrow, who meets
    whatever pod is there then.

    Attributes:
        answered: how many were answered.
        failures: what went wrong with the others.
    """

    def __init__(self, service: ServiceProxy, key: str) -> None:
        self.answered = 0
        self.failures: list[str] = []
        self._service = service
        self._key = key
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._send, name="traffic", daemon=True)

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
        self._thread.join(30.0)

    def _send(self) -> None:
        while not self._ended.is_set():
            try:
                url = f"http://{self._service.address}/mcp"
                with SyncClient(url, api_key=self._key, reconnect_for=0.0) as client:
                    client.chat(question())
                self.answered += 1
            except (GatewayError, OSError) as error:
                self.failures.append(f"{type(error).__name__}: {error}")
            self._ended.wait(0.05)
