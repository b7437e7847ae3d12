"""The operator as it is installed on a cluster: where, and with which settings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from mcp_gateway_operator.cli.connection import Object, every
from mcp_gateway_operator.cluster import Cluster, Forbidden
from mcp_gateway_operator.render.gateway import MANAGER, NAME_LABEL
from mcp_gateway_operator.render.kind import DEPLOYMENT

IMAGE_OPTION: Final = "--gateway-image"


@dataclass(frozen=True, slots=True)
class Installation:
    """What could be found out of an operator; empty where nothing was.

    Attributes:
        namespace: where it runs.
        gateway_image: image of gateways that name none.
    """

    namespace: str = ""
    gateway_image: str = ""


async def find_installation(cluster: Cluster) -> Installation:
    """Look for the operator's Deployment in all namespaces, as far as one may look."""
    try:
        found = await every(cluster, DEPLOYMENT, None, labelSelector=f"{NAME_LABEL}={MANAGER}")
    except Forbidden:
        return Installation()
    for deployment in found:
        return Installation(deployment["metadata"]["namespace"], _image(deployment))
    return Installation()


def _image(deployment: Object) -> str:
    for container in deployment["spec"]["template"]["spec"]["containers"]:
        for word in container.get("args") or []:
            option, _, value = str(word).partition("=")
            if option == IMAGE_OPTION:
                return value
    return ""
