"""What the operator has seen of the cluster, cut down to what it looks at.

Filled by the watches and by the answers to our own writes, read by the reconciler. An older
version of an object never replaces a newer one, so an answer and a watch that lags behind it
may come in any order. One thread, one loop: no locks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from mcp_gateway.api import GROUP
from mcp_gateway_operator.cluster.item import (
    Item,
    ManagedFields,
    Metadata,
    PodItem,
    Workload,
    WorkloadStatus,
)
from mcp_gateway_operator.facts import Key, Pod
from mcp_gateway_operator.reconcile import fields
from mcp_gateway_operator.reconcile.pod import read_pod
from mcp_gateway_operator.render.gateway import (
    APPLIED,
    INSTANCE_LABEL,
    MANAGED_BY_LABEL,
    MANAGER,
)
from mcp_gateway_operator.render.kind import POD, SECRET, Kind

ChildId = tuple[str, str]
"""A kind's name and an object's name."""


@dataclass(slots=True)
class Child:
    """One object made for a gateway.

    Attributes:
        kind: its kind.
        name: its name.
        uid: its identity.
        version: its resource version.
        generation: the API server's count of changes of its spec.
        owner: uid of the MCPGateway it belongs to; empty where it says none.
        deleting: it is on its way out.
        applied: digest of what was rendered when it was last applied.
        annotations: those of our own group.
        status: how far it is, of a workload.
        ours: digest of the fields that are ours, as it is.
        settled: the same, as our last write left it; None where that is not known.
        found: who set which field, while that differs.
    """

    kind: Kind
    name: str
    uid: str
    version: str
    generation: int
    owner: str
    deleting: bool
    applied: str
    annotations: Mapping[str, str]
    status: WorkloadStatus | None
    ours: bytes
    settled: bytes | None = None
    found: Sequence[ManagedFields] = ()

    @property
    def drifted(self) -> bool:
        """Somebody changed a field of ours, or may have."""
        return self.ours != self.settled


@dataclass(slots=True)
class Resource:
    """One MCPGateway, as bytes: a thousand of them as dictionaries would be tens of megabytes.

    Attributes:
        uid: its identity.
        version: its resource version.
        deleting: it is on its way out.
        content: apiVersion, kind, the metadata that matters, and spec, as JSON.
        status: its status, as JSON.
    """

    uid: str
    version: str
    deleting: bool
    content: bytes = field(repr=False)
    status: bytes = field(repr=False)

    def same(self, other: Resource) -> bool:
        """It says what the other says; only its version may be another."""
        mine = (self.uid, self.deleting, self.content, self.status)
        return mine == (other.uid, other.deleting, other.content, other.status)

    def read(self) -> dict[str, Any]:
        """Everything but the status."""
        found: dict[str, Any] = msgspec.json.decode(self.content)
        return found

    def read_status(self) -> dict[str, Any]:
        """The status."""
        found: dict[str, Any] = msgspec.json.decode(self.status)
        return found


class Store:
    """The cluster as it was last seen.

    Args:
        on_change: called with the key of a gateway that something changed for.
    """

    def __init__(self, on_change: Callable[[Key], None]) -> None:
        self.resources: dict[Key, Resource] = {}
        self.apis: set[str] = set()
        self._on_change = on_change
        self._children: dict[Key, dict[ChildId, Child]] = {}
        self._pods: dict[Key, dict[str, Pod]] = {}
        self._secrets: dict[tuple[str, str], str] = {}
        self._users: dict[tuple[str, str], set[Key]] = {}
        self._used: dict[Key, frozenset[tuple[str, str]]] = {}

    def put(self, body: Mapping[str, Any]) -> None:
        """Take an MCPGateway as the API server has it now."""
        metadata = body["metadata"]
        key = Key(metadata["namespace"], metadata["name"])
        known = self.resources.get(key)
        if known is not None and not newer(metadata["resourceVersion"], known.version):
            return
        kept = ("name", "namespace", "uid", "generation", "annotations")
        content = {
            "apiVersion": body["apiVersion"],
            "kind": body["kind"],
            "metadata": {part: metadata[part] for part in kept if part in metadata},
            "spec": body.get("spec") or {},
        }
        content["metadata"].get("annotations", {}).pop(
            "kubectl.kubernetes.io/last-applied-configuration", None
        )
        encoded = msgspec.json.encode(content)
        status = msgspec.json.encode(body.get("status") or {})
        resource = Resource(
            uid=metadata["uid"],
            version=metadata["resourceVersion"],
            deleting=bool(metadata.get("deletionTimestamp")),
            content=encoded,
            status=status,
        )
        self.resources[key] = resource
        if known is None or not resource.same(known):
            self._on_change(key)

    def drop(self, key: Key, uid: str) -> None:
        """The MCPGateway of this uid is gone. Nothing happens where there is another by now."""
        known = self.resources.get(key)
        if known is not None and known.uid == uid:
            del self.resources[key]
            self.use(key, ())
            self._on_change(key)

    def children(self, key: Key) -> Mapping[ChildId, Child]:
        """The objects made for a gateway."""
        return self._children.get(key, {})

    def pods(self, key: Key) -> tuple[Pod, ...]:
        """A gateway's pods, by name."""
        pods = self._pods.get(key, {})
        return tuple(pods[name] for name in sorted(pods))

    def secret_version(self, namespace: str, name: str) -> str:
        """The version of a Secret; empty where there is none."""
        return self._secrets.get((namespace, name), "")

    def use(self, key: Key, names: Sequence[str]) -> None:
        """Remember which Secrets a gateway names, to be told when one changes."""
        wanted = frozenset((key.namespace, name) for name in names)
        before = self._used.get(key, frozenset())
        for gone in before - wanted:
            self._users[gone].discard(key)
            if not self._users[gone]:
                del self._users[gone]
        for new in wanted - before:
            self._users.setdefault(new, set()).add(key)
        if wanted:
            self._used[key] = wanted
        else:
            self._used.pop(key, None)

    def settle(self, kind: Kind, item: Item) -> None:
        """Take the answer to a write of ours: this is how we left the object."""
        child = self._take(kind, item)
        if child is not None and child.version == item.metadata.resource_version:
            child.settled, child.found = child.ours, ()

    # Sink: what the watches tell.

    def seen(self, kind: Kind, item: Item) -> None:
        """There is this object, or this is what has become of it."""
        if isinstance(item, PodItem):
            self._see_pod(item)
            return
        metadata = item.metadata
        if kind is SECRET:
            self._see_secret(metadata.namespace, metadata.name, metadata.resource_version)
        before = self._known(kind, metadata)
        child = self._take(kind, item)
        if child is not None and child is not before:
            self._on_change(Key(metadata.namespace, metadata.labels[INSTANCE_LABEL]))

    def gone(self, kind: Kind, item: Item) -> None:
        """It is not there any more, or no longer has the labels."""
        metadata = item.metadata
        if kind is SECRET:
            self._see_secret(metadata.namespace, metadata.name, "")
        if kind is POD:
            self._lose_pod(metadata.namespace, metadata.name)
            return
        for key, children in list(self._children.items()):
            child = children.get((kind.name, metadata.name))
            if key.namespace == metadata.namespace and child and child.uid == metadata.uid:
                self._lose(key, child)

    def listed(self, kind: Kind, namespace: str | None, names: set[tuple[str, str]]) -> None:
        """These, by (namespace, name), are all there are."""
        if kind is SECRET:
            for where, name in [s for s in self._secrets if _within(s[0], namespace)]:
                if (where, name) not in names:
                    self._see_secret(where, name, "")
        if kind is POD:
            for key, pods in list(self._pods.items()):
                if _within(key.namespace, namespace):
                    for name in [name for name in pods if (key.namespace, name) not in names]:
                        self._lose_pod(key.namespace, name)
            return
        for key, child in list(self._all(kind, namespace)):
            if (key.namespace, child.name) not in names:
                self._lose(key, child)

    def present(self, kind: Kind, there: bool) -> None:
        """The cluster has this kind's API, or has it no longer."""
        if there == (kind.name in self.apis):
            return
        if there:
            self.apis.add(kind.name)
        else:
            self.apis.discard(kind.name)
        if kind.optional:
            for key in self.resources:
                self._on_change(key)

    def _take(self, kind: Kind, item: Item) -> Child | None:
        """File an object under its gateway; None where it is nobody's or old news."""
        metadata = item.metadata
        if metadata.labels.get(MANAGED_BY_LABEL) != MANAGER:
            return None
        instance = metadata.labels.get(INSTANCE_LABEL)
        if not instance:
            return None
        children = self._children.setdefault(Key(metadata.namespace, instance), {})
        known = children.get((kind.name, metadata.name))
        if known is not None and not newer(metadata.resource_version, known.version):
            return known
        child = _child(kind, item)
        if known is not None and known.uid == child.uid:
            child.settled = known.settled
        if child.settled is None and not fields.maybe_touched(metadata.managed_fields):
            child.settled = child.ours
        if child.drifted:
            child.found = metadata.managed_fields
        children[kind.name, metadata.name] = child
        return child

    def _known(self, kind: Kind, metadata: Metadata) -> Child | None:
        key = Key(metadata.namespace, metadata.labels.get(INSTANCE_LABEL, ""))
        return self.children(key).get((kind.name, metadata.name))

    def _lose(self, key: Key, child: Child) -> None:
        children = self._children[key]
        del children[child.kind.name, child.name]
        if not children:
            del self._children[key]
        self._on_change(key)

    def _all(self, kind: Kind, namespace: str | None) -> Iterator[tuple[Key, Child]]:
        for key, children in self._children.items():
            if _within(key.namespace, namespace):
                for child in children.values():
                    if child.kind is kind:
                        yield key, child

    def _see_secret(self, namespace: str, name: str, version: str) -> None:
        known = self._secrets.get((namespace, name), "")
        if known == version or (known and version and not newer(version, known)):
            return
        if version:
            self._secrets[namespace, name] = version
        else:
            del self._secrets[namespace, name]
        for key in self._users.get((namespace, name), ()):
            self._on_change(key)

    def _see_pod(self, item: PodItem) -> None:
        metadata = item.metadata
        instance = metadata.labels.get(INSTANCE_LABEL)
        if not instance:
            return
        key = Key(metadata.namespace, instance)
        pod = read_pod(item)
        pods = self._pods.setdefault(key, {})
        if pods.get(pod.name) != pod:
            pods[pod.name] = pod
            self._on_change(key)

    def _lose_pod(self, namespace: str, name: str) -> None:
        for key, pods in list(self._pods.items()):
            if key.namespace == namespace and pods.pop(name, None) is not None:
                if not pods:
                    del self._pods[key]
                self._on_change(key)


def newer(version: str, known: str) -> bool:
    """Tell whether one version comes after another.

    Resource versions of one API server are numbers that grow; what is none is always news.
    """
    if version.isdecimal() and known.isdecimal():
        return int(version) > int(known)
    return version != known


def _child(kind: Kind, item: Item) -> Child:
    metadata = item.metadata
    owners = [owner.uid for owner in metadata.owner_references if owner.kind == "MCPGateway"]
    return Child(
        kind=kind,
        name=metadata.name,
        uid=metadata.uid,
        version=metadata.resource_version,
        generation=metadata.generation,
        owner=owners[0] if owners else "",
        deleting=bool(metadata.deletion_timestamp),
        applied=metadata.annotations.get(APPLIED, ""),
        annotations={
            name: value
            for name, value in metadata.annotations.items()
            if name.startswith(f"{GROUP}/") and name != APPLIED
        },
        status=item.status if isinstance(item, Workload) else None,
        ours=fields.ours(metadata.managed_fields),
    )


def _within(namespace: str, scope: str | None) -> bool:
    return scope is None or namespace == scope
