"""Spans on their way to a receiver, off the request path.

What an exchange has to say is put into a bounded queue, and a thread sends it in batches. A
receiver that is slow, down or wrong costs its spans and nothing else. Nothing here knows the
library that speaks OTLP: that is loaded only where a document asks for traces.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from msgspec import Struct

log = logging.getLogger(__name__)

MAX_QUEUED = 2048
"""Spans that may wait; further ones are dropped and counted. OpenTelemetry's own default."""
BATCH = 64
"""Spans sent at once. Encoding one batch holds the interpreter for about 3 ms, which is what
a request may have to wait for it."""
INTERVAL = 1.0
"""Seconds spans wait for company at most."""
FLUSH = 3.0
"""Seconds the last spans get at the end: a receiver that is away must not delay a shutdown."""

LONGEST_PROBLEM = 500
"""Characters logged of why spans did not arrive: a receiver's answer, of any length, is in it."""

THREAD = "span-sender"

Value = str | int | float | bool | Sequence[str]


class Kind(Enum):
    """Which side of a call a span tells of."""

    SERVER = "server"
    CLIENT = "client"
    INTERNAL = "internal"


class Span(Struct):
    """One span. Times are seconds since the epoch, ids hexadecimal digits.

    Attributes:
        parent_id: empty for the root of a trace.
        remote_parent: the parent is another process's.
        state: the trace's `tracestate`.
        events: names, each with its time.
        failed: it ended in an error that is its own fault or its provider's.
    """

    name: str
    kind: Kind
    trace_id: str
    span_id: str
    parent_id: str
    start: float
    end: float
    attributes: dict[str, Value]
    remote_parent: bool = False
    state: str = ""
    events: list[tuple[str, float]] = []
    failed: bool = False


class Exporter(Protocol):
    """Sends spans. Called by one thread, but for `abort`."""

    endpoint: str

    def export(self, spans: Sequence[Span]) -> str:
        """Send them; empty where they arrived, else what went wrong. Blocks, and never raises."""

    def abort(self) -> None:
        """Let an `export` under way end soon, and close. Idempotent; from any thread."""


@dataclass(frozen=True, slots=True)
class SpanStats:
    """What became of spans: sent, dropped before they were sent, or lost with a receiver."""

    exported: int
    dropped: int
    failed: int


@dataclass(frozen=True, slots=True)
class Tracer:
    """How the document in force wants exchanges traced.

    Attributes:
        put: takes the spans of one exchange; never waits.
        limit: `trace_context.threshold` of the part of new traces that is sampled.
    """

    put: Callable[[Sequence[Span]], None]
    limit: int


class SpanSender:
    """The queue and the thread that empties it, for whatever receiver is in force.

    Without a receiver there is no thread, and what is put is dropped.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._queue: deque[Span] = deque()
        self._exporter: Exporter | None = None
        self._thread: threading.Thread | None = None
        self._ending = False
        self._exported = self._dropped = self._failed = 0

    @property
    def endpoint(self) -> str:
        """Where spans go now; empty for nowhere."""
        return self._exporter.endpoint if self._exporter is not None and not self._ending else ""

    def stats(self) -> SpanStats:
        """Counts since the start."""
        return SpanStats(self._exported, self._dropped, self._failed)

    def put(self, spans: Sequence[Span]) -> None:
        """Take the spans of one exchange, all or none."""
        with self._changed:
            waiting = len(self._queue) + len(spans)
            if self._thread is None or self._ending or waiting > MAX_QUEUED:
                self._dropped += len(spans)
                return
            self._queue.extend(spans)
            if waiting == len(spans) or waiting >= BATCH:
                self._changed.notify()

    def use(self, exporter: Exporter | None) -> None:
        """Send to another receiver from the next batch on; to none, once the queue is empty."""
        with self._changed:
            if exporter is None:
                self._ending = self._thread is not None
            else:
                self._exporter, self._ending = exporter, False
                if self._thread is None:
                    self._thread = threading.Thread(target=self._run, name=THREAD, daemon=True)
                    self._thread.start()
            self._changed.notify()

    async def aclose(self, grace: float) -> None:
        """Send what is waiting within `grace` seconds, `FLUSH` at most, and end. Idempotent."""
        self.use(None)
        thread = self._thread
        if thread is None:
            return
        await asyncio.to_thread(thread.join, max(0.0, min(grace, FLUSH)))
        if thread.is_alive():
            with self._changed:
                self._failed += len(self._queue)
                self._queue.clear()
                self._thread = None
            if self._exporter is not None:
                self._exporter.abort()

    def _run(self) -> None:
        """The thread: a daemon, because a receiver that hangs must not hold the process."""
        used: Exporter | None = None
        delivering = True
        while True:
            exporter, spans = self._next()
            if used is not None and used is not exporter:
                used.abort()
            used = exporter
            if not spans:
                break
            problem = exporter.export(spans)
            self._count(len(spans), delivered=not problem)
            delivering = _say(exporter.endpoint, problem, delivering=delivering)
        used.abort()

    def _count(self, spans: int, *, delivered: bool) -> None:
        with self._changed:
            if delivered:
                self._exported += spans
            else:
                self._failed += spans

    def _next(self) -> tuple[Exporter, list[Span]]:
        """Wait for spans; none of them at the end, and then this thread is no longer wanted."""
        with self._changed:
            self._changed.wait_for(lambda: self._queue or self._ending)
            self._changed.wait_for(
                lambda: self._ending or len(self._queue) >= BATCH, timeout=INTERVAL
            )
            spans = [self._queue.popleft() for _ in range(min(BATCH, len(self._queue)))]
            exporter = self._exporter
            assert exporter is not None, "there is no thread without a receiver"
            if not spans and self._ending:
                self._exporter = self._thread = None
            return exporter, spans


def _say(endpoint: str, problem: str, *, delivering: bool) -> bool:
    """Log when delivering stops and when it goes on again, not each batch; its state now."""
    if problem and delivering:
        fields = {"endpoint": endpoint, "problem": problem[:LONGEST_PROBLEM]}
        log.warning("spans cannot be delivered", extra={"fields": fields})
    elif not problem and not delivering:
        log.info("spans are delivered again", extra={"fields": {"endpoint": endpoint}})
    return not problem
