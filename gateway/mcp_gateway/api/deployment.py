"""What the operator makes around the gateway's process in a cluster.

`mcp-gateway run` on a laptop reads the same document and has no use for these.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from mcp_gateway.api.fields import DNS_NAME, HOST_NAME, Model, Rule

KubernetesName = Annotated[str, Field(min_length=1, max_length=253, pattern=DNS_NAME)]
KubernetesHost = Annotated[str, Field(min_length=1, max_length=253, pattern=HOST_NAME)]
Text = Annotated[str, Field(max_length=65_536)]
Replicas = Annotated[int, Field(ge=0, le=1_000)]
SomeReplicas = Annotated[int, Field(ge=1, le=1_000)]


class LocalReference(Model):
    """A Secret in the resource's own namespace."""

    name: KubernetesName
    """Name of the Secret."""


class Trigger(Model):
    """Something beside CPU that KEDA scales by."""

    type: Annotated[str, Field(min_length=1, max_length=63, pattern=r"^[a-z][a-z0-9-]*$")]
    """KEDA's name of the scaler: `prometheus`, `cron`."""

    metadata: Annotated[dict[str, Text], Field(max_length=64)]
    """What that scaler wants to know."""

    authentication: KubernetesName | None = None
    """Name of a TriggerAuthentication in the resource's own namespace."""


class Autoscaling(Model):
    """An autoscaler on the resource's scale subresource."""

    min_replicas: SomeReplicas = 1
    """Fewest pods."""

    max_replicas: SomeReplicas
    """Most pods. The account's limits are divided by this where nobody divides them as they
    are used."""

    target_cpu: Annotated[int, Field(ge=1, le=100)] = 70
    """Mean use of the requested CPU to keep, in percent."""

    triggers: Annotated[list[Trigger], Field(max_length=16)] = Field(default=[])
    """What else to scale by. With any of them a ScaledObject of KEDA is made in place of the
    HorizontalPodAutoscaler; without KEDA in the cluster it is CPU alone, and `Degraded` says so."""

    rules = (
        Rule(
            ("min_replicas", "max_replicas"),
            lambda a: a.min_replicas <= a.max_replicas,
            "self.minReplicas <= self.maxReplicas",
            "minReplicas must be at most maxReplicas",
        ),
    )


class Service(Model):
    """The Service in front of the pods."""

    type: Literal["ClusterIP", "NodePort", "LoadBalancer"] = "ClusterIP"
    """How it can be reached: from the cluster, on every node, or from outside."""

    annotations: Annotated[dict[str, Text], Field(max_length=64)] = Field(default={})
    """Annotations, for a cloud's load balancer."""

    labels: Annotated[dict[str, Text], Field(max_length=64)] = Field(default={})
    """Further labels."""


class ParentReference(Model):
    """A Gateway that an HTTPRoute hangs on."""

    name: KubernetesName
    """Name of the Gateway."""

    namespace: KubernetesName | None = None
    """Its namespace. Without it: the resource's own."""

    section_name: KubernetesName | None = None
    """One listener of it. Without it: all that take HTTP."""


class HTTPRoute(Model):
    """An HTTPRoute of the Gateway API, to reach the gateway from outside."""

    parent_refs: Annotated[list[ParentReference], Field(min_length=1, max_length=16)]
    """The Gateways it hangs on."""

    hostnames: Annotated[list[KubernetesHost], Field(max_length=16)] = Field(default=[])
    """Host names that lead here: `mcp.example.com`. Empty: all of the Gateway's."""


class Ingress(Model):
    """An Ingress, to reach the gateway from outside where there is no Gateway API."""

    class_name: KubernetesName | None = None
    """IngressClass. Without it: the cluster's default."""

    hostnames: Annotated[list[KubernetesHost], Field(max_length=16)] = Field(default=[])
    """Host names that lead here. Empty: all."""

    tls_secret_name: KubernetesName | None = None
    """Secret with the certificate for the host names. Without it: plain HTTP, or what the
    Ingress's controller has."""

    annotations: Annotated[dict[str, Text], Field(max_length=64)] = Field(default={})
    """Annotations for the Ingress's controller. Streams need long timeouts and no buffering."""


PodTemplate = dict[str, Any]
"""A PodTemplateSpec, in part. The API server checks the merged result, not this."""
