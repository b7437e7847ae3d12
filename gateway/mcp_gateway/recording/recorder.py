"""The recording as the rest of the gateway sees it: put a record, and go on.

`put` appends to a list on the event loop; nothing it does can wait or fail. Everything else
happens in the writer's thread and, where records are shipped, in the shipper's.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from mcp_gateway.errors import Overloaded
from mcp_gateway.recording.destination import Credential
from mcp_gateway.recording.encode import RecordEncoder
from mcp_gateway.recording.record import Record
from mcp_gateway.recording.shipper import Shipper
from mcp_gateway.recording.spool import SpoolSettings
from mcp_gateway.recording.stats import DropReason, RecorderStats, ShipperStats
from mcp_gateway.recording.writer import Batch, SpoolWriter

_Waiting = tuple[str, asyncio.Future[bool]]
"""Who waits for a commit: a record's id, and what to tell whether it is stored."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecorderSettings:
    """How records are collected.

    Attributes:
        commit_interval: seconds within which a record is on the disk.
        batch: records after which a batch is written without waiting for the interval.
        queue: records that may wait in memory for their commit.
        queue_bytes: bytes of content that may wait there.
        sync_timeout: seconds `put_durably` waits for a commit before it refuses.
        spool: bounds of the spool.
    """

    commit_interval: float
    batch: int
    queue: int
    spool: SpoolSettings
    queue_bytes: int = 64 << 20
    sync_timeout: float = 5.0


class Recorder:
    """Takes records on the event loop that it was started on.

    Args:
        settings: how they are collected and how long they are kept.
        spool_path: the spool's file; its folder is made where it is missing.
        encoder: makes rows of records.
        shipper: where they go from the spool; None keeps them there.
    """

    def __init__(
        self,
        settings: RecorderSettings,
        spool_path: Path,
        *,
        encoder: RecordEncoder | None = None,
        shipper: Shipper | None = None,
    ) -> None:
        self._settings = settings
        self._path = spool_path
        self._shipper = shipper
        self._writer = SpoolWriter(spool_path, settings.spool, encoder or RecordEncoder())
        self._counts = self._writer.counts
        self._limit = settings.queue
        self._size_limit = settings.queue_bytes
        self._batch = settings.batch
        self._pending: list[Record] = []
        self._pending_size = 0
        self._waiting: list[_Waiting] = []
        self._since = 0.0
        self._armed = False
        self._accepted = 0
        self._accepted_size = 0
        self._refused = 0
        self._refused_at = 0.0
        self._open = False
        self._loop: asyncio.AbstractEventLoop | None = None

    async def start(self) -> None:
        """Open the spool and start to take records.

        Raises:
            ConfigError: the spool cannot be used.
        """
        self._loop = asyncio.get_running_loop()
        await asyncio.wrap_future(self._writer.start())
        self._open = True
        if self._shipper is not None:
            counts = self._counts
            self._shipper.start(
                self._path, self._writer, watermark=counts.watermark, newest=lambda: counts.last
            )

    def put(self, record: Record) -> bool:
        """Take a record; it is on the disk within the commit interval.

        Never waits, never raises. The record is the recorder's from here on.

        Returns:
            False where it was dropped, and counted, because too much waits already.
        """
        if self._accepted - self._counts.finished >= self._limit or not self._open:
            return self._refuse()
        if record.request is not None or record.response is not None or record.events is not None:
            size = record.content_size()
            if self._accepted_size + size - self._counts.finished_size > self._size_limit:
                return self._refuse()
            self._accepted_size += size
            self._pending_size += size
        self._accepted += 1
        pending = self._pending
        pending.append(record)
        if not self._armed:
            self._arm()
        elif len(pending) >= self._batch:
            self._flush()
        return True

    async def put_durably(self, record: Record) -> None:
        """Take a record and return when it is on the disk.

        Records that are put while a commit runs share the next one.

        Raises:
            Overloaded: it could not be stored in time; what it records must not be answered.
        """
        assert self._loop is not None, "a recorder is started before it takes records"
        stored: asyncio.Future[bool] = self._loop.create_future()
        if not self._waiting:
            self._loop.call_soon(self._flush)
        # Before the record, which may be the one that fills a batch and sends it off.
        waiting = record.id, stored
        self._waiting.append(waiting)
        if not self.put(record):
            self._waiting.remove(waiting)
            raise Overloaded("the interaction cannot be recorded: too many records wait")
        late = self._loop.call_later(self._settings.sync_timeout, _expire, stored)
        try:
            if not await stored:
                raise Overloaded("the interaction cannot be recorded: see the gateway's status")
        finally:
            late.cancel()

    def _refuse(self) -> bool:
        self._refused += 1
        self._refused_at = time.monotonic()
        return False

    def _arm(self) -> None:
        assert self._loop is not None, "a recorder is started before it takes records"
        self._armed = True
        self._since = time.monotonic()
        # The promise is about the commit's end, so the time the last one took comes off.
        interval = self._settings.commit_interval
        wait = max(interval - 2 * self._counts.commit_time, interval / 5)
        self._loop.call_later(wait, self._interval_over)

    def _interval_over(self) -> None:
        self._armed = False
        self._flush()

    def _flush(self, *, even_empty: bool = False) -> None:
        """Hand what is pending to the writer."""
        if not self._pending and not even_empty:
            return
        settled = None
        if self._waiting:
            loop, waiting = self._loop, self._waiting
            self._waiting = []

            def settled(lost: Collection[str]) -> None:
                assert loop is not None, "started"
                loop.call_soon_threadsafe(_settle, waiting, lost)

        self._writer.write(Batch(self._pending, self._pending_size, self._since, settled))
        self._pending = []
        self._pending_size = 0
        self._since = time.monotonic()

    async def aclose(self, grace: float = 5.0) -> None:
        """Write what is pending, ship what can be shipped within `grace` seconds, and end.

        Idempotent. Records put from here on are dropped and counted.
        """
        if not self._open:
            return
        self._open = False
        until = time.monotonic() + grace
        await self._written(until)
        if self._shipper is not None:
            await asyncio.to_thread(self._shipper.drain, until)
        self._writer.stop()
        await asyncio.to_thread(self._writer.join, max(until - time.monotonic(), 1.0))

    async def _written(self, until: float) -> None:
        """Wait until everything that was put is committed, or until it is too late."""
        assert self._loop is not None, "open, so started"
        written: asyncio.Future[bool] = self._loop.create_future()
        self._waiting.append(("", written))
        late = self._loop.call_at(self._loop.time() + until - time.monotonic(), _expire, written)
        self._flush(even_empty=True)
        await written
        late.cancel()

    def credential_changed(self, credential: Credential) -> None:
        """Ship with another credential from now on."""
        if self._shipper is not None:
            self._shipper.credential_changed(credential)

    def stats(self) -> RecorderStats:
        """The state now; cheap."""
        counts = self._counts
        dropped: dict[str, int] = {str(reason): n for reason, n in counts.dropped.items()}
        dropped[DropReason.QUEUE_FULL] += self._refused
        shipper = self._shipper.stats() if self._shipper is not None else None
        return RecorderStats(
            recorded=counts.recorded,
            queued=self._accepted - counts.finished,
            dropped=dropped,
            commits=counts.commits,
            commit_failures=counts.commit_failures,
            exposure=counts.exposure,
            spool_bytes=counts.spool_bytes,
            dead_letters=counts.dead_letters,
            shipper=shipper,
            degraded=self._degraded(shipper),
        )

    def _degraded(self, shipper: ShipperStats | None) -> str:
        problems = [self._counts.problem]
        if self._refused and time.monotonic() - self._refused_at < 60.0:
            problems.append("records were dropped because the queue was full")
        if shipper is not None:
            problems.append(shipper.problem)
        if self._counts.dead_letters:
            problems.append(f"{self._counts.dead_letters} dead letters")
        return "; ".join(filter(None, problems))


def _settle(waiting: list[_Waiting], lost: Collection[str]) -> None:
    for record, future in waiting:
        if not future.done():
            future.set_result(record not in lost)


def _expire(future: asyncio.Future[bool]) -> None:
    if not future.done():
        future.set_result(False)
