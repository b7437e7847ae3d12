"""Events that tell a story and do not shout it: repeated ones are counted in the first.

`events.k8s.io/v1`. The same words about the same object within ten minutes are one Event with
a series, written at most once a minute; and one object gets twenty Events at once and one every
half minute after that, whatever happens to it.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Literal

import msgspec

from mcp_gateway_operator.cluster.client import Cluster
from mcp_gateway_operator.cluster.error import ClusterError, Refused
from mcp_gateway_operator.metrics import Metrics
from mcp_gateway_operator.render.gateway import MANAGER
from mcp_gateway_operator.render.kind import EVENT

log = logging.getLogger(__name__)

SAME: Final = 600.0
"""Seconds in which the same words count as the same Event."""
REWRITE: Final = 60.0
"""Seconds between two writes of one Event's count."""
BURST: Final = 20
REFILL: Final = 30.0
"""Seconds until an object that had many Events may have one more."""
_MOST: Final = 4096
_LONGEST_NOTE: Final = 1024


@dataclass(frozen=True, slots=True)
class Subject:
    """The object that an Event is about."""

    api_version: str
    kind: str
    namespace: str
    name: str
    uid: str


@dataclass(slots=True)
class _Series:
    name: str
    namespace: str
    count: int
    begun: float
    written: float


@dataclass(frozen=True, slots=True)
class _Write:
    series: _Series
    body: dict[str, Any] | None


class Recorder:
    """Takes Events at once and posts them in its own time. `run` it in a task.

    Args:
        cluster: the API server.
        metrics: where they are counted.
        identity: who reports.
        clock: seconds.
    """

    def __init__(
        self,
        cluster: Cluster,
        metrics: Metrics,
        identity: str,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._cluster = cluster
        self._metrics = metrics
        self._identity = identity[:128]
        self._clock = clock
        self._series: OrderedDict[tuple[str, str, str], _Series] = OrderedDict()
        self._allowance: OrderedDict[str, tuple[float, float]] = OrderedDict()
        self._queue: asyncio.Queue[_Write] = asyncio.Queue(_MOST)

    def record(
        self,
        subject: Subject,
        type_: Literal["Normal", "Warning"],
        reason: str,
        *,
        action: str,
        note: str,
    ) -> None:
        """Say what happened to an object. Never waits; what is too much is dropped and counted.

        Args:
            subject: the object.
            type_: `Warning` when a person may have to act.
            reason: why, in CamelCase.
            action: what was done, in CamelCase.
            note: the same for people; cut at 1,024 characters.
        """
        now, words = self._clock(), (subject.uid, reason, note)
        series = self._series.get(words)
        if series is not None and now - series.begun < SAME:
            self._again(series, now)
            return
        if not self._allowed(subject.uid, now):
            self._metrics.events.labels("dropped").inc()
            return
        name = f"{subject.name[:230]}.{secrets.token_hex(8)}"
        series = _Series(name, subject.namespace, 1, now, now)
        self._remember(self._series, words, series)
        body = {
            "apiVersion": EVENT.api_version,
            "kind": EVENT.name,
            "metadata": {"name": name, "namespace": subject.namespace},
            "eventTime": _now(),
            "reportingController": MANAGER,
            "reportingInstance": self._identity,
            "type": type_,
            "reason": reason,
            "action": action,
            "note": note if len(note) <= _LONGEST_NOTE else note[: _LONGEST_NOTE - 1] + "…",
            "regarding": {
                "apiVersion": subject.api_version,
                "kind": subject.kind,
                "namespace": subject.namespace,
                "name": subject.name,
                "uid": subject.uid,
            },
        }
        self._put(_Write(series, body))

    async def run(self) -> None:
        """Post for ever. An Event that cannot be posted is dropped: it is not worth a retry."""
        while True:
            write = await self._queue.get()
            try:
                await self._post(write)
                self._metrics.events.labels("posted" if write.body else "counted").inc()
            except ClusterError as exc:
                self._metrics.events.labels("dropped").inc()
                log.info("event not posted", extra={"fields": {"error": str(exc)}})

    async def drain(self) -> None:
        """Post what is waiting, for an orderly end."""
        while not self._queue.empty():
            try:
                await self._post(self._queue.get_nowait())
            except ClusterError:
                return

    def _again(self, series: _Series, now: float) -> None:
        series.count += 1
        if now - series.written >= REWRITE:
            series.written = now
            self._put(_Write(series, None))

    def _put(self, write: _Write) -> None:
        try:
            self._queue.put_nowait(write)
        except asyncio.QueueFull:
            self._metrics.events.labels("dropped").inc()

    async def _post(self, write: _Write) -> None:
        series = write.series
        if write.body is not None:
            await self._cluster.create(EVENT, series.namespace, write.body, msgspec.Raw)
            return
        body = {"series": {"count": series.count, "lastObservedTime": _now()}}
        try:
            await self._cluster.patch(EVENT, series.namespace, series.name, body)
        except Refused:
            series.begun = float("-inf")  # it was deleted: the next one begins anew

    def _allowed(self, uid: str, now: float) -> bool:
        tokens, since = self._allowance.get(uid, (float(BURST), now))
        tokens = min(float(BURST), tokens + (now - since) / REFILL)
        self._remember(self._allowance, uid, (max(0.0, tokens - 1.0), now))
        return tokens >= 1.0

    @staticmethod
    def _remember(table: OrderedDict[Any, Any], key: Any, value: Any) -> None:
        table[key] = value
        table.move_to_end(key)
        if len(table) > _MOST:
            table.popitem(last=False)


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
