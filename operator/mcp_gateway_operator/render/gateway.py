"""One MCPGateway as the builders take it, and the names that everything made for it goes by."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from pydantic import BaseModel

from mcp_gateway.api import (
    API_VERSION,
    GROUP,
    KIND,
    MCPGateway,
    Provider,
    SecretReference,
    Spec,
)
from mcp_gateway.api.fields import DOCUMENT
from mcp_gateway_operator.facts import Key
from mcp_gateway_operator.tuning import AccountSpec

MANAGER: Final = "mcp-gateway-operator"
"""Who we are: field manager, value of the managed-by label, source of Events."""

APPLIED: Final = f"{GROUP}/applied"
"""Annotation of every object made here: a digest of what was rendered."""
CONFIG_GENERATION: Final = f"{GROUP}/config-generation"
"""Annotation of the ConfigMap: the generation of the document in it."""
CONFIG_DIGEST: Final = f"{GROUP}/config-digest"
"""Annotation of the ConfigMap: a digest of the document in it."""
SOURCES: Final = f"{GROUP}/sources"
"""Annotation of the Secret of compiled keys: what each was compiled from."""
ASKED: Final = f"{GROUP}/asked"
"""Annotation of the workload: a digest of what a person asked of it, whatever is made of that."""
IMAGE: Final = f"{GROUP}/image"
"""Annotation of the workload: the image of the operator's version that it was rendered with."""
PAUSED: Final = f"{GROUP}/paused"
"""Annotation of a person on an MCPGateway: leave its objects alone while it is `true`."""
FROZEN: Final = f"{GROUP}/freeze-tuning"
"""Annotation of a person on an MCPGateway: keep its accounts' ceilings while it is `true`."""

NAME_LABEL: Final = "app.kubernetes.io/name"
INSTANCE_LABEL: Final = "app.kubernetes.io/instance"
MANAGED_BY_LABEL: Final = "app.kubernetes.io/managed-by"
COMPONENT_LABEL: Final = "app.kubernetes.io/component"
APPLICATION: Final = "mcp-gateway"

LONGEST_NAME: Final = 52
"""A StatefulSet's pods carry NAME and eleven characters in one label of at most 63."""

MCP_PORT: Final = 8079
ADMIN_PORT: Final = 9079
CONTROL_PORT: Final = 9443
PEER_PORT: Final = 9082


@dataclass(frozen=True, slots=True)
class Gateway:
    """An MCPGateway resource.

    Attributes:
        key: its namespace and name.
        uid: its identity; empty for a file that is not in a cluster.
        generation: the API server's count of changes of its spec.
        annotations: its annotations.
        body: its spec as it was written, durations and sizes as text.
        spec: the same, read.
    """

    key: Key
    uid: str
    generation: int
    annotations: Mapping[str, str]
    body: Mapping[str, Any] = field(repr=False)
    spec: Spec = field(repr=False)

    @classmethod
    def read(cls, resource: Mapping[str, Any], namespace: str = "default") -> Gateway:
        """Read a resource, as the API server gives it or as a person wrote it.

        Args:
            resource: the whole of it.
            namespace: where it is when it does not say so itself.

        Raises:
            pydantic.ValidationError: it is not one.
        """
        document = {part: resource[part] for part in resource if part != "status"}
        read = MCPGateway.model_validate(document, context={DOCUMENT: True})
        metadata = resource.get("metadata", {})
        return cls(
            key=Key(read.metadata.namespace or namespace, read.metadata.name),
            uid=metadata.get("uid", ""),
            generation=metadata.get("generation", 0),
            annotations=read.metadata.annotations,
            body=resource["spec"],
            spec=read.spec,
        )

    @property
    def name(self) -> str:
        """Its name, which its objects share."""
        return self.key.name

    @property
    def paused(self) -> bool:
        """A person asked for its objects to be left alone."""
        return self.annotations.get(PAUSED, "").lower() == "true"

    @property
    def frozen(self) -> bool:
        """A person asked for the ceilings of its accounts to be left as they are."""
        return self.annotations.get(FROZEN, "").lower() == "true"

    @property
    def persistent(self) -> bool:
        """Its spool outlives a pod, so its pods need a volume each."""
        recording = self.spec.recording
        return recording.enabled and recording.spool.storage == "persistent"

    @property
    def mcp_port(self) -> int:
        """Main port in the pods; one that the system chooses could not be found by a Service."""
        return self.spec.server.port or MCP_PORT

    @property
    def admin_port(self) -> int:
        """Admin port in the pods."""
        return self.spec.server.admin_port or ADMIN_PORT

    @property
    def needs_client_key(self) -> bool:
        """Clients need a key and the document names none."""
        auth = self.spec.auth
        open_to_all = auth.anonymous or "auth" not in self.spec.middleware
        return not open_to_all and auth.api_keys is None and auth.jwt is None

    def accounts(self) -> dict[str, AccountSpec]:
        """How the account of each provider is to be tuned, by the provider's name."""
        spec = self.spec
        return {provider.name: self._account(provider) for provider in spec.providers}

    def _account(self, provider: Provider) -> AccountSpec:
        pool = provider.pool
        cap = pool.max_connections
        return AccountSpec(
            mode=self.spec.tuning.mode,
            frozen=self.frozen,
            limits=provider.effective_limits(),
            by_model=provider.wire == "glm",
            pod_cap=None if cap is None else cap + (pool.max_overflow or 0),
            largest_replicas=self.spec.largest_replicas,
        )

    def selector(self) -> dict[str, str]:
        """The labels that find its pods. Never changed: a Deployment's selector cannot be."""
        return {NAME_LABEL: APPLICATION, INSTANCE_LABEL: self.name}

    def labels(self, component: str = "gateway") -> dict[str, str]:
        """The labels of everything made for it."""
        return {**self.selector(), MANAGED_BY_LABEL: MANAGER, COMPONENT_LABEL: component}

    def metadata(
        self, suffix: str = "", annotations: Mapping[str, str] | None = None, component: str = ""
    ) -> dict[str, Any]:
        """The metadata of an object made for it: named after it, owned by it."""
        found: dict[str, Any] = {
            "name": self.name + suffix,
            "namespace": self.key.namespace,
            "labels": self.labels(component or "gateway"),
        }
        if annotations:
            found["annotations"] = dict(annotations)
        if self.uid:
            found["ownerReferences"] = [self.owner_reference()]
        return found

    def owner_reference(self) -> dict[str, Any]:
        """The reference that makes the API server delete an object with this resource."""
        return {
            "apiVersion": API_VERSION,
            "kind": KIND,
            "name": self.name,
            "uid": self.uid,
            "controller": True,
            # false: it would ask for the right to set finalizers, and holds up foreground
            # deletion only.
            "blockOwnerDeletion": False,
        }

    def secret_references(self) -> list[tuple[str, str]]:
        """The (Secret, key) pairs of its own namespace that its document names, sorted."""
        found = {(reference.name, reference.key) for reference in _references(self.spec)}
        tls = self.spec.server.tls
        if tls is not None and tls.secret_name is not None:
            found |= {(tls.secret_name, "tls.crt"), (tls.secret_name, "tls.key")}
        return sorted(found)


def _references(value: object) -> Iterator[SecretReference]:
    if isinstance(value, SecretReference):
        yield value
    elif isinstance(value, BaseModel):
        for name in type(value).model_fields:
            yield from _references(getattr(value, name))
    elif isinstance(value, list):
        for item in value:
            yield from _references(item)
