"""Writes one object, or takes it away, and says so; never what is somebody else's."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any, Final

from mcp_gateway_operator.cluster import Cluster, ClusterError, Invalid
from mcp_gateway_operator.cluster.item import Metadata, Partial, Workload
from mcp_gateway_operator.facts import Key
from mcp_gateway_operator.metrics import Metrics
from mcp_gateway_operator.reconcile import fields
from mcp_gateway_operator.reconcile.decide import Action, decide, identity
from mcp_gateway_operator.reconcile.look import WAIT_FOR_COLLECTOR, Look, Story
from mcp_gateway_operator.reconcile.store import Child, ChildId, Store
from mcp_gateway_operator.render.gateway import INSTANCE_LABEL, MANAGED_BY_LABEL, MANAGER
from mcp_gateway_operator.render.kind import BY_NAME, DEPLOYMENT, SERVICE, STATEFUL_SET, Kind

FIRST: Final = 1.0
"""Seconds between the first two repairs of one object; doubled with each."""
MOST: Final = 60.0
CALM: Final = 120.0
"""Seconds without a repair after which an object counts as at peace again."""
_FIELDS_NAMED: Final = 4


Tell = Callable[[Key, str, Story], None]
"""Takes what happened to the gateway of a key and a uid."""


class Writer:
    """Applies and deletes objects.

    Args:
        cluster: the API server.
        store: what is known of it.
        metrics: where repairs are counted.
        tell: takes what is worth an Event.
        clock: seconds.
    """

    def __init__(
        self,
        cluster: Cluster,
        store: Store,
        metrics: Metrics,
        tell: Tell,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._cluster = cluster
        self._store = store
        self._metrics = metrics
        self._tell = tell
        self._clock = clock
        self._repairs: dict[Key, dict[ChildId, tuple[int, float]]] = {}

    async def write(self, rendered: Mapping[str, Any], look: Look) -> None:
        """Make one object as it should be. What fails is noted in `look`, and the rest goes on.

        Raises:
            NotLeading: nothing may be written any more.
        """
        id_ = identity(rendered)
        child = self._store.children(look.key).get(id_)
        action = decide(rendered, child, look.uid)
        try:
            if action is Action.CREATE:
                await self._create(rendered, look)
            elif action is Action.CHANGE:
                await self._apply(rendered, child)
            elif action is Action.REPAIR:
                await self._repair(rendered, child, look)
            elif action is Action.WAIT:
                look.look_again(WAIT_FOR_COLLECTOR)
        except ClusterError as exc:
            look.failed(_spoken(id_), exc)

    async def remove(self, child: Child, look: Look) -> None:
        """Delete one object that is wanted no longer."""
        id_ = (child.kind.name, child.name)
        namespace = look.key.namespace
        try:
            if not await self._cluster.delete(child.kind, namespace, child.name, child.uid):
                return  # somebody else did, and a watch is about to tell
        except ClusterError as exc:
            look.failed(_spoken(id_), exc)
            return
        note = f"deleted {_spoken(id_)}: it is wanted no longer"
        self._tell(look.key, look.uid, Story("Normal", "Pruned", "Delete", note))

    def forget(self, key: Key) -> None:
        """Lose what is remembered of a gateway that is gone."""
        self._repairs.pop(key, None)

    async def _create(self, rendered: Mapping[str, Any], look: Look) -> None:
        """Apply an object that no watch has shown, unless it is there and is not ours."""
        id_, kind = identity(rendered), BY_NAME[rendered["kind"]]
        there = await self._cluster.get(kind, look.key.namespace, id_[1], Partial, partial=True)
        if there is not None:
            if there.metadata.deletion_timestamp:
                look.look_again(WAIT_FOR_COLLECTOR)
                return
            if not _ours(there.metadata, look):
                look.taken.append(_spoken(id_))
                look.look_again(MOST)
                return
        await self._apply(rendered, None)
        if id_[0] in (DEPLOYMENT.name, STATEFUL_SET.name):
            note = f"created {_spoken(id_)} and what belongs to it"
            self._tell(look.key, look.uid, Story("Normal", "Created", "Create", note))

    async def _apply(self, rendered: Mapping[str, Any], child: Child | None) -> Partial | Workload:
        """Apply, and take the answer for what is.

        Where an object was seen, exactly that one is meant, and not another of its name.
        """
        kind = BY_NAME[rendered["kind"]]
        if child is not None:
            metadata = {**rendered["metadata"], "uid": child.uid}
            rendered = {**rendered, "metadata": metadata}
        as_: type[Partial | Workload] = _form(kind)
        answer: Partial | Workload = await self._cluster.apply(rendered, as_)
        self._store.settle(kind, answer)
        return answer

    async def _repair(self, rendered: Mapping[str, Any], child: Child | None, look: Look) -> None:
        assert child is not None, "only what is there can be repaired"
        id_, now = identity(rendered), self._clock()
        delay = self._reluctance(look.key, id_, now)
        if delay > 0:
            look.look_again(delay)
            return
        before = child.found
        try:
            answer = await self._apply(rendered, child)
        except Invalid:
            if child.kind is not SERVICE:
                raise
            answer = await self._replace_ports(rendered, child)
        taken = fields.takers(answer.metadata.managed_fields, before) if before else {}
        if not taken:
            return
        self._metrics.repairs.inc()
        count, _ = self._repairs.setdefault(look.key, {}).get(id_, (0, now))
        self._repairs[look.key][id_] = (count + 1, now)
        note = f"{_spoken(id_)}: took back {_taken(taken)}"
        self._tell(look.key, look.uid, Story("Warning", "DriftRepaired", "Repair", note))

    async def _replace_ports(self, rendered: Mapping[str, Any], child: Child) -> Partial | Workload:
        """Take out a port that bears the name of ours, and apply again.

        Ports are known by their numbers: one that somebody renumbered is theirs and stays when
        ours is applied beside it, and two of one name no Service may have.
        """
        ports = {"spec": {"ports": rendered["spec"]["ports"]}}
        await self._cluster.patch(SERVICE, rendered["metadata"]["namespace"], child.name, ports)
        return await self._apply(rendered, child)

    def _reluctance(self, key: Key, id_: ChildId, now: float) -> float:
        """Seconds until an object may be repaired again: less often while somebody insists."""
        count, last = self._repairs.get(key, {}).get(id_, (0, 0.0))
        if not count:
            return 0.0
        if now - last > CALM:
            del self._repairs[key][id_]
            return 0.0
        pause: float = min(MOST, FIRST * 2.0 ** (count - 1))
        return last + pause - now


def _ours(metadata: Metadata, look: Look) -> bool:
    """It says that it was made for this gateway; or, where it has no owner, by this operator."""
    owners = [owner.uid for owner in metadata.owner_references]
    if owners:
        return look.uid in owners
    labels = metadata.labels
    return labels.get(MANAGED_BY_LABEL) == MANAGER and labels.get(INSTANCE_LABEL) == look.key.name


def _form(kind: Kind) -> type[Partial] | type[Workload]:
    return Workload if kind in (DEPLOYMENT, STATEFUL_SET) else Partial


def _spoken(id_: ChildId) -> str:
    return f"{id_[0]} {id_[1]}"


def _taken(taken: Mapping[str, list[str]]) -> str:
    parts = []
    for manager, paths in taken.items():
        more = len(paths) - _FIELDS_NAMED
        shown = ", ".join(paths[:_FIELDS_NAMED]) + (f" and {more} more" if more > 0 else "")
        parts.append(f"{shown} from {manager}")
    return "; ".join(parts)
