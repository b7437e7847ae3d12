"""NAME: the way in from outside by the Gateway API, where one is asked for."""

from __future__ import annotations

from typing import Any

from mcp_gateway_operator.render.gateway import MCP_PORT, Gateway


def http_route(gateway: Gateway) -> dict[str, Any] | None:
    """The HTTPRoute, or None. Streams outlive any request timeout, so it has none."""
    wanted = gateway.spec.http_route
    if wanted is None:
        return None
    spec: dict[str, Any] = {
        "parentRefs": [
            parent.model_dump(by_alias=True, exclude_none=True) for parent in wanted.parent_refs
        ],
        "rules": [
            {
                "backendRefs": [{"name": gateway.name, "port": MCP_PORT}],
                "timeouts": {"request": "0s"},
            }
        ],
    }
    if wanted.hostnames:
        spec["hostnames"] = list(wanted.hostnames)
    return {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "HTTPRoute",
        "metadata": gateway.metadata(),
        "spec": spec,
    }
