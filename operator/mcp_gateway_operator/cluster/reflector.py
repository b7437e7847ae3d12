"""Keeps a sink told of all objects of one kind: list, watch, and again when history is lost."""

from __future__ import annotations

import asyncio
import logging
import random
from typing import Final, Generic, Protocol, TypeVar

import msgspec

from mcp_gateway_operator.cluster.backoff import backoff
from mcp_gateway_operator.cluster.client import Cluster
from mcp_gateway_operator.cluster.error import ClusterError, Gone, NotFound
from mcp_gateway_operator.cluster.item import Item
from mcp_gateway_operator.render.kind import Kind

log = logging.getLogger(__name__)

ABSENT: Final = 60.0
"""Seconds until an API that the cluster does not have is looked for again."""
SHORT: Final = 1.0
"""Seconds that a watch lasts at least, unless something is wrong."""
_RELIST_AFTER: Final = 5

T = TypeVar("T", bound=Item)
T_contra = TypeVar("T_contra", bound=Item, contravariant=True)


class Sink(Protocol[T_contra]):
    """Who wants to know."""

    def seen(self, kind: Kind, item: T_contra) -> None:
        """There is this object, or this is what has become of it."""

    def gone(self, kind: Kind, item: T_contra) -> None:
        """It is not there any more, or no longer has the labels."""

    def listed(self, kind: Kind, namespace: str | None, names: set[tuple[str, str]]) -> None:
        """These, by (namespace, name), are all there are; what else was known is gone."""

    def present(self, kind: Kind, there: bool) -> None:
        """The cluster has this kind's API, or has it no longer."""


class _Refusal(msgspec.Struct, frozen=True):
    code: int = 0
    reason: str = ""
    message: str = ""


class _Change(msgspec.Struct, Generic[T], frozen=True):
    type: str
    object: T


class _Failure(msgspec.Struct, frozen=True):
    object: _Refusal = _Refusal()


class Reflector(Generic[T]):
    """Watches one kind in one namespace or in all. Runs until it is cancelled.

    Args:
        cluster: the API server.
        kind: what is watched.
        as_: what of each object is wanted.
        sink: who wants it.
        namespace: where; None for everywhere.
        selector: labels the server filters by.
        partial: ask for the metadata only.
    """

    def __init__(
        self,
        cluster: Cluster,
        kind: Kind,
        as_: type[T],
        sink: Sink[T],
        *,
        namespace: str | None = None,
        selector: str = "",
        partial: bool = False,
    ) -> None:
        self.kind = kind
        self.synced = asyncio.Event()
        self._cluster = cluster
        self._as = as_
        self._sink = sink
        self._namespace = namespace
        self._selector = selector
        self._partial = partial
        self._changes: msgspec.json.Decoder[_Change[T]] = msgspec.json.Decoder(_Change[as_])  # type: ignore[valid-type]
        self._version = ""
        self._failures = 0

    async def run(self) -> None:
        """List and watch for ever. A server that is away is waited for."""
        loop = asyncio.get_running_loop()
        while True:
            started = loop.time()
            try:
                await self._turn()
            except NotFound:
                self._version = ""
                self._sink.present(self.kind, False)
                self.synced.set()
                await asyncio.sleep(ABSENT if self.kind.optional else backoff(4))
                continue
            except Gone:
                self._version = ""
            except ClusterError as exc:
                fields = {"kind": self.kind.name, "error": str(exc)}
                log.warning("watch broke", extra={"fields": fields})
            if loop.time() - started < SHORT:
                # Whatever ends watches as soon as they begin, we do not make it a busy loop.
                await self._pause()
            else:
                self._failures = 0

    async def _turn(self) -> None:
        """Watch once, from where the last watch ended; without a place, list first."""
        if not self._version:
            self._version = await self._list()
        await self._watch()

    async def _pause(self) -> None:
        self._failures += 1
        if self._failures % _RELIST_AFTER == 0:
            self._version = ""  # it may be what is wrong
        await asyncio.sleep(backoff(self._failures, first=0.2, most=15.0))

    async def _list(self) -> str:
        names: set[tuple[str, str]] = set()
        version = ""
        async for items, version in self._cluster.list(  # noqa: B007 - the last one counts
            self.kind, self._namespace, self._as, selector=self._selector, partial=self._partial
        ):
            for item in items:
                names.add((item.metadata.namespace, item.metadata.name))
                self._sink.seen(self.kind, item)
            await asyncio.sleep(0)  # let others in between two pages
        self._sink.listed(self.kind, self._namespace, names)
        self._sink.present(self.kind, True)
        self.synced.set()
        return version

    async def _watch(self) -> None:
        params = {
            "watch": "true",
            "allowWatchBookmarks": "true",
            "resourceVersion": self._version,
            # Spread, or all watches of all replicas end at one moment.
            "timeoutSeconds": str(random.randint(240, 480)),
        }
        if self._selector:
            params["labelSelector"] = self._selector
        lines = self._cluster.stream(self.kind, self._namespace, params, partial=self._partial)
        async for line in lines:
            self._version = self._taken(line) or self._version

    def _taken(self, line: bytes) -> str:
        """Pass one change on; the version it brought.

        Raises:
            Gone: history is lost.
        """
        try:
            change = self._changes.decode(line)
        except msgspec.DecodeError:
            change = None
        if change is None or change.type == "ERROR":
            refusal = _refusal(line)
            raise Gone(refusal.code, refusal.reason, refusal.message)
        if change.type == "DELETED":
            self._sink.gone(self.kind, change.object)
        elif change.type != "BOOKMARK":
            self._sink.seen(self.kind, change.object)
        return change.object.metadata.resource_version


def _refusal(line: bytes) -> _Refusal:
    try:
        return msgspec.json.decode(line, type=_Failure).object
    except msgspec.DecodeError:
        return _Refusal(reason="Garbled", message=line[:200].decode(errors="replace"))
