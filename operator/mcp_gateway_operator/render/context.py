"""What the builders need to know beside the gateway itself."""

from __future__ import annotations

from dataclasses import dataclass, field

from mcp_gateway_operator.render.kind import CHILDREN


def _every_api() -> frozenset[str]:
    return frozenset(kind.name for kind in CHILDREN if kind.optional)


@dataclass(frozen=True, slots=True)
class Context:
    """The world a gateway is rendered for.

    Attributes:
        image: container image of gateways that name none.
        operator_namespace: where the operator runs; its pods alone may reach control ports.
        apis: names of the optional kinds that the cluster has; all by default.
        generation: number of the document in the ConfigMap.
    """

    image: str = "mcp-gateway:latest"
    operator_namespace: str = "mcp-gateway-system"
    apis: frozenset[str] = field(default_factory=_every_api)
    generation: int = 1
