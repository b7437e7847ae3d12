"""The load generator: raw asyncio connections, bounded by a count of requests.

Closed loop: every connection sends its next request when its answer is whole. Open loop:
requests are due at times drawn beforehand, whatever became of the earlier ones, and an
answer's time counts from when the generator came to it, also where it then had to wait for a
free connection: waiting is not forgotten, the generator's own lateness is not counted.
"""

from __future__ import annotations

import asyncio
import collections
import itertools
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import cast

from tests.perf import wire
from tests.perf.reader import BadAnswer, HTTPReader, Reader, WebSocketReader
from tests.perf.wire import Target

DEADLINE = 120.0


@dataclass(frozen=True, slots=True)
class Plan:
    """What one connection does.

    Attributes:
        target: where to connect.
        requests: the bytes of each request, sent in turns.
        websocket: open a WebSocket first.
    """

    target: Target
    requests: Sequence[bytes]
    websocket: bool = False

    def reader(self) -> Reader:
        """A fresh reader for one connection."""
        return WebSocketReader() if self.websocket else HTTPReader()


@dataclass(slots=True)
class Outcome:
    """What a run did, in requests, stream events and seconds.

    `latencies` are seconds in the order of completion; only an open loop fills them.
    """

    requests: int = 0
    events: int = 0
    seconds: float = 0.0
    latencies: list[float] = field(default_factory=list)


class Worker(asyncio.Protocol):
    """One connection; `answered` is called for each whole answer, `failed` once at most."""

    def __init__(
        self,
        plan: Plan,
        opened: Callable[[Worker], None],
        answered: Callable[[Worker, int], None],
        failed: Callable[[Exception], None],
    ) -> None:
        self._plan = plan
        self._opened = opened
        self._answered = answered
        self._failed = failed
        self._reader = plan.reader()
        self._ready = False
        self._closing = False
        self._transport: asyncio.Transport | None = None
        self._requests = itertools.cycle(plan.requests)
        self.due = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are none of asyncio's classes.
        self._transport = cast(asyncio.Transport, transport)
        if self._plan.websocket:
            self._transport.write(wire.upgrade(self._plan.target))
        else:
            self._ready = True
            self._opened(self)

    def send(self) -> None:
        """Send the plan's next request."""
        assert self._transport is not None
        self._transport.write(next(self._requests))

    def data_received(self, data: bytes) -> None:
        try:
            answers = self._reader.feed(data)
        except BadAnswer as error:
            self.close()
            self._failed(error)
            return
        if control := self._reader.control():
            assert self._transport is not None
            self._transport.write(control)
        if not self._ready and isinstance(self._reader, WebSocketReader) and self._reader.open:
            self._ready = True
            self._opened(self)
        for answer in answers:
            self._answered(self, answer.events)

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._closing:
            self._failed(exc or ConnectionError("the peer closed a connection"))

    def close(self) -> None:
        """Close it from this side. Idempotent."""
        self._closing = True
        if self._transport is not None:
            self._transport.close()


class Crowd:
    """Open connections that all follow one plan. Use as an async context manager."""

    def __init__(self, plan: Plan, connections: int) -> None:
        self._plan = plan
        self._count = connections
        self._workers: list[Worker] = []
        self._waiting = 0
        self._all_open: asyncio.Future[None] | None = None
        self._done: asyncio.Future[None] | None = None
        self._failure: Exception | None = None
        self._on_answer: Callable[[Worker, int], None] | None = None

    async def __aenter__(self) -> Crowd:
        loop = asyncio.get_running_loop()
        self._all_open = loop.create_future()
        target = self._plan.target
        for _ in range(self._count):
            await loop.create_connection(self._worker, target.host, target.port)
        async with asyncio.timeout(DEADLINE):
            await self._all_open
        return self

    async def __aexit__(self, *_: object) -> None:
        for worker in self._workers:
            worker.close()
        # One turn of the loop lets the transports close before the next measurement.
        await asyncio.sleep(0)

    def _worker(self) -> Worker:
        worker = Worker(self._plan, self._opened, self._answered, self._failed)
        self._workers.append(worker)
        return worker

    def _opened(self, _: Worker) -> None:
        self._waiting += 1
        assert self._all_open is not None
        if self._waiting == self._count and not self._all_open.done():
            self._all_open.set_result(None)

    def _answered(self, worker: Worker, events: int) -> None:
        assert self._on_answer is not None
        self._on_answer(worker, events)

    def _failed(self, error: Exception) -> None:
        self._failure = error
        for waited in (self._all_open, self._done):
            if waited is not None and not waited.done():
                waited.set_exception(error)

    async def _finish(self) -> None:
        assert self._done is not None
        if self._failure is not None:
            raise self._failure
        async with asyncio.timeout(DEADLINE):
            await self._done

    async def closed_loop(self, requests: int) -> Outcome:
        """Send `requests` in all, one at a time per connection.

        Raises:
            BadAnswer: an answer was not a success.
            TimeoutError: it took more than two minutes.
        """
        outcome = Outcome()
        self._done = asyncio.get_running_loop().create_future()
        left = requests

        def answered(worker: Worker, events: int) -> None:
            nonlocal left
            outcome.requests += 1
            outcome.events += events
            if left:
                left -= 1
                worker.send()
            elif outcome.requests == requests and self._done and not self._done.done():
                self._done.set_result(None)

        self._on_answer = answered
        started = time.perf_counter()
        for worker in self._workers[:requests]:
            left -= 1
            worker.send()
        await self._finish()
        outcome.seconds = time.perf_counter() - started
        return outcome

    async def open_loop(self, rate: float, seconds: float, seed: int = 1) -> Outcome:
        """Send requests at Poisson times of `rate` a second, for `seconds`.

        Raises:
            BadAnswer: an answer was not a success.
            TimeoutError: answers were missing two minutes later.
        """
        run = _OpenRun(self._workers, rate, seconds, random.Random(seed))
        self._done = run.done
        self._on_answer = run.answered
        run.start()
        await self._finish()
        return run.outcome


class _OpenRun:
    """The books of one open-loop run: what is due, who is free, what waits for a connection."""

    def __init__(
        self, workers: list[Worker], rate: float, seconds: float, dice: random.Random
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self.done: asyncio.Future[None] = self._loop.create_future()
        self.outcome = Outcome(seconds=seconds)
        self._free = list(workers)
        self._late: collections.deque[float] = collections.deque()
        self._due: collections.deque[float] = collections.deque()
        moment = time.perf_counter() + 0.01
        end = moment + seconds
        while (moment := moment + dice.expovariate(rate)) < end:
            self._due.append(moment)
        self._expected = len(self._due)

    def start(self) -> None:
        """Begin."""
        self._tick()

    def _tick(self) -> None:
        now = time.perf_counter()
        while self._due and self._due[0] <= now:
            self._due.popleft()
            if self._free:
                self._send(self._free.pop(), now)
            else:
                self._late.append(now)
        if self._due and not self.done.done():
            # uvloop's timers count whole milliseconds: what falls due meanwhile goes together.
            self._loop.call_later(0.001, self._tick)

    def _send(self, worker: Worker, due: float) -> None:
        worker.due = due
        worker.send()

    def answered(self, worker: Worker, events: int) -> None:
        """Book one answer and use its connection for the oldest request that waits."""
        self.outcome.requests += 1
        self.outcome.events += events
        self.outcome.latencies.append(time.perf_counter() - worker.due)
        if self._late:
            self._send(worker, self._late.popleft())
        else:
            self._free.append(worker)
        if self.outcome.requests == self._expected and not self.done.done():
            self.done.set_result(None)
