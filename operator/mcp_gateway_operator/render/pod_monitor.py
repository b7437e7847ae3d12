"""NAME: the scrape of every pod by the Prometheus operator, where it is asked for."""

from __future__ import annotations

from typing import Any, Final

from mcp_gateway_operator.render.gateway import Gateway

# The label that dashboards and alerts tell gateways by, beside `namespace`.
_GATEWAY: Final = {
    "sourceLabels": ["__meta_kubernetes_pod_label_app_kubernetes_io_instance"],
    "targetLabel": "gateway",
}


def pod_monitor(gateway: Gateway) -> dict[str, Any] | None:
    """The PodMonitor, or None."""
    if not gateway.spec.monitoring.pod_monitor:
        return None
    return {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PodMonitor",
        "metadata": gateway.metadata(),
        "spec": {
            "selector": {"matchLabels": gateway.selector()},
            "podMetricsEndpoints": [
                {"port": "admin", "path": "/metrics", "relabelings": [_GATEWAY]}
            ],
        },
    }
