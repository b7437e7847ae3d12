"""The kinds of objects there are here, and where an API server has them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

from mcp_gateway.api import API_VERSION, KIND
from mcp_gateway.api.crd import PLURAL


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of object.

    Attributes:
        api_version: `v1`, or `group/version`.
        name: as objects spell it.
        plural: as addresses spell it.
        optional: its API need not be there.
    """

    api_version: str
    name: str
    plural: str
    optional: bool = False

    def path(self, namespace: str | None = None, name: str | None = None, sub: str = "") -> str:
        """The address of one object, or without a name of all of them."""
        root = "/api/" if "/" not in self.api_version else "/apis/"
        parts = [root + self.api_version]
        if namespace is not None:
            parts += ["namespaces", quote(namespace, safe="")]
        parts.append(self.plural)
        if name is not None:
            parts.append(quote(name, safe=""))
        if sub:
            parts.append(sub)
        return "/".join(parts)


GATEWAY: Final = Kind(API_VERSION, KIND, PLURAL)
CONFIG_MAP: Final = Kind("v1", "ConfigMap", "configmaps")
SECRET: Final = Kind("v1", "Secret", "secrets")
SERVICE: Final = Kind("v1", "Service", "services")
SERVICE_ACCOUNT: Final = Kind("v1", "ServiceAccount", "serviceaccounts")
POD: Final = Kind("v1", "Pod", "pods")
DEPLOYMENT: Final = Kind("apps/v1", "Deployment", "deployments")
STATEFUL_SET: Final = Kind("apps/v1", "StatefulSet", "statefulsets")
DISRUPTION_BUDGET: Final = Kind("policy/v1", "PodDisruptionBudget", "poddisruptionbudgets")
NETWORK_POLICY: Final = Kind("networking.k8s.io/v1", "NetworkPolicy", "networkpolicies")
AUTOSCALER: Final = Kind("autoscaling/v2", "HorizontalPodAutoscaler", "horizontalpodautoscalers")
HTTP_ROUTE: Final = Kind("gateway.networking.k8s.io/v1", "HTTPRoute", "httproutes", optional=True)
POD_MONITOR: Final = Kind("monitoring.coreos.com/v1", "PodMonitor", "podmonitors", optional=True)
PROMETHEUS_RULE: Final = Kind(
    "monitoring.coreos.com/v1", "PrometheusRule", "prometheusrules", optional=True
)
INGRESS: Final = Kind("networking.k8s.io/v1", "Ingress", "ingresses")
SCALED_OBJECT: Final = Kind("keda.sh/v1alpha1", "ScaledObject", "scaledobjects", optional=True)
LEASE: Final = Kind("coordination.k8s.io/v1", "Lease", "leases")
EVENT: Final = Kind("events.k8s.io/v1", "Event", "events")

CHILDREN: Final = (
    SERVICE_ACCOUNT, SECRET, CONFIG_MAP, SERVICE, NETWORK_POLICY, DISRUPTION_BUDGET, DEPLOYMENT,
    STATEFUL_SET, AUTOSCALER, SCALED_OBJECT, INGRESS, HTTP_ROUTE, POD_MONITOR, PROMETHEUS_RULE,
)  # fmt: skip
"""The kinds that are made for a gateway, in the order in which they are applied."""

BY_NAME: Final = {kind.name: kind for kind in (GATEWAY, POD, LEASE, EVENT, *CHILDREN)}
