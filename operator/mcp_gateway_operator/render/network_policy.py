"""NAME: who may reach which port of the pods."""

from __future__ import annotations

from typing import Any

from mcp_gateway_operator.render.gateway import (
    CONTROL_PORT,
    MANAGER,
    NAME_LABEL,
    PEER_PORT,
    Gateway,
)


def network_policy(gateway: Gateway, operator_namespace: str) -> dict[str, Any]:
    """The NetworkPolicy: clients and scrapes from anywhere, each other port for who needs it.

    The operator reaches the control port, and the gateway's own pods the peer port of each other.
    What leaves the pods is not restricted: providers are outside, and everywhere.
    """
    operator = {
        "namespaceSelector": {
            "matchLabels": {"kubernetes.io/metadata.name": operator_namespace},
        },
        "podSelector": {"matchLabels": {NAME_LABEL: MANAGER}},
    }
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": gateway.metadata(),
        "spec": {
            "podSelector": {"matchLabels": gateway.selector()},
            "policyTypes": ["Ingress"],
            "ingress": [
                {
                    "ports": [
                        {"port": gateway.mcp_port, "protocol": "TCP"},
                        {"port": gateway.admin_port, "protocol": "TCP"},
                    ]
                },
                {"from": [operator], "ports": [{"port": CONTROL_PORT, "protocol": "TCP"}]},
                {
                    "from": [{"podSelector": {"matchLabels": gateway.selector()}}],
                    "ports": [{"port": PEER_PORT, "protocol": "TCP"}],
                },
            ],
        },
    }
