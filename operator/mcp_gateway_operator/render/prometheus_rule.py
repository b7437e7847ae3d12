"""NAME: the alerts about a gateway, where they are asked for."""

from __future__ import annotations

from typing import Any

from mcp_gateway_operator.render.alerts import RUNBOOKS, Scope, gateway_groups
from mcp_gateway_operator.render.gateway import Gateway


def prometheus_rule(gateway: Gateway) -> dict[str, Any] | None:
    """The PrometheusRule, or None."""
    wanted = gateway.spec.monitoring
    if not wanted.prometheus_rule:
        return None
    matchers = f'namespace="{gateway.key.namespace}",gateway="{gateway.name}"'
    scope = Scope(
        matchers,
        objective=f"{wanted.objective:g}",
        runbooks=(wanted.runbooks or RUNBOOKS).rstrip("/"),
    )
    return {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PrometheusRule",
        "metadata": gateway.metadata(),
        "spec": {"groups": gateway_groups(scope)},
    }
