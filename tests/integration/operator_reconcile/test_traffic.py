"""What clients of a gateway notice of what happens to it: nothing."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from tests.integration.operator_cluster.installed import Traffic, client_key
from tests.integration.operator_reconcile.gateways import events, gateway, secret, wait_condition
from tests.support.kubernetes import Cluster, Object, eventually
from tests.support.operator_process import OperatorProcess, running_operator

from mcp_gateway.api.chat import ChatRequest
from mcp_gateway.client.sync import SyncClient

pytestmark = pytest.mark.integration

ANSWER = {
    "id": "1", "object": "chat.completion", "created": 1, "model": "m",
    "choices": [
        {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "yes"}}
    ],
    "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
}  # fmt: skip
REVOKED = "revoked"


class Provider(ThreadingHTTPServer):
    """Answers every chat, and remembers the credentials it was shown."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.shown: list[str] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/v1"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Provider

    def do_GET(self) -> None:
        if self.headers["Authorization"] == f"Bearer {REVOKED}":
            self._answer({"error": {"message": "no such key"}}, 401)
            return
        self._answer({"object": "list", "data": [{"id": "m", "object": "model"}]})

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.server.shown.append(self.headers["Authorization"])
        self._answer(ANSWER)

    def _answer(self, body: object, status: int = 200) -> None:
        text = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_: object) -> None:
        return


@pytest.fixture
def provider() -> Iterator[Provider]:
    with Provider() as running:
        thread = threading.Thread(target=running.serve_forever, name="provider", daemon=True)
        thread.start()
        yield running
        running.shutdown()
        thread.join(10.0)


def test_a_rotated_key_is_in_the_next_requests_and_nothing_restarts(
    cluster: Cluster, namespace: str, operator: OperatorProcess, provider: Provider
) -> None:
    cluster.apply(
        secret("account", api_key="first"),
        gateway(replicas=1, providers=[account(provider)]),
        namespace=namespace,
    )
    cluster.wait("mcpgateway", "llm", "condition=Ready", namespace)
    (pod,) = cluster.list("pods", namespace, "app.kubernetes.io/instance=llm")
    request = ChatRequest(provider="own", model="m", messages=[{"role": "user", "content": "?"}])
    with (
        cluster.service(namespace, "llm", 8079) as service,
        SyncClient(
            f"http://{service.address}/mcp", api_key=client_key(cluster, "llm", namespace)
        ) as client,
    ):
        assert client.chat(request).content == "yes"
        assert provider.shown[-1] == "Bearer first"
        cluster.apply(secret("account", api_key="second"), namespace=namespace)

        def rotated() -> bool:
            client.chat(request)
            return provider.shown[-1] == "Bearer second"

        eventually(rotated, "the new key is shown")
    (same,) = cluster.list("pods", namespace, "app.kubernetes.io/instance=llm")
    assert same["metadata"]["uid"] == pod["metadata"]["uid"]
    assert same["status"]["containerStatuses"][0]["restartCount"] == 0


def account(provider: Provider, **fields: Any) -> Object:
    """A provider whose key is in the Secret `account`."""
    key = {"secretRef": {"name": "account", "key": "api-key"}}
    endpoints = [{"url": provider.url}]
    return {"name": "own", "type": "openai", "endpoints": endpoints, "apiKey": key, **fields}


def test_a_key_that_the_provider_refuses_is_a_condition_until_it_is_replaced(
    cluster: Cluster, namespace: str, operator: OperatorProcess, provider: Provider
) -> None:
    cluster.apply(
        secret("account", api_key=REVOKED),
        gateway(replicas=1, providers=[account(provider)]),
        namespace=namespace,
    )
    found = wait_condition(cluster, namespace, "ProvidersReachable", "CredentialRefused")
    assert "own" in found["message"]
    (shown,) = cluster.get("mcpgateway", "llm", namespace)["status"]["providers"]
    assert (shown["name"], shown["reachable"]) == ("own", False)
    cluster.wait("mcpgateway", "llm", "condition=Ready", namespace)
    eventually(lambda: events(cluster, namespace, "CredentialRefused"), "an Event tells")
    assert REVOKED not in json.dumps([shown, found, *events(cluster, namespace)])
    cluster.apply(secret("account", api_key="good"), namespace=namespace)
    wait_condition(cluster, namespace, "ProvidersReachable", "Healthy")


def test_a_model_that_the_provider_does_not_know_is_a_condition(
    cluster: Cluster, namespace: str, operator: OperatorProcess, provider: Provider
) -> None:
    routes = [{"name": "all", "backends": [{"provider": "own", "model": "retired"}]}]
    cluster.apply(
        secret("account", api_key="good"),
        gateway(replicas=1, providers=[account(provider)], routes=routes),
        namespace=namespace,
    )
    found = wait_condition(cluster, namespace, "ProvidersReachable", "ModelUnknown")
    assert "retired" in found["message"]


def test_clients_notice_nothing_of_what_happens_to_the_operator(
    cluster: Cluster, namespace: str, tmp_path: Path
) -> None:
    def change(what: str) -> None:
        cluster.kubectl("patch", "mcpgateway", "llm", "-n", namespace, "--type=merge", "-p", what)

    with running_operator(cluster, namespace, tmp_path) as first:
        cluster.apply(gateway(replicas=2), namespace=namespace)
        wait_condition(cluster, namespace, "ConfigApplied", "Applied")
        key = client_key(cluster, "llm", namespace)
        with cluster.service(namespace, "llm", 8079) as service:
            with Traffic(service, key) as traffic:
                eventually(lambda: traffic.answered >= 5, "the first answers")
                first.kill()
                with running_operator(cluster, namespace, tmp_path) as second:
                    for retries in range(1, 6):  # pushes
                        change(json.dumps({"spec": {"retry": {"maxRetries": retries}}}))
                    for replicas in (5, 4, 5):  # somebody insists
                        cluster.kubectl(
                            "scale", "deployment", "llm", "-n", namespace, f"--replicas={replicas}"
                        )
                    cluster.kubectl("delete", "networkpolicy,pdb", "llm", "-n", namespace)
                    template = {"metadata": {"annotations": {"team": "ml"}}}
                    change(json.dumps({"spec": {"podTemplate": template}}))  # new pods
                    wait_condition(cluster, namespace, "Progressing", "RollingOut")
                    wait_condition(cluster, namespace, "Progressing", "Complete")
                    wait_condition(cluster, namespace, "ConfigApplied", "Applied")
                    second.quiet()
                    so_far = traffic.answered
                    eventually(lambda: traffic.answered >= so_far + 5, "answers at the end")
            assert traffic.failures == []
