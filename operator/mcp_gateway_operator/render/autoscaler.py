"""NAME: the autoscaler, where one is asked for."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from mcp_gateway.api import API_VERSION, KIND
from mcp_gateway_operator.render.gateway import Gateway
from mcp_gateway_operator.render.kind import SCALED_OBJECT


def autoscaler(gateway: Gateway, apis: Collection[str]) -> dict[str, Any] | None:
    """The HorizontalPodAutoscaler on the resource's own scale subresource, or None.

    It writes `spec.replicas` of the MCPGateway, from where the workload has it: one number, one
    way. KEDA makes its own from a ScaledObject, where that can be made.
    """
    wanted = gateway.spec.autoscaling
    if wanted is None or (wanted.triggers and SCALED_OBJECT.name in apis):
        return None
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": gateway.metadata(),
        "spec": {
            "scaleTargetRef": {"apiVersion": API_VERSION, "kind": KIND, "name": gateway.name},
            "minReplicas": wanted.min_replicas,
            "maxReplicas": wanted.max_replicas,
            "metrics": [
                {
                    "type": "Resource",
                    "resource": {
                        "name": "cpu",
                        "target": {
                            "type": "Utilization",
                            "averageUtilization": wanted.target_cpu,
                        },
                    },
                }
            ],
        },
    }
