"""The operator put together: watches fill the store, the store feeds the queue, a leader works."""

from __future__ import annotations

import asyncio
import gc
import logging
import random
import signal
import socket
import uuid
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from typing import Any, Final

from mcp_gateway_operator.cluster import (
    Access,
    Cluster,
    ClusterError,
    Leadership,
    NotFound,
    Recorder,
    Reflector,
)
from mcp_gateway_operator.cluster.backoff import backoff
from mcp_gateway_operator.cluster.item import GatewayItem, Partial, PodItem, Workload
from mcp_gateway_operator.facts import Ceiling, Fleet, Key, Term
from mcp_gateway_operator.handlers import defined, watch
from mcp_gateway_operator.metrics import Metrics
from mcp_gateway_operator.probes import Probes
from mcp_gateway_operator.reconcile import KeyQueue, Loop, Reconciler, Store
from mcp_gateway_operator.reconcile.limits import known_ceilings
from mcp_gateway_operator.reconcile.upgrade import has_turn
from mcp_gateway_operator.render.gateway import MANAGED_BY_LABEL, MANAGER
from mcp_gateway_operator.render.kind import (
    CHILDREN,
    DEPLOYMENT,
    GATEWAY,
    POD,
    SECRET,
    STATEFUL_SET,
)
from mcp_gateway_operator.tasks import Tasks

log = logging.getLogger(__name__)

SELECTOR: Final = f"{MANAGED_BY_LABEL}={MANAGER}"
_LAST_EVENTS: Final = 3.0
"""Seconds for Events at the end: the Lease is to be handed over before the pod is killed."""


@dataclass(frozen=True, slots=True)
class Settings:
    """How the operator runs.

    Attributes:
        namespaces: where it works; empty for the whole cluster.
        namespace: where it is itself: its Lease, its authority.
        image: container image of gateways that name none.
        host: address of the port for probes and metrics.
        port: that port; 0 lets the system choose.
        workers: looks that may overlap.
        resync: seconds between two looks at everything.
        rate: requests a second to the API server.
        burst: requests at once after a pause.
    """

    namespaces: tuple[str, ...]
    namespace: str
    image: str
    host: str = "0.0.0.0"  # noqa: S104 - the kubelet probes from outside the pod
    port: int = 8080
    workers: int = 8
    resync: float = 600.0
    rate: float = 200.0
    burst: int = 400


class Operator:
    """One replica of the operator.

    Args:
        settings: how it runs.
        access: the way to the API server.
        fleet: who talks to the pods.
        metrics: its figures.
    """

    def __init__(self, settings: Settings, access: Access, fleet: Fleet, metrics: Metrics) -> None:
        self._settings = settings
        self._access = access
        self._fleet = fleet
        self._metrics = metrics
        self._tasks = Tasks()
        self._stop = asyncio.Event()
        self._listed = asyncio.Event()
        self._kopf_stop = asyncio.Event()
        self._kopf: asyncio.Task[None] | None = None
        self._synced = False
        identity = f"{socket.gethostname()}_{uuid.uuid4()}"
        self._cluster = Cluster(access, metrics, rate=settings.rate, burst=settings.burst)
        self._queue = KeyQueue(metrics.queue_depth.set)
        self._store = Store(self._queue.add)
        metrics.gateways.set_function(lambda: len(self._store.resources))
        self._recorder = Recorder(self._cluster, metrics, identity)
        self._reconciler = Reconciler(
            self._cluster, self._store, fleet, self._recorder, metrics,
            image=settings.image, namespace=settings.namespace, look=self._queue.add,
        )  # fmt: skip
        self._leadership = Leadership(
            self._cluster, settings.namespace, identity, begin=self._begin, end=self._end
        )
        self._cluster.may_write = self._leadership.check

    async def run(self) -> None:
        """Run until a signal.

        Raises:
            Exception: kopf ended by itself; the process is to be started anew.
        """
        self._listen_to_signals()
        async with AsyncExitStack() as stack:
            # Last of all: at its end kopf waits for, and then cancels, whatever was started
            # after it.
            stack.push_async_callback(self._end_kopf)
            await stack.enter_async_context(self._cluster)
            probes = await stack.enter_async_context(
                Probes(
                    self._metrics,
                    dead=lambda: self._tasks.dead,
                    ready=lambda: self._synced,
                    host=self._settings.host,
                    port=self._settings.port,
                )
            )
            stack.push_async_callback(self._shut_down)
            log.info("listening", extra={"fields": {"port": probes.port}})
            if await self._reached():
                await self._work()

    async def _work(self) -> None:
        reflectors = list(self._reflectors())
        for number, reflector in enumerate(reflectors):
            self._tasks.start(f"watch {number} {reflector.kind.name}", reflector.run())
        self._tasks.start("events", self._recorder.run())
        looks = Loop(self._queue, self._reconciler, self._metrics, lambda: self._leadership.leading)
        for number in range(self._settings.workers):
            self._tasks.start(f"worker {number}", looks.run())
        self._tasks.start("lead", self._lead(reflectors))
        self._tasks.start("resync", self._resync())
        self._tasks.start("vanished", self._follow_lists())
        await self._watch()

    async def _watch(self) -> None:
        """Have kopf watch once there is something to watch, until a signal."""
        loop = asyncio.get_running_loop()
        there = loop.create_task(defined(self._cluster), name="definition")
        stop = loop.create_task(self._stop.wait())
        await asyncio.wait([there, stop], return_when=asyncio.FIRST_COMPLETED)
        if not there.done():
            there.cancel()
            return
        await there
        ready = asyncio.Event()
        kopf = watch(
            self._store, self._access, self._settings.namespaces,
            listed=self._listed.set, ready=ready, stop=self._kopf_stop,
        )  # fmt: skip
        self._kopf = loop.create_task(kopf, name="kopf")
        begun = loop.create_task(ready.wait())
        await asyncio.wait([begun, self._kopf], return_when=asyncio.FIRST_COMPLETED)
        self._listen_to_signals()  # which kopf has taken
        await asyncio.wait([stop, self._kopf], return_when=asyncio.FIRST_COMPLETED)
        for wait in (begun, stop):
            wait.cancel()

    async def _end_kopf(self) -> None:
        """End kopf; or find that it has ended by itself, which it tells by an exception."""
        self._kopf_stop.set()
        if self._kopf is not None:
            await self._kopf

    async def _lead(self, reflectors: Sequence[Reflector[Any]]) -> None:
        """Take part in the election once the cluster was seen: a leader must know what is."""
        for reflector in reflectors:
            await reflector.synced.wait()
        self._synced = True
        log.info("synced")
        # What was seen stays: the collector need not go through it at every turn.
        gc.collect()
        gc.freeze()
        await self._leadership.run()

    async def _begin(self, epoch: int) -> None:
        self._metrics.leading.set(1)
        self._metrics.epoch.set(epoch)
        upgrading, known = await self._left_behind()
        self._reconciler.begin(epoch, upgrading, await self._pods())
        term = Term(
            epoch, known, leads=lambda: self._leadership.leading, announce=self._reconciler.announce
        )
        self._fleet.start(self._queue.add, term)
        self._look_at_everything()

    async def _left_behind(self) -> tuple[list[Key], dict[Ceiling, int]]:
        """Ask whose turn of an upgrade it is, and which ceilings the leader before has found.

        kopf may not have told of everything yet.
        """
        upgrading: list[Key] = []
        ceilings: dict[Ceiling, int] = {}
        try:
            for scope in self._scopes():
                async for items, _ in self._cluster.list(GATEWAY, scope, GatewayItem):
                    for item in items:
                        key = Key(item.metadata.namespace, item.metadata.name)
                        if any(has_turn(each.type, each.reason) for each in item.status.conditions):
                            upgrading.append(key)
                        ceilings |= known_ceilings(key, item.status.providers)
        except NotFound:
            log.info("no gateways yet: their definition is missing")
        return upgrading, ceilings

    async def _pods(self) -> list[str]:
        """Ask which pods there are: what a watch tells of later may be older than it."""
        found = []
        for scope in self._scopes():
            pods = self._cluster.list(POD, scope, Partial, selector=SELECTOR, partial=True)
            async for items, _ in pods:
                found += [item.metadata.uid for item in items]
        return found

    async def _end(self) -> None:
        self._metrics.leading.set(0)
        await self._fleet.aclose()

    async def _resync(self) -> None:
        """Look at everything now and then, whatever no watch has told."""
        while True:
            await asyncio.sleep(self._settings.resync * random.uniform(0.9, 1.1))
            try:
                await self._drop_vanished()
            except ClusterError as exc:
                log.warning("resync failed", extra={"fields": {"error": str(exc)}})
            self._look_at_everything()

    async def _follow_lists(self) -> None:
        """Find what is gone whenever kopf had to list anew.

        A gateway that was deleted in between would have its objects made again each time that
        the cluster's collector takes them.
        """
        failures = 0
        while True:
            await self._listed.wait()
            self._listed.clear()
            try:
                await self._drop_vanished()
                failures = 0
            except ClusterError as exc:
                failures += 1
                log.warning("gateways not listed", extra={"fields": {"error": str(exc)}})
                self._listed.set()
                await asyncio.sleep(backoff(failures))

    async def _drop_vanished(self) -> None:
        """Find resources that were deleted while no watch was open: kopf does not tell of them."""
        known = {key: resource.uid for key, resource in self._store.resources.items()}
        for scope in self._scopes():
            there: set[Key] = set()
            async for items, _ in self._cluster.list(GATEWAY, scope, Partial, partial=True):
                there |= {Key(item.metadata.namespace, item.metadata.name) for item in items}
            within = {key for key in known if scope is None or key.namespace == scope}
            for key in within - there:
                # By its uid: another of its name may have come while the list was read.
                self._store.drop(key, known[key])

    def _look_at_everything(self) -> None:
        for key in self._store.resources:
            self._queue.add(key)

    def _reflectors(self) -> Iterator[Reflector[Any]]:
        for scope in self._scopes():
            for kind in CHILDREN:
                if kind is SECRET:  # those that people make too; never their content
                    yield Reflector(
                        self._cluster, kind, Partial, self._store, namespace=scope, partial=True
                    )
                elif kind in (DEPLOYMENT, STATEFUL_SET):
                    yield Reflector(
                        self._cluster, kind, Workload, self._store,
                        namespace=scope, selector=SELECTOR,
                    )  # fmt: skip
                else:
                    yield Reflector(
                        self._cluster, kind, Partial, self._store,
                        namespace=scope, selector=SELECTOR, partial=True,
                    )  # fmt: skip
            yield Reflector(
                self._cluster, POD, PodItem, self._store, namespace=scope, selector=SELECTOR
            )

    def _scopes(self) -> Sequence[str | None]:
        return self._settings.namespaces or (None,)

    async def _reached(self) -> bool:
        """Wait for the API server; false when a signal came first."""
        failures = 0
        while not self._stop.is_set():
            try:
                await self._cluster.request("get", "GET", "/version", urgent=True, within=5.0)
                return True
            except ClusterError as exc:
                failures += 1
                log.warning("API server not reached", extra={"fields": {"error": str(exc)}})
            try:
                async with asyncio.timeout(backoff(failures, most=10.0)):
                    await self._stop.wait()
            except TimeoutError:
                continue
        return False

    async def _shut_down(self) -> None:
        """End the work, then hand the Lease over, so that nobody starts before we have ended."""
        await self._tasks.aclose()
        with suppress(TimeoutError):
            async with asyncio.timeout(_LAST_EVENTS):
                await self._recorder.drain()
        await self._leadership.release()
        log.info("ended")

    def _listen_to_signals(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop.set)
