"""The thread that writes the spool: the only writer, so that the event loop never meets a disk.

What it is handed is kept until it is committed or counted as lost. A disk that takes no writes
makes it wait and try again; the recorder's bound on what may wait is the bound on its memory.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
import time
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from queue import Empty, SimpleQueue

from mcp_gateway.errors import ConfigError
from mcp_gateway.recording.record import Record
from mcp_gateway.recording.spool import DeadLetter, Removed, Row, Spool, SpoolSettings
from mcp_gateway.recording.stats import DropReason

LOGGER = logging.getLogger(__name__)

_LARGEST_COMMIT = 4096
_MAINTENANCE = 10.0
_FIRST_RETRY = 0.1
_LAST_RETRY = 5.0


@dataclass(slots=True)
class Batch:
    """Records on their way to the disk.

    Attributes:
        records: oldest first; theirs is now the writer.
        size: bytes of content in them.
        since: `time.monotonic()` when the first was put.
        settled: called in the writer's thread once all of them are committed, but for those
            that it names by their ids: they never will be.
    """

    records: list[Record]
    size: int
    since: float
    settled: Callable[[Collection[str]], None] | None = None


@dataclass(slots=True)
class Progress:
    """What the shipper has done: everything up to `watermark`, but for the dead letters."""

    watermark: int
    dead: list[DeadLetter] = field(default_factory=list)


class _Stop:
    """The last thing in the queue."""


@dataclass(slots=True)
class WriterCounts:
    """Counters that the writer's thread alone changes; any thread may read one."""

    finished: int = 0
    finished_size: int = 0
    recorded: int = 0
    watermark: int = 0
    commits: int = 0
    commit_failures: int = 0
    commit_time: float = 0.0
    exposure: float = 0.0
    spool_bytes: int = 0
    dead_letters: int = 0
    last: int = 0
    problem: str = ""
    dropped: dict[str, int] = field(default_factory=lambda: dict.fromkeys(DropReason, 0))


class SpoolWriter:
    """Owns the spool and the thread that writes it.

    Args:
        path, settings: of the spool.
        encode: makes a row of a record.
    """

    def __init__(
        self,
        path: Path,
        settings: SpoolSettings,
        encode: Callable[[Record], Row],
    ) -> None:
        self.counts = WriterCounts()
        self._path = path
        self._settings = settings
        self._encode = encode
        self._queue: SimpleQueue[Batch | Progress | _Stop] = SimpleQueue()
        self._rows: list[Row] = []
        self._batches: list[Batch] = []
        self._progress = Progress(0)
        self._lost: set[str] = set()  # ids of what cannot be encoded
        self._stopping = False
        self._retry = 0.0
        self._measured = 0.0
        self._thread: threading.Thread | None = None

    def start(self) -> Future[None]:
        """Start the thread; the future is done when the spool is open, or says why it is not."""
        opened: Future[None] = Future()
        self._thread = threading.Thread(
            target=self._run, args=(opened,), name="recording-writer", daemon=True
        )
        self._thread.start()
        return opened

    def write(self, batch: Batch) -> None:
        """Have records written."""
        self._queue.put(batch)

    def advance(self, progress: Progress) -> None:
        """Have the shipper's progress written, with the next records where some come soon."""
        self._queue.put(progress)

    def stop(self) -> None:
        """Write what is there, once more if need be, and end. `join` tells when."""
        self._queue.put(_Stop())

    def join(self, timeout: float) -> bool:
        """Wait for the thread's end; False where it did not end in time."""
        if self._thread is not None:
            self._thread.join(timeout)
            return not self._thread.is_alive()
        return True

    def _run(self, opened: Future[None]) -> None:
        try:
            spool = Spool(self._path, self._settings)
        except Exception as error:  # whoever starts it waits for this future, whatever happened
            opened.set_exception(error)
            return
        if spool.set_aside is not None:
            LOGGER.error(
                "the spool was damaged and set aside; a new one was begun",
                extra={"fields": {"damaged": str(spool.set_aside)}},
            )
        try:
            self._measure(spool)
        except (sqlite3.Error, OSError) as error:
            spool.close()
            opened.set_exception(ConfigError(f"spool {self._path} cannot be read: {error}"))
            return
        self.counts.watermark = spool.watermark
        opened.set_result(None)
        try:
            self._serve(spool)
        except Exception:
            self.counts.problem = "the writer of the spool failed: nothing is recorded any more"
            LOGGER.exception("the writer of the spool failed")
        finally:
            spool.close()

    def _serve(self, spool: Spool) -> None:
        maintenance = time.monotonic()
        while not self._stopping:
            self._collect(self._patience(maintenance))
            if self._rows or self._batches or self._progress.watermark:
                self._commit(spool)
            if time.monotonic() >= maintenance:
                maintenance = time.monotonic() + (0.0 if self._maintain(spool) else _MAINTENANCE)
        self._give_up()

    def _patience(self, maintenance: float) -> float:
        """Seconds to wait for something to do."""
        if self._retry:
            return self._retry
        return max(maintenance - time.monotonic(), 0.0)

    def _collect(self, patience: float) -> None:
        """Take what is queued; wait for the first of it."""
        until = time.monotonic() + patience
        while len(self._rows) < _LARGEST_COMMIT or self._retry:
            try:
                # While the disk refuses, the wait is a pause: more work must not shorten it.
                wait = max(until - time.monotonic(), 0.0)
                job = self._queue.get(wait > 0.0, wait or None)
            except Empty:
                return
            if isinstance(job, Batch):
                self._take(job)
            elif isinstance(job, Progress):
                self._progress.watermark = max(self._progress.watermark, job.watermark)
                self._progress.dead += job.dead
            else:
                self._stopping = True
                return
            if not self._retry:
                until = 0.0

    def _take(self, batch: Batch) -> None:
        self._batches.append(batch)
        for record in batch.records:
            try:
                self._rows.append(self._encode(record))
            except Exception:
                # Whatever is wrong with one record must not cost the others.
                LOGGER.exception(
                    "a record cannot be encoded", extra={"fields": {"record": record.id}}
                )
                self.counts.dropped[DropReason.UNENCODABLE] += 1
                self._lost.add(record.id)

    def _commit(self, spool: Spool) -> None:
        counts = self.counts
        began = time.monotonic()
        progress = self._progress
        try:
            removed = spool.write(
                self._rows, now=time.time(), watermark=progress.watermark, dead=progress.dead
            )
        except sqlite3.Error as error:
            self._failed(error)
            return
        ended = time.monotonic()
        self._retry = 0.0
        counts.problem = ""
        counts.commits += 1
        counts.commit_time = ended - began
        taken = len(self._rows) - removed.refused - removed.too_large
        counts.recorded += taken
        counts.last += taken
        counts.dead_letters += len(progress.dead)
        if self._batches:
            counts.exposure = max(counts.exposure, ended - self._batches[0].since)
        self._count(removed)
        self._settle(self._lost.union(removed.left_out))
        self._progress = Progress(0)
        if ended - self._measured > 1.0:
            self._measure(spool)

    def _failed(self, error: sqlite3.Error) -> None:
        counts = self.counts
        counts.commit_failures += 1
        if not counts.problem:
            LOGGER.error("the spool cannot be written", extra={"fields": {"error": str(error)}})
        counts.problem = f"the spool cannot be written: {error}"
        self._retry = min(max(self._retry * 2, _FIRST_RETRY), _LAST_RETRY)

    def _settle(self, lost: Collection[str]) -> None:
        counts = self.counts
        for batch in self._batches:
            counts.finished += len(batch.records)
            counts.finished_size += batch.size
            if batch.settled is not None:
                batch.settled(lost)
        self._batches = []
        self._rows = []
        self._lost = set()

    def _count(self, removed: Removed) -> None:
        dropped = self.counts.dropped
        dropped[DropReason.SPOOL_FULL] += removed.full + removed.refused
        dropped[DropReason.EXPIRED] += removed.expired
        dropped[DropReason.TOO_LARGE] += removed.too_large

    def _maintain(self, spool: Spool) -> bool:
        """Remove what is old. True while there is more of it."""
        try:
            removed = spool.prune(time.time())
            self._measure(spool)
        except sqlite3.Error as error:
            self._failed(error)
            self._retry = 0.0 if not self._batches else self._retry
            return False
        self._count(removed)
        return bool(removed.expired or removed.pruned or removed.full)

    def _measure(self, spool: Spool) -> None:
        self._measured = time.monotonic()
        self.counts.spool_bytes = spool.size()
        self.counts.dead_letters = spool.dead_letters()
        self.counts.last = spool.last()

    def _give_up(self) -> None:
        """Count what could not be written before the end."""
        lost: Sequence[Row] = self._rows
        if lost:
            self.counts.dropped[DropReason.DISK] += len(lost)
            LOGGER.error(
                "records are lost: the spool took no writes",
                extra={"fields": {"records": len(lost)}},
            )
        self._settle(self._lost.union(row.id for row in lost))
