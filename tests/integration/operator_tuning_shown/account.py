"""One provider account that gateways in a cluster share, and questions about its tuning."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tests.integration.operator_reconcile.gateways import events, secret, value
from tests.integration.operator_tuning_shown.demand import Pod
from tests.support.gateway_process import SimulatorProcess
from tests.support.kubernetes import Cluster, Object, eventually

INSTANCE = "app.kubernetes.io/instance"
FAST = ("--tuning-interval", "0.25")
SERVICE: dict[str, object] = {
    "latency": {"firstToken": {"median": "200ms"}, "perToken": {"median": "5ms"}},
    "answerTokens": {"median": 10, "sigma": 0.0},
    "models": ["kimi-k2-0905-preview"],
}
"""A request takes a quarter of a second or so."""


def limited(concurrency: int | None) -> dict[str, object]:
    """Settings of a provider that refuses what is beyond its limit."""
    limits = {} if concurrency is None else {"concurrency": concurrency}
    return {**SERVICE, **limits}


def tuned(
    provider: SimulatorProcess, name: str = "llm", *, mode: str = "Auto", replicas: int = 4,
    stated: int | None = None, **spec: Any,
) -> Object:  # fmt: skip
    """An MCPGateway that uses the account of the Secret `account`."""
    limits = {} if stated is None else {"limits": {"concurrency": stated}}
    kimi = {
        "name": "kimi", "type": "kimi", "endpoints": [{"url": provider.url}],
        "apiKey": {"secretRef": {"name": "account", "key": "api-key"}}, **limits,
    }  # fmt: skip
    return {
        "apiVersion": "gateway.exai.dev/v1alpha1",
        "kind": "MCPGateway",
        "metadata": {"name": name},
        "spec": {
            "replicas": replicas, "providers": [kimi], "tuning": {"mode": mode},
            "recording": {"enabled": False}, **spec,
        },
    }  # fmt: skip


def install(cluster: Cluster, namespace: str, *gateways: Object) -> None:
    """Make gateways that share an account, and return when their pods serve."""
    cluster.apply(secret("account", api_key="sk-one"), namespace=namespace)
    cluster.apply(*gateways, namespace=namespace)
    for each in gateways:
        cluster.wait("mcpgateway", each["metadata"]["name"], "condition=Ready", namespace)


def addresses(cluster: Cluster, namespace: str) -> Sequence[Pod]:
    """The pods that serve: where they are, and a key that opens them."""
    pods = cluster.list("pods", namespace, "app.kubernetes.io/component=gateway")
    serving = [pod for pod in pods if _serves(pod)]
    names = {pod["metadata"]["labels"][INSTANCE] for pod in serving}
    keys = {
        name: value(cluster.get("secret", f"{name}-client", namespace), "api-key") for name in names
    }
    return [(pod["status"]["podIP"], keys[pod["metadata"]["labels"][INSTANCE]]) for pod in serving]


def _serves(pod: Object) -> bool:
    conditions = pod["status"].get("conditions", ())
    ready = any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)
    return ready and not pod["metadata"].get("deletionTimestamp")


def used(provider: SimulatorProcess) -> Object:
    """What the provider saw of the account."""
    accounts: dict[str, Object] = provider.stats()["accounts"]
    return next(iter(accounts.values()), {"in_flight": 0, "max_in_flight": 0})


def limit(cluster: Cluster, namespace: str, name: str = "llm") -> Object:
    """What the status says of the account."""
    found = cluster.get("mcpgateway", name, namespace).get("status", {}).get("providers") or [{}]
    provider: Object = found[0]
    return provider


def shares(cluster: Cluster, namespace: str, name: str = "llm") -> dict[str, int]:
    """The pods' shares, as the status says."""
    found = limit(cluster, namespace, name).get("shares") or []
    return {each["pod"]: each["share"] for each in found}


def condition_of(cluster: Cluster, namespace: str, name: str = "llm") -> Object:
    """The condition `Tuned`."""
    found = cluster.get("mcpgateway", name, namespace).get("status", {}).get("conditions", [])
    return next((each for each in found if each["type"] == "Tuned"), {})


def wait_tuned(cluster: Cluster, namespace: str, reason: str, name: str = "llm") -> Object:
    """Return the condition `Tuned` once it has a reason."""

    def look() -> Object:
        found = condition_of(cluster, namespace, name)
        return found if found.get("reason") == reason else {}

    return eventually(look, f"{name} is tuned so because of {reason}")


def told(cluster: Cluster, namespace: str) -> list[str]:
    """What Events say of ceilings."""
    found = events(cluster, namespace)
    return [each["note"] for each in found if each["reason"].startswith("Ceiling")]
