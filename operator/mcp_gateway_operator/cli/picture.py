"""What is to be seen of gateways in a cluster, gathered and laid out."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from mcp_gateway_operator.cli import limits
from mcp_gateway_operator.cli.connection import Object, every, one
from mcp_gateway_operator.cli.terminal import Complaint, printable, table
from mcp_gateway_operator.cluster import Cluster, Forbidden
from mcp_gateway_operator.facts import Key
from mcp_gateway_operator.render.gateway import INSTANCE_LABEL, MANAGED_BY_LABEL, MANAGER
from mcp_gateway_operator.render.kind import GATEWAY, LEASE, POD

_EVENTS: Final = 10
_UNITS: Final = ((86_400, "d"), (3_600, "h"), (60, "m"))


@dataclass(frozen=True, slots=True)
class Leader:
    """Who leads.

    Attributes:
        leader: its identity; empty for nobody.
        renewed: when it last said so, in its own time.
        epoch: number of this leadership.
    """

    leader: str
    renewed: str
    epoch: int


@dataclass(frozen=True, slots=True)
class Picture:
    """One gateway.

    Attributes:
        resource: the MCPGateway.
        pods: its pods.
        events: what happened to it, the oldest first; only where it was asked for.
    """

    resource: Object
    pods: Sequence[Object]
    events: Sequence[Object] = ()

    @property
    def metadata(self) -> Object:
        """Of the resource."""
        found: Object = self.resource["metadata"]
        return found

    @property
    def status(self) -> Object:
        """Of the resource; empty before the operator saw it."""
        return self.resource.get("status") or {}

    def condition(self, name: str) -> Object:
        """One condition; empty where it was not said."""
        for each in self.status.get("conditions") or []:
            if each["type"] == name:
                return dict(each)
        return {}

    @property
    def ready(self) -> bool:
        """Its pods serve, as the operator sees it."""
        return self.condition("Ready").get("status") == "True"

    @property
    def config(self) -> str:
        """Number of the configuration, and how many pods run it."""
        generation = self.status.get("configGeneration", 0)
        applied = self.status.get("configApplied", "")
        return f"{generation} ({applied})" if applied else str(generation or "")

    @property
    def providers(self) -> str:
        """How many of the providers that were asked did answer."""
        asked = [each for each in self.status.get("providers") or [] if "reachable" in each]
        answered = sum(1 for each in asked if each["reachable"])
        return f"{answered}/{len(asked)}" if asked else ""

    @property
    def message(self) -> str:
        """Why it is not ready, or what is wrong all the same."""
        for name, good in (("Ready", "True"), ("ConfigApplied", "True"), ("Degraded", "False")):
            condition = self.condition(name)
            if condition and condition["status"] != good:
                return str(condition.get("message") or condition["reason"])
        return ""

    def as_json(self) -> Object:
        """Return it for programs."""
        return {
            "namespace": self.metadata["namespace"],
            "name": self.metadata["name"],
            "ready": self.ready,
            "message": self.message,
            "status": self.status,
            "pods": [_pod_json(pod) for pod in self.pods],
        }


async def take(cluster: Cluster, namespace: str | None, names: Sequence[str]) -> list[Picture]:
    """Look at the gateways of a namespace, None for all, or at those of these names.

    Raises:
        Complaint: there is none of a name.
    """
    resources = await every(cluster, GATEWAY, namespace)
    if names:
        present = {each["metadata"]["name"] for each in resources}
        for name in names:
            if name not in present:
                where = f" in namespace {namespace}" if namespace else ""
                raise Complaint(f"there is no MCPGateway {name}{where}")
        resources = [each for each in resources if each["metadata"]["name"] in names]
    selector = f"{MANAGED_BY_LABEL}={MANAGER},{INSTANCE_LABEL}"
    pods: defaultdict[Key, list[Object]] = defaultdict(list)
    for pod in await every(cluster, POD, namespace, labelSelector=selector):
        labels = pod["metadata"]["labels"]
        pods[Key(pod["metadata"]["namespace"], labels[INSTANCE_LABEL])].append(pod)
    found = []
    for each in resources:
        key = Key(each["metadata"]["namespace"], each["metadata"]["name"])
        events = await _events(cluster, key) if names else []
        found.append(Picture(each, pods[key], events))
    return found


async def leadership(cluster: Cluster, namespace: str) -> Leader | None:
    """Look who leads; None where there is no Lease."""
    lease = await one(cluster, LEASE, namespace, MANAGER)
    if lease is None:
        return None
    spec = lease.get("spec") or {}
    return Leader(
        spec.get("holderIdentity") or "",
        spec.get("renewTime") or "",
        spec.get("leaseTransitions") or 0,
    )


def overview(found: Iterable[Picture], now: datetime) -> str:
    """Lay gateways out, one a line."""
    headings = ("NAMESPACE", "NAME", "READY", "PODS", "CONFIG", "PROVIDERS", "AGE", "MESSAGE")
    return table(headings, [_row(each, now) for each in found])


def details(picture: Picture, now: datetime) -> str:
    """Lay out all that is known of one gateway."""
    parts = [overview([picture], now)]
    status = picture.status
    if endpoint := status.get("endpoint"):
        parts.append(f"Endpoint: {printable(endpoint)}")
    if conditions := status.get("conditions"):
        said = [
            (
                each["type"], each["status"], each["reason"],
                age(each["lastTransitionTime"], now), each.get("message", ""),
            )
            for each in conditions
        ]  # fmt: skip
        parts.append(table(("CONDITION", "STATUS", "REASON", "SINCE", "MESSAGE"), said))
    if picture.pods:
        headings = ("POD", "READY", "STATUS", "RESTARTS", "IP", "NODE", "AGE")
        parts.append(table(headings, [_pod_row(pod, now) for pod in picture.pods]))
    if providers := status.get("providers"):
        parts += limits.tables(providers, lambda moment: age(moment, now))
    if picture.events:
        story = [
            (age(_when(each), now), each.get("type", ""), each.get("reason", ""),
             each.get("message", ""))
            for each in picture.events
        ]  # fmt: skip
        parts.append(table(("AGE", "EVENT", "REASON", "MESSAGE"), story))
    return "\n\n".join(parts)


def age(moment: str, now: datetime) -> str:
    """Say how long ago a moment in RFC 3339 was, as kubectl does; empty for none."""
    if not moment:
        return ""
    then = datetime.fromisoformat(moment)
    then = then if then.tzinfo else then.replace(tzinfo=UTC)
    seconds = max(0, int((now - then).total_seconds()))
    for length, unit in _UNITS:
        if seconds >= 2 * length:
            return f"{seconds // length}{unit}"
    return f"{seconds}s"


def _row(each: Picture, now: datetime) -> tuple[str, ...]:
    status = each.status
    return (
        each.metadata["namespace"],
        each.metadata["name"],
        each.condition("Ready").get("status", "Unknown"),
        f"{status.get('readyReplicas', 0)}/{status.get('replicas', 0)}",
        each.config,
        each.providers,
        age(each.metadata.get("creationTimestamp", ""), now),
        each.message,
    )


def _pod_row(pod: Object, now: datetime) -> tuple[str, ...]:
    seen = _pod_json(pod)
    created = pod["metadata"].get("creationTimestamp", "")
    return (
        seen["name"], "True" if seen["ready"] else "False", seen["state"], str(seen["restarts"]),
        seen["ip"], seen["node"], age(created, now),
    )  # fmt: skip


def _pod_json(pod: Object) -> Object:
    status: Any = pod.get("status") or {}
    conditions = {each["type"]: each["status"] for each in status.get("conditions") or []}
    containers = status.get("containerStatuses") or []
    return {
        "name": pod["metadata"]["name"],
        "ready": conditions.get("Ready") == "True",
        "state": _state(pod, status, containers),
        "restarts": sum(each.get("restartCount", 0) for each in containers),
        "ip": status.get("podIP", ""),
        "node": (pod.get("spec") or {}).get("nodeName", ""),
    }


def _state(pod: Object, status: Object, containers: Sequence[Object]) -> str:
    if pod["metadata"].get("deletionTimestamp"):
        return "Terminating"
    for each in containers:
        state = each.get("state") or {}
        for word in ("waiting", "terminated"):
            if reason := (state.get(word) or {}).get("reason"):
                return str(reason)
    return str(status.get("phase", "Unknown"))


async def _events(cluster: Cluster, key: Key) -> list[Object]:
    """Return the last Events about a gateway, none where one may not look."""
    params = {"fieldSelector": f"involvedObject.kind=MCPGateway,involvedObject.name={key.name}"}
    path = f"/api/v1/namespaces/{key.namespace}/events"
    try:
        answer = await cluster.request("list", "GET", path, params=params)
    except Forbidden:
        return []
    found: list[Object] = msgspec.json.decode(answer, type=dict[str, Any])["items"] or []
    return sorted(found, key=_when)[-_EVENTS:]


def _when(event: Object) -> str:
    series = event.get("series") or {}
    moments = (
        series.get("lastObservedTime"), event.get("lastTimestamp"), event.get("eventTime"),
        event["metadata"].get("creationTimestamp"),
    )  # fmt: skip
    return next((moment for moment in moments if moment), "")
