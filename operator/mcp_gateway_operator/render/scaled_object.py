"""NAME: KEDA's autoscaler, where more than CPU is to be scaled by."""

from __future__ import annotations

from typing import Any

from mcp_gateway.api import API_VERSION, KIND
from mcp_gateway.api.deployment import Trigger
from mcp_gateway_operator.render.gateway import Gateway


def scaled_object(gateway: Gateway) -> dict[str, Any] | None:
    """The ScaledObject on the resource's own scale subresource, or None."""
    wanted = gateway.spec.autoscaling
    if wanted is None or not wanted.triggers:
        return None
    cpu = {
        "type": "cpu",
        "metricType": "Utilization",
        "metadata": {"value": str(wanted.target_cpu)},
    }
    return {
        "apiVersion": "keda.sh/v1alpha1",
        "kind": "ScaledObject",
        "metadata": gateway.metadata(),
        "spec": {
            "scaleTargetRef": {"apiVersion": API_VERSION, "kind": KIND, "name": gateway.name},
            "minReplicaCount": wanted.min_replicas,
            "maxReplicaCount": wanted.max_replicas,
            "triggers": [cpu, *map(_trigger, wanted.triggers)],
        },
    }


def _trigger(trigger: Trigger) -> dict[str, Any]:
    found: dict[str, Any] = {"type": trigger.type, "metadata": dict(trigger.metadata)}
    if trigger.authentication:
        found["authenticationRef"] = {"name": trigger.authentication}
    return found
