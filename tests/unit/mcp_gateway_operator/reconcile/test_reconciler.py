"""Whole looks at one gateway, on an API server that keeps what it is sent."""

from __future__ import annotations

import json
import ssl
from collections.abc import Callable, Mapping
from typing import Any

import msgspec
import pytest

from mcp_gateway_operator.cluster import Access, Cluster, NotFound, NotLeading, Recorder
from mcp_gateway_operator.cluster.client import JSON
from mcp_gateway_operator.cluster.item import Workload
from mcp_gateway_operator.facts import FleetView, Key, Pod, Target, Term
from mcp_gateway_operator.metrics import Metrics
from mcp_gateway_operator.reconcile import Reconciler, Store
from mcp_gateway_operator.render.kind import BY_NAME, DEPLOYMENT, HTTP_ROUTE, STATEFUL_SET, Kind

KEY = Key("n", "llm")


class KeepingCluster(Cluster):
    """Keeps every object under its address, with no defaults, no collector and no admission."""

    def __init__(self) -> None:
        super().__init__(Access("https://cluster", ssl.create_default_context()), Metrics())
        self.objects: dict[str, dict[str, Any]] = {}
        self._version = 100

    async def request(
        self,
        verb: str,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        body: bytes | None = None,
        content_type: str = JSON,
        accept: str = JSON,
        urgent: bool = False,
        within: float = 30.0,
    ) -> bytes:
        """Do what an API server does."""
        whole = path.removesuffix("/status")
        if method in {"GET", "DELETE"}:
            if whole not in self.objects:
                raise NotFound(404, "NotFound", path)
            found = self.objects[whole] if method == "GET" else self.objects.pop(whole)
            return json.dumps(found).encode()
        sent = json.loads(body or b"{}")
        if method == "POST":
            whole += f"/{sent['metadata']['name']}"
        return json.dumps(self.put(whole, sent)).encode()

    def put(self, path: str, sent: dict[str, Any]) -> dict[str, Any]:
        """Keep an object; what it does not say stays."""
        self._version += 1
        before = self.objects.get(path, {"metadata": {"uid": path}})
        metadata = {**before["metadata"], **sent["metadata"]}
        metadata["resourceVersion"] = str(self._version)
        self.objects[path] = {**before, **sent, "metadata": metadata}
        return self.objects[path]


class SilentFleet:
    """Knows of no pod, and holds no document back.

    Attributes:
        assigned: the targets it was given.
    """

    def __init__(self) -> None:
        self.assigned: list[Target] = []

    def start(self, on_change: Callable[[Key], None], term: Term) -> None:
        """See `Fleet`."""

    def assign(self, key: Key, target: Target) -> None:
        """See `Fleet`."""
        self.assigned.append(target)

    def follow(self, key: Key, pods: tuple[Pod, ...], born_here: frozenset[str]) -> None:
        """See `Fleet`."""

    def view(self, key: Key) -> FleetView:
        """See `Fleet`."""
        return FleetView(promoted=2**53)

    def forget(self, key: Key) -> None:
        """See `Fleet`."""

    async def aclose(self) -> None:
        """See `Fleet`."""


class Rig:
    """A reconciler, its store, and the cluster it works on."""

    def __init__(self) -> None:
        self.cluster = KeepingCluster()
        self.store = Store(lambda key: None)
        self.fleet = SilentFleet()
        self.reconciler = Reconciler(
            self.cluster, self.store, self.fleet, Recorder(self.cluster, Metrics(), "me"),
            Metrics(), image="mcp-gateway:1", namespace="system", look=lambda key: None,
        )  # fmt: skip
        self.reconciler.begin(1)
        self.generation = 0

    async def apply(self, **spec: Any) -> None:
        """Change the resource as a person does, and look at it."""
        self.generation += 1
        provider = {"name": "kimi", "type": "simulator", "simulator": {"wire": "kimi"}}
        body = {
            "apiVersion": "gateway.exai.dev/v1alpha1", "kind": "MCPGateway",
            "metadata": {
                "name": "llm", "namespace": "n", "uid": "u", "generation": self.generation,
            },
            "spec": {"replicas": 2, "providers": [provider], **spec},
        }  # fmt: skip
        path = BY_NAME["MCPGateway"].path("n", "llm")
        self.store.put(self.cluster.put(path, body))
        await self.look()

    async def look(self) -> None:
        """Look once."""
        await self.reconciler.reconcile(KEY)

    def has(self, kind: Kind) -> bool:
        """There is such an object."""
        return kind.path("n", "llm") in self.cluster.objects

    def serves(self, kind: Kind, pods: int) -> None:
        """Let a watch tell that so many pods of a workload serve."""
        numbers = dict.fromkeys(("replicas", "readyReplicas", "updatedReplicas"), pods)
        now = self.cluster.objects[kind.path("n", "llm")]
        told = self.cluster.put(kind.path("n", "llm"), {**now, "status": numbers})
        self.store.seen(kind, msgspec.json.decode(json.dumps(told), type=Workload))


@pytest.fixture
def rig() -> Rig:
    return Rig()


async def test_a_deployment_serves_until_the_stateful_set_in_its_place_does(rig: Rig) -> None:
    await rig.apply()
    rig.serves(DEPLOYMENT, 2)
    assert not rig.has(STATEFUL_SET)
    await rig.apply(recording={"spool": {"storage": "persistent"}})
    assert rig.has(STATEFUL_SET)
    rig.serves(STATEFUL_SET, 1)
    await rig.look()
    assert rig.has(DEPLOYMENT)
    rig.serves(STATEFUL_SET, 2)
    await rig.look()
    assert not rig.has(DEPLOYMENT)
    assert rig.has(STATEFUL_SET)


async def test_a_route_outlives_a_moment_in_which_its_api_is_not_found(rig: Rig) -> None:
    route = {"parentRefs": [{"name": "edge"}]}
    rig.store.present(HTTP_ROUTE, True)
    await rig.apply(httpRoute=route)
    assert rig.has(HTTP_ROUTE)
    rig.store.present(HTTP_ROUTE, False)
    await rig.look()
    assert rig.has(HTTP_ROUTE)
    rig.store.present(HTTP_ROUTE, True)
    await rig.apply()
    assert not rig.has(HTTP_ROUTE)


async def test_a_look_that_only_read_while_the_lead_was_lost_tells_pods_nothing(rig: Rig) -> None:
    def lost() -> None:
        raise NotLeading("the lease is not held")

    jwt = {"issuer": "https://id", "audience": "llm", "jwksUri": "https://id/keys"}
    await rig.apply(auth={"jwt": jwt})  # without a Secret, so that the next look finds all well
    await rig.look()
    assert [target.epoch for target in rig.fleet.assigned] == [1, 1]
    rig.cluster.may_write = lost
    with pytest.raises(NotLeading):
        await rig.look()
    assert len(rig.fleet.assigned) == 2
