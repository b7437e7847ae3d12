"""The Services: NAME for clients, NAME-pods for who needs one pod's own address."""

from __future__ import annotations

from typing import Any, Final

from mcp_gateway_operator.render.gateway import CONTROL_PORT, MCP_PORT, Gateway

HEADLESS_SUFFIX: Final = "-pods"


def service(gateway: Gateway) -> dict[str, Any]:
    """The Service in front of the pods. Clients find the main port on 8079 always."""
    settings = gateway.spec.service
    metadata = gateway.metadata(annotations=settings.annotations)
    metadata["labels"] = {**settings.labels, **metadata["labels"]}
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": metadata,
        "spec": {
            "type": settings.type,
            "selector": gateway.selector(),
            "ports": [
                {
                    "name": "mcp",
                    "port": MCP_PORT,
                    "targetPort": "mcp",
                    "protocol": "TCP",
                    "appProtocol": "https" if gateway.spec.server.tls else "http",
                }
            ],
        },
    }


def headless(gateway: Gateway) -> dict[str, Any]:
    """The headless Service: every pod's address, the ones that are not ready too."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": gateway.metadata(HEADLESS_SUFFIX),
        "spec": {
            "type": "ClusterIP",
            "clusterIP": "None",
            "publishNotReadyAddresses": True,
            "selector": gateway.selector(),
            "ports": [
                {
                    "name": "admin",
                    "port": gateway.admin_port,
                    "targetPort": "admin",
                    "protocol": "TCP",
                },
                {
                    "name": "control",
                    "port": CONTROL_PORT,
                    "targetPort": "control",
                    "protocol": "TCP",
                },
            ],
        },
    }
