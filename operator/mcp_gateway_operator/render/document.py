"""The document that pods read: the part of the spec that concerns them, as it was written."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any, Final

from mcp_gateway.api import API_VERSION, KIND, AccountLimits, ModelLimits
from mcp_gateway_operator.render.gateway import Gateway
from mcp_gateway_operator.render.secret import client_key_source

_PARTS: Final = (
    "server", "auth", "middleware", "rateLimit", "providers", "routes", "retry", "recording",
    "logging", "tuning",
)  # fmt: skip
_MANY: Final = 1_000


def document(gateway: Gateway) -> dict[str, Any]:
    """Write what a gateway's pods are to run.

    What only the operator acts on is left out, so that changing it pushes nothing. `replicas`
    is in it only where a pod divides a known limit by the number of pods.
    """
    spec = {part: gateway.body[part] for part in _PARTS if part in gateway.body}
    monitoring = gateway.body.get("monitoring") or {}
    if "tracing" in monitoring:
        spec["monitoring"] = {"tracing": monitoring["tracing"]}
    spec["server"] = {
        **(spec.get("server") or {}),
        "port": gateway.mcp_port,
        # The kubelet's probes and Prometheus's scrapes come from outside the pod.
        "adminHost": "0.0.0.0",  # noqa: S104
        "adminPort": gateway.admin_port,
    }
    if gateway.needs_client_key:
        spec["auth"] = {**(spec.get("auth") or {}), "apiKeys": client_key_source(gateway)}
    if _divides_by_replicas(gateway):
        spec["replicas"] = gateway.spec.largest_replicas
    return {
        "apiVersion": API_VERSION,
        "kind": KIND,
        "metadata": {"name": gateway.name, "namespace": gateway.key.namespace},
        "spec": spec,
    }


def digest(value: Mapping[str, Any]) -> str:
    """Tell one object's content from another's: the same content gives the same 16 letters."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _divides_by_replicas(gateway: Gateway) -> bool:
    tuning = gateway.spec.tuning
    if tuning.mode == "Auto":  # a pod that never heard an operator takes a part
        return any(_known(provider.effective_limits()) for provider in gateway.spec.providers)
    return any(
        provider.pool_caps(tuning, replicas=1) != provider.pool_caps(tuning, replicas=_MANY)
        for provider in gateway.spec.providers
    )


def _known(limits: AccountLimits) -> bool:
    """Something is stated that an operator divides."""
    stated: list[AccountLimits | ModelLimits] = [limits, *limits.by_model.values()]
    return any(
        number is not None
        for each in stated
        for number in (each.concurrency, each.requests_per_minute, each.tokens_per_minute)
    )
