"""MCPGateways for these tests, and questions about them."""

from __future__ import annotations

import base64
from typing import Any

from tests.support.kubernetes import WAIT_TIMEOUT, Cluster, Object, eventually

MADE = (
    "configmaps", "deployments", "horizontalpodautoscalers", "networkpolicies",
    "poddisruptionbudgets", "secrets", "serviceaccounts", "services", "statefulsets",
)  # fmt: skip
SELECTOR = "app.kubernetes.io/managed-by=mcp-gateway-operator,app.kubernetes.io/instance"
COLLECTED_WITHIN = 180.0
"""Seconds that the cluster's garbage collector is given.

It looks for new kinds every half minute, and what belongs to one it does not know yet it tries
again after pauses that double, as it does after the API server was away.
"""
CONDITIONS = {
    "Ready", "Progressing", "ConfigApplied", "ProvidersReachable", "Tuned", "Degraded",
}  # fmt: skip


def simulated(name: str = "kimi") -> Object:
    """A provider that needs nothing."""
    return {"name": name, "type": "simulator", "simulator": {"wire": "kimi"}}


def gateway(name: str = "llm", **spec: Any) -> Object:
    """An MCPGateway; without `replicas` it has no pods."""
    whole = {"replicas": 0, "providers": [simulated()], **spec}
    return {
        "apiVersion": "gateway.exai.dev/v1alpha1",
        "kind": "MCPGateway",
        "metadata": {"name": name},
        "spec": whole,
    }


def keyed(secret: str = "kimi", key: str = "api-key") -> Object:
    """A provider whose key is in a Secret."""
    return {
        "name": "kimi",
        "type": "kimi",
        "endpoints": [{"url": "http://127.0.0.1:9"}],
        "apiKey": {"secretRef": {"name": secret, "key": key}},
    }


def secret(name: str, **data: str) -> Object:
    """A Secret; a key's name has `_` for `-`."""
    keys = {key.replace("_", "-"): value for key, value in data.items()}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": keys}


def condition(cluster: Cluster, namespace: str, type_: str, name: str = "llm") -> Object:
    """One condition; an empty object before there is one."""
    found = cluster.get("mcpgateway", name, namespace).get("status", {})
    return next((c for c in found.get("conditions", []) if c["type"] == type_), {})


def wait_condition(
    cluster: Cluster,
    namespace: str,
    type_: str,
    reason: str,
    *,
    name: str = "llm",
    timeout: float = WAIT_TIMEOUT,
) -> Object:
    """Return a condition once it has a reason."""

    def look() -> Object:
        found = condition(cluster, namespace, type_, name)
        return found if found.get("reason") == reason else {}

    return eventually(look, f"{type_} is so because of {reason}", timeout)


def made(cluster: Cluster, namespace: str) -> dict[tuple[str, str], Object]:
    """All that an operator made, by kind and name."""
    found = cluster.list(",".join(MADE), namespace, SELECTOR)
    return {(each["kind"], each["metadata"]["name"]): each for each in found}


def complete(cluster: Cluster, namespace: str, name: str = "llm") -> bool:
    """Everything that a gateway without wishes has is there."""
    wanted = {
        ("ServiceAccount", name), ("ConfigMap", f"{name}-config"), ("Service", name),
        ("Service", f"{name}-pods"), ("NetworkPolicy", name), ("PodDisruptionBudget", name),
        ("Deployment", name), ("Secret", f"{name}-control"), ("Secret", f"{name}-secrets"),
    }  # fmt: skip
    return wanted <= made(cluster, namespace).keys()


def left(cluster: Cluster, namespace: str, name: str) -> list[tuple[str, str]]:
    """What is there of what was made for a gateway."""
    found = made(cluster, namespace).items()
    label = "app.kubernetes.io/instance"
    return [id_ for id_, each in found if each["metadata"]["labels"][label] == name]


def wait_collected(cluster: Cluster, namespace: str, name: str) -> None:
    """Return once the cluster's garbage collector has taken what a deleted gateway had."""
    what = f"the cluster's collector has taken what {name} had"
    eventually(lambda: not left(cluster, namespace, name), what, COLLECTED_WITHIN)


def teach_collector(cluster: Cluster, namespace: str) -> None:
    """Return once the garbage collector is sure to know MCPGateways. An operator must run."""
    cluster.apply(gateway("first"), namespace=namespace)
    eventually(lambda: complete(cluster, namespace, "first"), "the first is made")
    cluster.delete("mcpgateway", "first", namespace)
    wait_collected(cluster, namespace, "first")


def events(cluster: Cluster, namespace: str, reason: str = "") -> list[Object]:
    """The operator's Events, or those of one reason."""
    found = cluster.list("events.events.k8s.io", namespace)
    return [
        event
        for event in found
        if event.get("reportingController") == "mcp-gateway-operator"
        and reason in ("", event["reason"])
    ]


def value(secret_: Object, key: str) -> str:
    """One value of a Secret."""
    return base64.b64decode(secret_["data"][key]).decode()
