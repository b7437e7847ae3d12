"""Which replica leads: a Lease, renewed in time, and a number for each leadership.

A lease cannot promise that there is one writer: a replica that was stopped for a minute does
not know it until it looks at a clock. So `check` looks right before each write, and what goes
to the pods carries the `epoch`, which they compare.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from mcp_gateway_operator.cluster.client import Cluster
from mcp_gateway_operator.cluster.error import ClusterError, Conflict, NotFound, NotLeading
from mcp_gateway_operator.cluster.item import Metadata
from mcp_gateway_operator.render.gateway import MANAGER
from mcp_gateway_operator.render.kind import LEASE

log = logging.getLogger(__name__)

DURATION: Final = 10.0
"""Seconds without a renewal after which another replica takes over."""
RENEWAL: Final = 2.5
"""Seconds between two renewals, and between two looks at another's lease."""
_TIMEOUT: Final = 5.0
_COUNTED_FROM: Final = 1_767_225_600.0
"""The Unix time, of 2026-01-01, that the epochs of a Lease without a past begin at."""


class _Spec(msgspec.Struct, rename="camel"):
    holder_identity: str = ""
    renew_time: str = ""
    lease_transitions: int = 0


class _Lease(msgspec.Struct):
    metadata: Metadata
    spec: _Spec = msgspec.field(default_factory=_Spec)


class Leadership:
    """One replica's part in the election. `run` it in a task.

    Args:
        cluster: the API server.
        namespace: where the Lease is.
        identity: who we are; no two processes share one.
        begin: called with the epoch when this replica begins to lead, again where it fails.
        end: called when it no longer does.
        clock: seconds that also pass while the process is stopped or the machine sleeps.
        calendar: Unix time.
    """

    def __init__(
        self,
        cluster: Cluster,
        namespace: str,
        identity: str,
        *,
        begin: Callable[[int], Awaitable[None]],
        end: Callable[[], Awaitable[None]],
        clock: Callable[[], float] | None = None,
        calendar: Callable[[], float] = time.time,
    ) -> None:
        self.identity = identity
        self.epoch = 0
        self._cluster = cluster
        self._namespace = namespace
        self._begin = begin
        self._end = end
        self._clock = clock or _boot_time
        self._calendar = calendar
        self._leading = False
        self._begun = False
        self._until = float("-inf")
        self._seen: tuple[str, str] = ("", "")
        self._seen_at = self._clock()

    @property
    def leading(self) -> bool:
        """This replica leads and has begun to, and the lease lasts by its own clock."""
        return self._begun and self._holds

    @property
    def _holds(self) -> bool:
        return self._leading and self._clock() < self._until

    def check(self) -> None:
        """Let a write leave.

        Raises:
            NotLeading: another replica may lead by now.
        """
        if not self.leading:
            raise NotLeading("the lease is not held")

    async def run(self) -> None:
        """Take part for ever."""
        while True:
            started = self._clock()
            try:
                await self._turn(started)
            except ClusterError as exc:
                log.warning("lease not reached", extra={"fields": {"error": str(exc)}})
            if self._leading and not self._holds:
                await self._step_down("the lease ran out")
            await asyncio.sleep(max(0.1, RENEWAL - (self._clock() - started)))

    async def release(self) -> None:
        """Hand the lease over, so that another replica need not wait for its end."""
        if not self._holds:
            return
        await self._step_down("released")
        try:
            lease = await self._read()
            if lease is not None and lease.spec.holder_identity == self.identity:
                await self._write(lease, {"holderIdentity": "", "leaseDurationSeconds": 1})
        except ClusterError as exc:
            log.warning("lease not released", extra={"fields": {"error": str(exc)}})

    async def _turn(self, started: float) -> None:
        lease = await self._read()
        try:
            if lease is None:
                epoch = self._next_epoch(0)
                await self._create(epoch)
                await self._step_up(epoch, started)
            elif lease.spec.holder_identity == self.identity and self._leading:
                await self._write(lease, {"renewTime": _now()})
                # One that ran out meanwhile is over, though nobody else took it: what was to be
                # looked at was left to whoever begins, and looks at everything.
                if self._holds:
                    self._until = started + DURATION
                    await self._start()
            elif self._expired(lease.spec, started):
                epoch = self._next_epoch(lease.spec.lease_transitions)
                await self._write(lease, self._taking(epoch))
                await self._step_up(epoch, started)
            elif self._leading:
                await self._step_down(f"{lease.spec.holder_identity} leads")
        except Conflict:
            # Someone else wrote first: the next turn sees what.
            return

    def _expired(self, spec: _Spec, now: float) -> bool:
        """Nobody else holds it, or its holder was silent for its duration by our own clock.

        The times in the lease are another machine's, and are compared with nothing.
        """
        state = (spec.holder_identity, spec.renew_time)
        if state != self._seen:
            self._seen, self._seen_at = state, now
        return spec.holder_identity in ("", self.identity) or now - self._seen_at >= DURATION

    def _next_epoch(self, transitions: int) -> int:
        """A number above those of all leaderships before.

        Pods remember the highest, and a Lease that is made anew, with a release for instance,
        counts from none. So the first number of a new one is the time: in seconds, because there
        are never more leaderships, and not since 1970, because the API has 32 bits for it.
        """
        counted = transitions or int(self._calendar() - _COUNTED_FROM)
        return max(counted, self.epoch, 0) + 1

    def _taking(self, epoch: int) -> dict[str, Any]:
        now = _now()
        return {
            "holderIdentity": self.identity,
            "leaseDurationSeconds": int(DURATION),
            "acquireTime": now,
            "renewTime": now,
            "leaseTransitions": epoch,
        }

    async def _step_up(self, epoch: int, started: float) -> None:
        if self._leading:
            await self._step_down("the lease was lost in between")
        self._until = started + DURATION
        self._leading, self.epoch = True, epoch
        await self._start()

    async def _start(self) -> None:
        """Begin the work, if that has not been done.

        Raises:
            ClusterError: it could not; the next renewal tries again.
        """
        if self._begun:
            return
        await self._begin(self.epoch)
        self._begun = True
        log.info("leading", extra={"fields": {"epoch": self.epoch, "identity": self.identity}})

    async def _step_down(self, why: str) -> None:
        self._leading = self._begun = False
        log.info("no longer leading", extra={"fields": {"epoch": self.epoch, "why": why}})
        await self._end()

    async def _read(self) -> _Lease | None:
        try:
            answer = await self._cluster.request(
                "get", "GET", LEASE.path(self._namespace, MANAGER), urgent=True, within=_TIMEOUT
            )
        except NotFound:
            return None
        return msgspec.json.decode(answer, type=_Lease)

    async def _create(self, epoch: int) -> None:
        body = {
            "apiVersion": LEASE.api_version,
            "kind": LEASE.name,
            "metadata": {"name": MANAGER, "namespace": self._namespace},
            "spec": self._taking(epoch),
        }
        await self._cluster.request(
            "create", "POST", LEASE.path(self._namespace), body=msgspec.json.encode(body),
            params={"fieldManager": MANAGER}, urgent=True, within=_TIMEOUT,
        )  # fmt: skip

    async def _write(self, lease: _Lease, changes: dict[str, Any]) -> None:
        """Change the Lease as it was read; the API server refuses where it changed since."""
        body = {
            "metadata": {"resourceVersion": lease.metadata.resource_version},
            "spec": changes,
        }
        await self._cluster.request(
            "patch", "PATCH", LEASE.path(self._namespace, MANAGER),
            body=msgspec.json.encode(body), content_type="application/merge-patch+json",
            params={"fieldManager": MANAGER}, urgent=True, within=_TIMEOUT,
        )  # fmt: skip


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _boot_time() -> float:
    """Seconds since the machine started, its sleep too; elsewhere than on Linux without it."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))
