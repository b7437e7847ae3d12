"""A pod with the gateway's own command runs the gateway of the source tree."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.integration.cluster.page_pods import deployment
from tests.support.gateway_process import client_key, document, simulator
from tests.support.kubernetes import Cluster, eventually

from mcp_gateway.api import ChatRequest
from mcp_gateway.client import Client

pytestmark = pytest.mark.integration

CONFIG = "/etc/mcp-gateway/config"
SECRETS = "/etc/mcp-gateway/secrets"
DATA = "/var/lib/mcp-gateway"


def gateway_spec() -> dict[str, Any]:
    """The spec of a pod as the operator renders it, in short."""
    command = ["mcp-gateway", "run", f"{CONFIG}/gateway.yaml"]
    probe = {"httpGet": {"path": "/readyz", "port": "admin"}, "periodSeconds": 1}
    container = {
        "name": "gateway",
        "image": "mcp-gateway:test",
        "command": [*command, f"--secrets-dir={SECRETS}", "--data-dir", DATA],
        "ports": [
            {"name": "mcp", "containerPort": 8079},
            {"name": "admin", "containerPort": 9079},
        ],
        "readinessProbe": probe,
        "volumeMounts": [
            {"name": "config", "mountPath": CONFIG},
            {"name": "secrets", "mountPath": SECRETS},
            {"name": "data", "mountPath": DATA},
        ],
    }
    keys = {"secretName": "gateway", "items": [{"key": "keys", "path": "clients/keys"}]}
    volumes = [
        {"name": "config", "configMap": {"name": "gateway"}},
        {"name": "secrets", "secret": keys},
        {"name": "data", "emptyDir": {}},
    ]
    return {"containers": [container], "volumes": volumes}


def objects(simulator_url: str, lines: str) -> list[dict[str, Any]]:
    spec = {
        "server": {"host": "0.0.0.0", "adminHost": "0.0.0.0"},  # noqa: S104 - as in a pod
        "auth": {"apiKeys": {"secretRef": {"name": "clients", "key": "keys"}}},
        "providers": [
            {
                "name": "kimi",
                "type": "kimi",
                "endpoints": [{"url": simulator_url}],
                "apiKey": {"value": "sk-test"},
            }
        ],
    }
    config = json.dumps(document("gateway", spec))
    return [
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "gateway"},
            "data": {"gateway.yaml": config},
        },
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": "gateway"},
            "stringData": {"keys": lines},
        },
        deployment("gateway", gateway_spec()),
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "gateway"},
            "spec": {
                "selector": {"app": "gateway"},
                "ports": [{"port": 8079, "targetPort": "mcp"}],
            },
        },
    ]


async def test_two_gateways_answer_through_their_service(cluster: Cluster, namespace: str) -> None:
    alice = client_key("alice")
    with simulator() as provider:
        cluster.apply(*objects(provider.url, alice.line), namespace=namespace)
        cluster.wait("deployment", "gateway", "condition=Available", namespace)
        with cluster.service(namespace, "gateway", 8079) as proxy:
            eventually(lambda: len(proxy.endpoints()) == 2, "two ready gateways")
            request = ChatRequest(
                model="kimi-k2.5", messages=[{"role": "user", "content": "hello"}]
            )
            for _ in range(2):
                async with Client(f"http://{proxy.address}/mcp", api_key=alice.key) as client:
                    assert (await client.chat(request)).text
