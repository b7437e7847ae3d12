"""NAME: the identity of the pods, which gives them no right at all."""

from __future__ import annotations

from typing import Any

from mcp_gateway_operator.render.gateway import Gateway


def service_account(gateway: Gateway) -> dict[str, Any]:
    """The ServiceAccount. A gateway never speaks to the API server, so it gets no token."""
    return {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": gateway.metadata(),
        "automountServiceAccountToken": False,
    }
