"""Moves records from the spool to their destination, oldest first, each once.

One thread works in rounds: read the oldest batches, send as many at once as is allowed, move
the watermark over the longest run of batches that arrived. What arrived beyond a batch that
did not is sent again; the destination knows a record by its id. While the destination is away
a round is one batch, and the pauses between rounds grow.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import Enum, auto
from pathlib import Path
from typing import Protocol

from mcp_gateway.concurrency.backoff import Backoff
from mcp_gateway.recording.delivery import deliver
from mcp_gateway.recording.destination import (
    Credential,
    Destination,
    Misconfigured,
    TooLarge,
    Unavailable,
    Undelivered,
)
from mcp_gateway.recording.spool import DeadLetter, SpoolReader, Stored
from mcp_gateway.recording.stats import ShipperStats
from mcp_gateway.recording.writer import Progress

LOGGER = logging.getLogger(__name__)

_FIRST_PAUSE = 0.5
_PATIENCE = 5
"""Refusals without a reason after which single records are suspected."""

_SUSPECT_BATCH = 16
_LARGEST = 1 << 20
"""Bytes of JSON in one call; a larger record goes alone."""

_SMALLEST = 16 << 10


@dataclass(frozen=True, slots=True, kw_only=True)
class ShipperSettings:
    """How records are shipped.

    Attributes:
        batch: most records in one call.
        concurrency: calls at once.
        interval: seconds between rounds while there is less than a batch to send.
        max_backoff: longest pause, in seconds, while the destination is away.
    """

    batch: int
    concurrency: int
    interval: float
    max_backoff: float


class ProgressLog(Protocol):
    """Where progress is written down: the spool's writer."""

    def advance(self, progress: Progress) -> None:
        """Have it written, soon."""


class _Round(Enum):
    """What a round left: more to ship at once, nothing that it saw, or there was nothing."""

    MORE = auto()
    ALL = auto()
    NOTHING = auto()


class _Call:
    """One batch under way."""

    def __init__(self, rows: list[Stored]) -> None:
        self.rows = rows
        self.dead: list[DeadLetter] = []
        self.error: Undelivered | None = None


class Shipper:
    """Ships what a spool holds, in threads of its own.

    Args:
        settings: how.
        connect: makes the destination; called in the shipper's thread, because loading a
            client library takes a second.
    """

    def __init__(self, settings: ShipperSettings, connect: Callable[[], Destination]) -> None:
        self._settings = settings
        self._connect = connect
        self._destination: Destination | None = None
        self._credential: Credential | None = None
        self._in_use: Credential | None = None
        self._stopping = threading.Event()
        self._nudged = threading.Event()
        self._until = 0.0
        self._thread: threading.Thread | None = None
        self._newest: Callable[[], int] = lambda: 0
        self._watermark = 0
        self._oldest: float | None = None
        self._size = _LARGEST
        self._refusals = 0
        self._failures = 0
        self._backoff = Backoff(min(_FIRST_PAUSE, settings.max_backoff), settings.max_backoff)
        self._counts = ShipperStats()

    def start(
        self, spool: Path, progress: ProgressLog, *, watermark: int, newest: Callable[[], int]
    ) -> None:
        """Begin at a watermark.

        Args:
            spool: the spool's file; it exists.
            progress: where progress is written down.
            watermark: number of the last record that was shipped in an earlier life.
            newest: gives the number of the newest record in the spool, for `stats`.
        """
        self._watermark = watermark
        self._newest = newest
        self._thread = threading.Thread(
            target=self._run, args=(spool, progress), name="recording-shipper", daemon=True
        )
        self._thread.start()

    def credential_changed(self, credential: Credential) -> None:
        """Use another credential from the next call on, and try it at once."""
        self._credential = credential
        self._nudged.set()

    def drain(self, until: float) -> None:
        """Ship what can be shipped until `time.monotonic()` is `until`, then end. Blocks.

        A call that hangs beyond that is left behind; what it carried is sent again by the next
        process that opens the spool.
        """
        self._until = until
        self._stopping.set()
        self._nudged.set()
        if self._thread is not None:
            self._thread.join(max(until - time.monotonic(), 0.0))

    def stats(self) -> ShipperStats:
        """The state now."""
        oldest = self._oldest
        return replace(
            self._counts,
            waiting=max(self._newest() - self._watermark, 0),
            lag=0.0 if oldest is None else max(time.time() - oldest, 0.0),
        )

    def _run(self, spool: Path, progress: ProgressLog) -> None:
        while not self._over():
            try:
                self._ship(spool, progress)
                return
            except Exception as error:
                # A supervisor: whatever it was, the records wait in the spool for another try.
                LOGGER.exception("the shipper failed and begins again")
                self._suffer(Unavailable(f"{type(error).__name__}: {error}"))

    def _ship(self, spool: Path, progress: ProgressLog) -> None:
        """Ship until the end."""
        reader = SpoolReader(spool)
        try:
            self._destination = self._connect()
            # It was made with the credential of the start; the newest is given to it again.
            self._in_use = None
            self._check()
            while not self._over():
                outcome = self._round(reader, spool, progress)
                if outcome is _Round.ALL and not self._stopping.is_set():
                    self._pause(self._settings.interval)
                elif outcome is _Round.NOTHING:
                    # Only a look that finds nothing ends a drain: records may have been
                    # committed while the last round was under way.
                    if self._stopping.is_set():
                        return
                    self._pause(self._settings.interval)
        finally:
            reader.close()
            if self._destination is not None:
                self._destination.close()

    def _over(self) -> bool:
        return self._stopping.is_set() and time.monotonic() >= self._until

    def _check(self) -> None:
        """See at the start whether the address, the key and the schema are right."""
        while not self._over():
            try:
                self._send(())
            except Undelivered as error:
                self._suffer(error)
            else:
                self._recover()
                return

    def _round(self, reader: SpoolReader, spool: Path, progress: ProgressLog) -> _Round:
        """Ship one round."""
        calls, more = self._read(reader)
        if not calls:
            self._oldest = None
            return _Round.NOTHING
        self._oldest = calls[0].rows[0].started
        suspicious = self._refusals >= _PATIENCE
        threads = [
            threading.Thread(
                target=self._deliver,
                args=(call, spool, suspicious),
                name="recording-shipper-call",
                daemon=True,
            )
            for call in calls[1:]
        ]
        for thread in threads:
            thread.start()
        self._deliver(calls[0], spool, suspicious)
        for thread in threads:
            thread.join()
        error = self._conclude(calls, progress)
        if error is not None:
            self._suffer(error)
            return _Round.MORE
        self._recover()
        if more:
            return _Round.MORE
        self._oldest = None
        return _Round.ALL

    def _read(self, reader: SpoolReader) -> tuple[list[_Call], bool]:
        """The batches of the next round, and whether there is more than one round holds."""
        limit = self._settings.batch
        if self._refusals >= _PATIENCE:
            limit = min(limit, _SUSPECT_BATCH)
        calls: list[_Call] = []
        last = self._watermark
        for _ in range(1 if self._failures else self._settings.concurrency):
            rows = reader.after(last, limit=limit, size=self._size)
            if not rows:
                return calls, False
            calls.append(_Call(rows))
            last = rows[-1].seq
        return calls, bool(reader.after(last, limit=1, size=1))

    def _deliver(self, call: _Call, spool: Path, suspicious: bool) -> None:
        def another() -> Stored | None:
            reader = SpoolReader(spool)  # of this thread: connections do not change threads
            try:
                return reader.newest()
            finally:
                reader.close()

        try:
            call.dead = deliver(call.rows, self._send, another=another, suspicious=suspicious)
        except Undelivered as error:
            call.error = error
        except Exception as error:
            LOGGER.exception("a call failed in a way nobody thought of")
            call.error = Unavailable(f"{type(error).__name__}: {error}")

    def _send(self, bodies: Sequence[str]) -> None:
        destination = self._destination
        assert destination is not None, "connected before anything is sent"
        newest = self._credential
        if newest is not None and newest is not self._in_use:
            destination.credential_changed(newest)
            self._in_use = newest
        try:
            destination.send(bodies)
        except TooLarge:
            self._size = max(sum(map(len, bodies)) // 2, _SMALLEST)
            raise
        except Unavailable as error:
            if error.slow:
                self._size = max(self._size // 2, _SMALLEST)
            raise
        self._size = min(self._size + self._size // 32, _LARGEST)

    def _conclude(self, calls: list[_Call], progress: ProgressLog) -> Undelivered | None:
        """Move the watermark over what arrived without a gap; the first error, if any."""
        dead: list[DeadLetter] = []
        shipped, error = 0, None
        for call in calls:
            if call.error is not None:
                error = call.error
                break
            self._watermark = call.rows[-1].seq
            shipped += len(call.rows) - len(call.dead)
            dead += call.dead
        counts = self._counts
        self._counts = replace(
            counts,
            shipped=counts.shipped + shipped,
            batches=counts.batches + len(calls),
            dead_lettered=counts.dead_lettered + len(dead),
        )
        # Counted first: who sees the watermark move sees the counts that go with it.
        if shipped or dead:
            progress.advance(Progress(self._watermark, dead))
        for letter in dead:
            LOGGER.error(
                "a record was rejected and set aside",
                extra={"fields": {"seq": letter.seq, "why": letter.reason}},
            )
        return error

    def _recover(self) -> None:
        if self._counts.problem:
            LOGGER.info("records are being shipped again")
        self._failures = self._refusals = 0
        self._backoff.reset()
        self._counts = replace(self._counts, problem="")

    def _suffer(self, error: Undelivered) -> None:
        """Note a failed round, say so once, and wait before the next."""
        self._failures += 1
        self._refusals = self._refusals + 1 if getattr(error, "answered", False) else 0
        problem = f"records are not being shipped: {error}"
        if problem != self._counts.problem:
            remedy = error.remedy if isinstance(error, Misconfigured) else ""
            LOGGER.warning(
                "records are not being shipped",
                extra={"fields": {"why": str(error), "remedy": remedy}},
            )
        self._counts = replace(self._counts, failures=self._counts.failures + 1, problem=problem)
        # Half of a pause is random: gateways that lost a database together do not return together.
        pause = self._backoff.next()
        asked = error.retry_after if isinstance(error, Unavailable) else None
        self._pause(max(pause, min(asked or 0.0, self._settings.max_backoff)))

    def _pause(self, seconds: float) -> None:
        """Wait, but not beyond the end, and not once something important has happened."""
        if self._stopping.is_set():
            # The grace period is short: what may work again is tried more often.
            time.sleep(max(min(seconds, 1.0, self._until - time.monotonic()), 0.0))
            return
        self._nudged.wait(seconds)
        if not self._stopping.is_set():
            self._nudged.clear()
