"""Pure builders: an MCPGateway in, Kubernetes objects out, one module per object.

Nothing here reads a clock, a cluster or a file that is not a part of this package, so what the
operator makes can be looked at without one: `mcp-gateway-operator render FILE`, and the golden
files of the tests.
"""

from __future__ import annotations

from typing import Any

from mcp_gateway_operator.render.autoscaler import autoscaler
from mcp_gateway_operator.render.config_map import config_map
from mcp_gateway_operator.render.context import Context
from mcp_gateway_operator.render.dashboard import dashboard
from mcp_gateway_operator.render.disruption_budget import disruption_budget
from mcp_gateway_operator.render.document import digest, document
from mcp_gateway_operator.render.gateway import APPLIED, Gateway
from mcp_gateway_operator.render.http_route import http_route
from mcp_gateway_operator.render.ingress import ingress
from mcp_gateway_operator.render.network_policy import network_policy
from mcp_gateway_operator.render.pod_monitor import pod_monitor
from mcp_gateway_operator.render.prometheus_rule import prometheus_rule
from mcp_gateway_operator.render.scaled_object import scaled_object
from mcp_gateway_operator.render.secret import client, compiled, control
from mcp_gateway_operator.render.service import headless, service
from mcp_gateway_operator.render.service_account import service_account
from mcp_gateway_operator.render.workload import workload

__all__ = [
    "Context",
    "Gateway",
    "digest",
    "document",
    "objects",
    "sealed",
    "secrets",
    "unavailable",
    "workload",
]


def objects(gateway: Gateway, context: Context) -> list[dict[str, Any]]:
    """Everything that is made for a gateway but its Secrets, in the order it is applied.

    An object whose API the cluster does not have is left out; `unavailable` names it.
    """
    found = [
        service_account(gateway),
        config_map(gateway, context.generation),
        service(gateway),
        headless(gateway),
        network_policy(gateway, context.operator_namespace),
        disruption_budget(gateway),
        workload(gateway, context),
        autoscaler(gateway, context.apis),
        ingress(gateway),
        dashboard(gateway),
        *(each for each in _optional(gateway) if each and each["kind"] in context.apis),
    ]
    return [sealed(each) for each in found if each is not None]


def secrets(gateway: Gateway) -> list[dict[str, Any]]:
    """The Secrets that are made for a gateway, without what is in them: for people to review."""
    found = [control(gateway, {}), compiled(gateway, {}, "")]
    if gateway.needs_client_key:
        found.append({**client(gateway, ""), "data": {}})
    return found


def unavailable(gateway: Gateway, context: Context) -> list[str]:
    """What was asked for and cannot be made, because the cluster does not have its API."""
    return [
        f"{each['kind']} ({each['apiVersion']})"
        for each in _optional(gateway)
        if each and each["kind"] not in context.apis
    ]


def sealed(rendered: dict[str, Any]) -> dict[str, Any]:
    """Add an object's digest to its annotations: what is there can be told from what should be."""
    metadata = rendered["metadata"]
    annotations = {**metadata.get("annotations", {}), APPLIED: digest(rendered)}
    return {**rendered, "metadata": {**metadata, "annotations": annotations}}


def _optional(gateway: Gateway) -> tuple[dict[str, Any] | None, ...]:
    return (
        scaled_object(gateway),
        http_route(gateway),
        pod_monitor(gateway),
        prometheus_rule(gateway),
    )
