"""What the operator would do on a cluster if an MCPGateway were applied: by dry runs alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

import msgspec

from mcp_gateway_operator.cli import document
from mcp_gateway_operator.cli.connection import Object, every, one
from mcp_gateway_operator.cli.installation import Installation, find_installation
from mcp_gateway_operator.cli.render import text
from mcp_gateway_operator.cli.terminal import Complaint
from mcp_gateway_operator.cluster import Cluster, Forbidden, Invalid, NotFound
from mcp_gateway_operator.cluster.client import APPLY
from mcp_gateway_operator.reconcile.configuration import number_of
from mcp_gateway_operator.render import Context, Gateway, digest, objects, secrets
from mcp_gateway_operator.render import document as pod_document
from mcp_gateway_operator.render.config_map import SUFFIX as CONFIG_SUFFIX
from mcp_gateway_operator.render.gateway import (
    APPLIED,
    CONFIG_DIGEST,
    CONFIG_GENERATION,
    INSTANCE_LABEL,
    MANAGED_BY_LABEL,
    MANAGER,
)
from mcp_gateway_operator.render.kind import BY_NAME, CHILDREN, CONFIG_MAP, GATEWAY, SECRET, Kind

What = Literal["made", "changed", "deleted"]

# Written by the API server, or following from everything else.
_NOT_COMPARED: Final = frozenset(
    {"creationTimestamp", "generation", "managedFields", "resourceVersion", "uid"}
)
_DRY_RUN: Final = {"dryRun": "All", "fieldManager": MANAGER}


@dataclass(frozen=True, slots=True)
class Change:
    """One object that would not stay as it is.

    Attributes:
        object: `Kind/namespace/name`.
        what: what would happen to it.
        before: it as it is, as YAML; empty where it is not, or where its content is nobody's.
        after: it as it would be; empty where it would not.
        note: more, for people.
    """

    object: str
    what: What
    before: str = ""
    after: str = ""
    note: str = ""


class Forecast:
    """Works out the changes for one MCPGateway after another.

    Args:
        cluster: the cluster; only dry runs are sent to it.
        image: of gateways that name none; None for the operator's.
        operator_namespace: where the operator runs; None to look for it.
    """

    def __init__(self, cluster: Cluster, image: str | None, operator_namespace: str | None) -> None:
        self._cluster = cluster
        self._image = image
        self._operator_namespace = operator_namespace
        self._installation: Installation | None = None
        self._apis: frozenset[str] | None = None

    async def changes(self, resource: Object, namespace: str) -> list[Change]:
        """Return what would change, the MCPGateway itself first.

        Raises:
            Complaint: the API server would refuse the resource.
        """
        read = document.gateway(resource, namespace)
        live = await one(self._cluster, GATEWAY, read.key.namespace, read.name)
        wanted = await self._accepted(resource, read, live)
        gateway = document.gateway(wanted, namespace)
        found = [_compared(GATEWAY, gateway, live and _essence(live), _essence(wanted))]
        context = await self._context(gateway)
        for rendered in objects(gateway, context):
            found.append(await self._applied(gateway, rendered))
        found += await self._secrets(gateway)
        if live is not None:
            found += await self._pruned(gateway, context)
        return [change for change in found if change is not None]

    async def _accepted(self, resource: Object, read: Gateway, live: Object | None) -> Object:
        """Return the resource as the API server would keep it: checked, with its defaults."""
        namespace = read.key.namespace
        metadata = {**resource.get("metadata", {}), "namespace": namespace}
        path = GATEWAY.path(namespace, None if live is None else read.name)
        if live is not None:
            metadata["resourceVersion"] = live["metadata"]["resourceVersion"]
        body = {key: value for key, value in resource.items() if key != "status"}
        body["metadata"] = metadata
        try:
            answer = await self._cluster.request(
                "create" if live is None else "update", "POST" if live is None else "PUT", path,
                params=_DRY_RUN, body=msgspec.json.encode(body),
            )  # fmt: skip
        except Invalid as exc:
            raise Complaint(f"the API server refuses it: {exc}", status=2) from exc
        accepted: Object = msgspec.json.decode(answer)
        if live is None:
            accepted["metadata"].pop("uid", None)  # of the dry run alone
        return accepted

    async def _context(self, gateway: Gateway) -> Context:
        if self._installation is None:
            self._installation = await find_installation(self._cluster)
        if self._apis is None:
            self._apis = await _served(self._cluster)
        installed, default = self._installation, Context()
        return Context(
            image=self._image or installed.gateway_image or default.image,
            operator_namespace=self._operator_namespace
            or installed.namespace
            or default.operator_namespace,
            apis=self._apis,
            generation=await self._generation(gateway),
        )

    async def _generation(self, gateway: Gateway) -> int:
        """Return the number that the configuration would have: the next one if it changes."""
        name = gateway.name + CONFIG_SUFFIX
        live = await one(self._cluster, CONFIG_MAP, gateway.key.namespace, name)
        annotations = (live or {}).get("metadata", {}).get("annotations") or {}
        now = number_of(annotations.get(CONFIG_GENERATION, ""))
        same = annotations.get(CONFIG_DIGEST) == digest(pod_document(gateway))
        return now if same else now + 1

    async def _applied(self, gateway: Gateway, rendered: Object) -> Change | None:
        kind, name = BY_NAME[rendered["kind"]], rendered["metadata"]["name"]
        namespace = gateway.key.namespace
        live = await one(self._cluster, kind, namespace, name)
        answer = await self._cluster.request(
            "apply", "PATCH", kind.path(namespace, name), params={**_DRY_RUN, "force": "true"},
            body=msgspec.json.encode(rendered), content_type=APPLY,
        )  # fmt: skip
        after = _cleaned(msgspec.json.decode(answer))
        return _compared(kind, gateway, live and _cleaned(live), after)

    async def _secrets(self, gateway: Gateway) -> list[Change]:
        found = []
        for rendered in secrets(gateway):
            name = rendered["metadata"]["name"]
            if await one(self._cluster, SECRET, gateway.key.namespace, name) is None:
                found.append(Change(_title(SECRET, gateway, name), "made"))
        return found

    async def _pruned(self, gateway: Gateway, context: Context) -> list[Change]:
        """Return what was made for the gateway and is not asked for any more."""
        kept = {
            (each["kind"], each["metadata"]["name"])
            for each in (*objects(gateway, context), *secrets(gateway))
        }
        selector = f"{MANAGED_BY_LABEL}={MANAGER},{INSTANCE_LABEL}={gateway.name}"
        found = []
        for kind in CHILDREN:
            if kind.optional and kind.name not in context.apis:
                continue
            items = await every(self._cluster, kind, gateway.key.namespace, labelSelector=selector)
            for item in items:
                metadata = item["metadata"]
                owners = {owner["uid"] for owner in metadata.get("ownerReferences") or []}
                if gateway.uid in owners and (kind.name, metadata["name"]) not in kept:
                    found.append(Change(_title(kind, gateway, metadata["name"]), "deleted"))
        return found


async def _served(cluster: Cluster) -> frozenset[str]:
    """Return the names of the optional kinds that the cluster has."""
    found = set()
    for version in {kind.api_version for kind in CHILDREN if kind.optional}:
        try:
            answer = await cluster.request("get", "GET", f"/apis/{version}")
        except (NotFound, Forbidden):
            continue
        found |= {each["kind"] for each in msgspec.json.decode(answer)["resources"]}
    return frozenset(found)


def _compared(kind: Kind, gateway: Gateway, before: Object | None, after: Object) -> Change | None:
    if before == after:
        return None
    name = after["metadata"]["name"]
    old = "" if before is None else text(before)
    return Change(_title(kind, gateway, name), "changed" if old else "made", old, text(after))


def _title(kind: Kind, gateway: Gateway, name: str) -> str:
    return f"{kind.name}/{gateway.key.namespace}/{name}"


def _essence(resource: Mapping[str, Any]) -> Object:
    """Return what a person says in an MCPGateway."""
    kept = {part: resource[part] for part in ("apiVersion", "kind", "spec")}
    names = {part: resource["metadata"].get(part) for part in ("name", "namespace")}
    return {**kept, "metadata": names}


def _cleaned(thing: Object) -> Object:
    """Return an object without what the API server writes into it, and without our own digest."""
    metadata = {key: value for key, value in thing["metadata"].items() if key not in _NOT_COMPARED}
    annotations = {
        key: value for key, value in (metadata.get("annotations") or {}).items() if key != APPLIED
    }
    metadata["annotations"] = annotations
    cleaned = {key: value for key, value in thing.items() if key not in {"metadata", "status"}}
    return {"kind": cleaned.pop("kind"), "metadata": metadata, **cleaned}
