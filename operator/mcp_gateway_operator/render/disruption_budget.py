"""NAME: how many pods a drained node may take at once."""

from __future__ import annotations

from typing import Any

from mcp_gateway_operator.render.gateway import Gateway


def disruption_budget(gateway: Gateway) -> dict[str, Any]:
    """The PodDisruptionBudget: one at a time, which also lets a node with a single pod go."""
    return {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": gateway.metadata(),
        "spec": {
            "maxUnavailable": 1,
            "selector": {"matchLabels": gateway.selector()},
            # Pods that do not serve anyhow keep no node from being drained.
            "unhealthyPodEvictionPolicy": "AlwaysAllow",
        },
    }
