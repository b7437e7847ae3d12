"""The parts of objects that the operator looks at; all else is skipped while it is decoded.

A thousand Deployments are a hundred megabytes as dictionaries and a few as these.
"""

from __future__ import annotations

from typing import Any, Protocol

import msgspec


class OwnerReference(msgspec.Struct, rename="camel", frozen=True):
    """Who an object belongs to."""

    uid: str
    kind: str = ""
    name: str = ""


class ManagedFields(msgspec.Struct, frozen=True):
    """The fields that one manager set."""

    manager: str = ""
    operation: str = ""
    subresource: str = ""
    time: str = ""
    fields: msgspec.Raw = msgspec.field(default=msgspec.Raw(b"{}"), name="fieldsV1")


class Metadata(msgspec.Struct, rename="camel", frozen=True):
    """What every object has."""

    name: str = ""
    namespace: str = ""
    uid: str = ""
    resource_version: str = ""
    generation: int = 0
    deletion_timestamp: str = ""
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}
    owner_references: list[OwnerReference] = []
    managed_fields: list[ManagedFields] = []


class Item(Protocol):
    """Any object of which the metadata is known."""

    @property
    def metadata(self) -> Metadata:
        """Its metadata."""


class Partial(msgspec.Struct, frozen=True):
    """An object of which only the metadata is wanted."""

    metadata: Metadata


class WorkloadCondition(msgspec.Struct, frozen=True):
    """What a Deployment says of itself."""

    type: str = ""
    status: str = ""
    reason: str = ""
    message: str = ""


class WorkloadStatus(msgspec.Struct, rename="camel", frozen=True):
    """How far a Deployment or StatefulSet is."""

    observed_generation: int = 0
    replicas: int = 0
    ready_replicas: int = 0
    updated_replicas: int = 0
    conditions: list[WorkloadCondition] = []


class GatewayStatus(msgspec.Struct, frozen=True):
    """What a leader before has written of an MCPGateway, as far as the next goes on from it."""

    conditions: list[WorkloadCondition] = []
    providers: list[dict[str, Any]] = []


class GatewayItem(msgspec.Struct, frozen=True):
    """An MCPGateway, without its spec."""

    metadata: Metadata
    status: GatewayStatus = GatewayStatus()


class Workload(msgspec.Struct, frozen=True):
    """A Deployment or StatefulSet."""

    metadata: Metadata
    status: WorkloadStatus = WorkloadStatus()


class Waiting(msgspec.Struct, frozen=True):
    """Why a container does not run."""

    reason: str = ""
    message: str = ""


class Terminated(msgspec.Struct, rename="camel", frozen=True):
    """How a container ended."""

    reason: str = ""
    message: str = ""
    exit_code: int = 0


class ContainerState(msgspec.Struct, frozen=True):
    """What a container does."""

    waiting: Waiting | None = None
    terminated: Terminated | None = None


class ContainerStatus(msgspec.Struct, rename="camel", frozen=True):
    """One container of a pod."""

    name: str = ""
    state: ContainerState = ContainerState()
    last_state: ContainerState = ContainerState()


class PodCondition(msgspec.Struct, frozen=True):
    """What a pod says of itself."""

    type: str = ""
    status: str = ""
    reason: str = ""
    message: str = ""


class PodStatus(msgspec.Struct, frozen=True):
    """How far a pod is."""

    phase: str = ""
    ip: str = msgspec.field(default="", name="podIP")
    conditions: list[PodCondition] = []
    init_containers: list[ContainerStatus] = msgspec.field(
        default_factory=list, name="initContainerStatuses"
    )
    containers: list[ContainerStatus] = msgspec.field(
        default_factory=list, name="containerStatuses"
    )


class PodItem(msgspec.Struct, frozen=True):
    """A pod."""

    metadata: Metadata
    status: PodStatus = PodStatus()
