"""One look at one gateway: observe everything, decide purely, apply the difference, say how it is.

Level-triggered: a look does not ask why it happens, and one that is interrupted anywhere, by a
failure or by `kill -9`, is made good by the next. What is as it should be costs no request.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Final

import msgspec
from pydantic import ValidationError

from mcp_gateway.api import API_VERSION, KIND
from mcp_gateway_operator import conditions, render
from mcp_gateway_operator.cluster import Cluster, ClusterError, Recorder, Subject
from mcp_gateway_operator.conditions import Facts
from mcp_gateway_operator.facts import Fleet, Key, Pod, Target
from mcp_gateway_operator.metrics import Metrics
from mcp_gateway_operator.reconcile import status as status_of
from mcp_gateway_operator.reconcile.configuration import Configuration
from mcp_gateway_operator.reconcile.decide import identity, unwanted
from mcp_gateway_operator.reconcile.keyring import Keyring
from mcp_gateway_operator.reconcile.look import Look, Story
from mcp_gateway_operator.reconcile.observe import relieved, rollout_of
from mcp_gateway_operator.reconcile.store import Resource, Store
from mcp_gateway_operator.reconcile.upgrade import WORKLOADS, Upgrades
from mcp_gateway_operator.reconcile.writer import Writer
from mcp_gateway_operator.render.config_map import SUFFIX as CONFIG_SUFFIX
from mcp_gateway_operator.render.gateway import LONGEST_NAME, Gateway
from mcp_gateway_operator.render.kind import DEPLOYMENT
from mcp_gateway_operator.tuning import Change

log = logging.getLogger(__name__)

SETTLE: Final = 60.0
"""Seconds of a leadership in which what pods told the one before is still believed."""

_ANNOUNCED: Final = 1.0
"""Seconds until a workload is written whose turn was announced, should no watch tell."""


class Reconciler:
    """Makes the cluster as MCPGateways ask for it.

    Args:
        cluster: the API server.
        store: what is known of it.
        fleet: who talks to the pods.
        recorder: takes Events.
        metrics: where repairs are counted.
        image: of gateways that name none.
        namespace: where the operator runs.
        look: asks for a look at a gateway.
    """

    def __init__(
        self,
        cluster: Cluster,
        store: Store,
        fleet: Fleet,
        recorder: Recorder,
        metrics: Metrics,
        *,
        image: str,
        namespace: str,
        look: Callable[[Key], None],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.epoch = 0
        self._inherited: frozenset[str] = frozenset()
        self._began = float("-inf")
        self._cluster = cluster
        self._store = store
        self._fleet = fleet
        self._recorder = recorder
        self._image = image
        self._namespace = namespace
        self._clock = clock
        self._keyring = Keyring(cluster, store, namespace, clock)
        self._configuration = Configuration(cluster)
        self._writer = Writer(cluster, store, metrics, self._tell)
        self._upgrades = Upgrades(look)

    def begin(self, epoch: int, upgrading: Iterable[Key] = (), pods: Iterable[str] = ()) -> None:
        """Get ready to lead: what was remembered of a leadership before may be outdated.

        Args:
            epoch: number of this leadership.
            upgrading: gateways that a leader before has given their turn.
            pods: uids of the pods that there are: a leader before may have granted them something.
        """
        self.epoch = epoch
        self._inherited = frozenset(pods)
        self._began = self._clock()
        self._upgrades.begin(upgrading)
        self._keyring.begin()
        self._configuration.begin()

    async def reconcile(self, key: Key) -> float | None:
        """Look at one gateway and make it so.

        Returns:
            Seconds until it should be looked at again; None when a change will tell.

        Raises:
            ClusterError: something is to be tried again.
        """
        resource = self._store.resources.get(key)
        if resource is None or resource.deleting:
            self._forget(key)
            return None
        look = Look(key, resource.uid)
        content = resource.read()
        gateway, invalid = _read(content)
        if gateway is not None and not gateway.paused:
            await self._make(gateway, look)
            if look.document is None and look.failure is not None and not look.refused:
                raise look.failure  # nothing could be read: there is nothing to say
            self._assign(gateway, look)
        else:
            self._upgrades.forget(key)
            self._fleet.follow(key, *self._pods(key))
        if self._clock() - self._began < SETTLE and self._store.pods(key):
            look.look_again(SETTLE)
        facts = self._facts(gateway, invalid, look)
        await self._say(resource, content, gateway, facts)
        if look.failure is not None:
            raise look.failure
        return look.again

    def announce(self, key: Key, change: Change) -> None:
        """Tell people of a change of a ceiling, by an Event."""
        resource = self._store.resources.get(key)
        if resource is None:
            return
        reason = "CeilingLowered" if change.lowered else "CeilingRaised"
        self._tell(key, resource.uid, Story("Normal", reason, "Tuned", str(change)))

    def _forget(self, key: Key) -> None:
        """The API server's collector takes the objects; here, memory and channels go.

        Those of pods that still drain stay until they have ended: what such a pod has in flight
        counts against its account, which others may use too.
        """
        pods, born_here = self._pods(key)
        if all(pod.ended for pod in pods):
            self._fleet.forget(key)
        else:
            self._fleet.follow(key, pods, born_here)
        self._keyring.forget(key)
        self._configuration.forget(key)
        self._writer.forget(key)
        self._upgrades.forget(key)

    async def _make(self, gateway: Gateway, look: Look) -> None:
        """Apply what differs and take away what is wanted no longer."""
        children = self._store.children(gateway.key)
        try:
            await self._keyring.prepare()
            keys = await self._keyring.keys(gateway, children)
            config = await self._configuration.of(
                gateway, self._status(gateway.key), children, self._fleet.view(gateway.key)
            )
        except ClusterError as exc:
            look.failed("reading", exc)
            return
        look.missing, look.credentials = keys.missing, keys.credentials
        look.document, look.promoted = config.wanted, config.promoted
        objects = [*keys.rendered, *render.objects(gateway, self._context(config.written))]
        if not config.write:
            held = ("ConfigMap", gateway.name + CONFIG_SUFFIX)
            objects = [each for each in objects if identity(each) != held]
            keys.wanted.add(held)
        for each in objects:
            if each["kind"] in WORKLOADS:
                await self._write_workload(gateway, each, look)
            else:
                await self._writer.write(each, look)
        wanted = keys.wanted | {identity(each) for each in objects}
        for child in unwanted(children, wanted, gateway.uid, self._store.apis):
            if child.kind is DEPLOYMENT and not relieved(
                children, gateway.uid, gateway.spec.replicas
            ):
                continue
            await self._writer.remove(child, look)

    async def _write_workload(
        self, gateway: Gateway, rendered: Mapping[str, Any], look: Look
    ) -> None:
        """Write it, unless it is the operator's own new version that must wait for its turn."""
        key, id_ = look.key, identity(rendered)
        child = self._store.children(key).get(id_)
        turn = self._upgrades.turn(key, rendered, child, self._status(key))
        if turn == "free":
            if image := self._upgrades.image(key, rendered, child):
                context = replace(self._context(0), image=image)
                rendered = render.sealed(render.workload(gateway, context))
            await self._writer.write(rendered, look)
            children = self._store.children(key)
            self._upgrades.looked(key, rendered, children.get(id_), rollout_of(children, look.uid))
        elif turn == "announce":
            look.look_again(_ANNOUNCED)
        if self._upgrades.has_turn(key):
            look.upgrade = "turn"
        elif self._upgrades.waits(key):
            look.upgrade = "wait"

    def _context(self, generation: int) -> render.Context:
        return render.Context(
            image=self._image,
            operator_namespace=self._namespace,
            apis=frozenset(self._store.apis),
            generation=generation,
        )

    def _assign(self, gateway: Gateway, look: Look) -> None:
        if look.document is None or look.credentials is None:
            return
        self._cluster.may_write()  # the lead may have been lost while this look only read
        pods, born_here = self._pods(gateway.key)
        target = Target(
            wanted=look.document,
            promoted=look.promoted,
            epoch=self.epoch,
            rollout=gateway.spec.rollout,
            pods=pods,
            credentials=look.credentials,
            accounts=gateway.accounts(),
            born_here=born_here,
        )
        self._fleet.assign(gateway.key, target)

    def _pods(self, key: Key) -> tuple[tuple[Pod, ...], frozenset[str]]:
        """Return a gateway's pods, and the uids of those that were made in this leadership."""
        pods = self._store.pods(key)
        return pods, frozenset(pod.uid for pod in pods) - self._inherited

    def _facts(self, gateway: Gateway | None, invalid: str, look: Look) -> Facts:
        status = self._status(look.key)
        wanted = look.document.generation if look.document else status.get("configGeneration", 0)
        return Facts(
            desired=gateway.spec.replicas if gateway else 0,
            rollout=rollout_of(self._store.children(look.key), look.uid),
            pods=self._store.pods(look.key),
            generation=wanted,
            view=self._fleet.view(look.key),
            paused=gateway is not None and gateway.paused,
            invalid=invalid,
            taken=tuple(look.taken),
            refused=tuple(look.refused),
            missing=tuple(look.missing),
            upgrade=look.upgrade,
            mode=gateway.spec.tuning.mode if gateway else "Off",
            frozen=gateway is not None and gateway.frozen,
            unavailable=tuple(render.unavailable(gateway, self._context(0))) if gateway else (),
        )

    async def _say(
        self,
        resource: Resource,
        content: Mapping[str, Any],
        gateway: Gateway | None,
        facts: Facts,
    ) -> None:
        """Write the status where it differs, and tell what changed."""
        metadata = content["metadata"]
        key = Key(metadata["namespace"], metadata["name"])
        before = resource.read_status()
        verdicts = conditions.judge(facts)
        settling = self._clock() - self._began < SETTLE
        if settling:
            verdicts = status_of.settled(verdicts, before.get("conditions") or [])
        status = status_of.build(
            key, metadata.get("generation", 0), facts, verdicts, before,
            tls=gateway is not None and gateway.spec.server.tls is not None,
            now=datetime.fromtimestamp(self._clock(), UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            settling=settling,
        )  # fmt: skip
        if status == before:
            return
        current = self._store.resources.get(key)
        if current is None or not current.same(resource):
            return  # it changed while it was looked at, and will be looked at again
        written = await self._cluster.apply(
            status_of.resource(key, current.version, status), msgspec.Raw, sub="status"
        )
        self._store.put(msgspec.json.decode(written))
        told = status_of.stories(
            verdicts,
            before.get("conditions") or [],
            renumbered=before.get("configGeneration") != facts.generation,
        )
        for story in told:
            self._tell(key, resource.uid, story)

    def _tell(self, key: Key, uid: str, story: Story) -> None:
        subject = Subject(API_VERSION, KIND, key.namespace, key.name, uid)
        self._recorder.record(
            subject, story.type, story.reason, action=story.action, note=story.note
        )

    def _status(self, key: Key) -> dict[str, Any]:
        resource = self._store.resources.get(key)
        return resource.read_status() if resource else {}


def _read(content: Mapping[str, Any]) -> tuple[Gateway | None, str]:
    """Read a resource; or what is wrong with it, which its API server did not see."""
    try:
        gateway = Gateway.read(content)
    except ValidationError as exc:
        problems = [
            f"{'.'.join(str(part) for part in error['loc'])}: {error['msg']}"
            for error in exc.errors(include_url=False, include_input=False)
        ]
        return None, "; ".join(problems[:5])
    if len(gateway.name) > LONGEST_NAME or "." in gateway.name or not gateway.name[0].isalpha():
        return None, (
            f"metadata.name: a Service of this name must be possible: at most {LONGEST_NAME}"
            " lower-case letters, digits and '-', a letter first"
        )
    return gateway, ""
