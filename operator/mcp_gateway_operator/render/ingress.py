"""NAME: the way in from outside by an Ingress, where one is asked for."""

from __future__ import annotations

from typing import Any

from mcp_gateway_operator.render.gateway import MCP_PORT, Gateway


def ingress(gateway: Gateway) -> dict[str, Any] | None:
    """The Ingress, or None: everything under each host name goes to the main port."""
    wanted = gateway.spec.ingress
    if wanted is None:
        return None
    backend = {"service": {"name": gateway.name, "port": {"number": MCP_PORT}}}
    http = {"paths": [{"path": "/", "pathType": "Prefix", "backend": backend}]}
    hosts = list(wanted.hostnames)
    spec: dict[str, Any] = {
        "rules": [{"host": host, "http": http} for host in hosts] or [{"http": http}]
    }
    if wanted.class_name:
        spec["ingressClassName"] = wanted.class_name
    if wanted.tls_secret_name:
        named = {"hosts": hosts} if hosts else {}
        spec["tls"] = [{**named, "secretName": wanted.tls_secret_name}]
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "metadata": gateway.metadata(annotations=wanted.annotations),
        "spec": spec,
    }
