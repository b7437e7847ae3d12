"""The load generator, a process of its own: `python -m tests.perf.tuning.load`.

It reads commands as lines of JSON: `{"pods": [[host, port, key], ...]}` as often as they change,
once `{"start": monotonic seconds, "scenario": ..., "pace": [scale, part], "seed": ...}`. Requests
come at the moments that the scenario draws, go to the pods in turn, and are never held back. At
the end it prints one line: what became of them.
"""

from __future__ import annotations

import asyncio
import collections
import itertools
import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, cast

import httptools
import uvloop
from tests.perf.tuning.scenario import MODEL, SCENARIOS, Pace, Phase, Scenario, arrivals

PATH = "/v1/chat/completions"
TRIES = 3
"""Pods that are asked when one vanishes or says that it ends."""
GONE = frozenset({"overloaded", "lost", "unreachable"})
"""What a client tries at another pod, as any client of a Service does."""
PAUSE = 0.01
Pod = tuple[str, int, str]


@dataclass(slots=True)
class Job:
    """One request until its last answer."""

    came: float
    tries: int = 0


@dataclass(slots=True)
class Outcome:
    """What became of the requests; `took` are seconds of those that were answered."""

    offered: int = 0
    answered: int = 0
    failed: collections.Counter[str] = field(default_factory=collections.Counter)
    again: int = 0
    took: list[float] = field(default_factory=list)


class Connection(asyncio.Protocol):
    """One keep-alive connection, one request at a time."""

    def __init__(self, ended: Callable[[Connection, str], None]) -> None:
        self._ended = ended
        self._transport: asyncio.Transport | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._body = b""
        self.job: Job | None = None
        self.pod: Pod = ("", 0, "")

    @property
    def open(self) -> bool:
        """It can carry a request."""
        return self._transport is not None and not self._transport.is_closing()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def send(self, job: Job, request: bytes) -> None:
        """Send a request; `ended` is told of its end."""
        assert self._transport is not None
        self.job, self._body = job, b""
        self._parser = httptools.HttpResponseParser(self)
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self.close()

    def on_body(self, body: bytes) -> None:
        """Keep an error's words; an answer's are nobody's business."""
        if self._parser.get_status_code() != 200:
            self._body += body

    def on_message_complete(self) -> None:
        """Tell of the answer."""
        if self._parser.get_status_code() == 200:
            self._finish("")
            return
        try:
            error = json.loads(self._body)["error"]
            self._finish(str(error.get("code") or error["type"]))
        except (ValueError, LookupError, TypeError):
            self._finish(f"status {self._parser.get_status_code()}")

    def connection_lost(self, _: Exception | None) -> None:
        self._transport = None
        self._finish("lost")

    def close(self) -> None:
        """Close it."""
        if self._transport is not None:
            self._transport.abort()

    def _finish(self, word: str) -> None:
        if self.job is not None:
            self._ended(self, word)


class Load:
    """All requests of a run."""

    def __init__(self) -> None:
        self.outcome = Outcome()
        self._loop = asyncio.get_running_loop()
        self._pods: list[Pod] = []
        self._turn = itertools.count()
        self._free: dict[Pod, list[Connection]] = collections.defaultdict(list)
        self._tasks: set[asyncio.Task[None]] = set()
        self._over = False
        self._body = question()

    def use(self, pods: list[Pod]) -> None:
        """Send what comes from now on to these."""
        self._pods = pods
        for pod in self._free.keys() - set(pods):
            for connection in self._free.pop(pod):
                connection.close()

    async def play(
        self, start: float, scenario: Scenario, pace: Pace, seed: int, max_tokens: int | None
    ) -> dict[str, Any]:
        """Send everything at its time; what is not answered at the end does not count."""
        self._body = question(max_tokens)
        for moment in arrivals(scenario, pace, seed):
            if (wait := start + moment - time.monotonic()) > 0.0005:
                await asyncio.sleep(wait)
            self.outcome.offered += 1
            self._ask(Job(time.monotonic()))
        await asyncio.sleep(max(0.0, start + pace.length - time.monotonic()))
        # The connections stay until this process ends: what is given up counts for nobody.
        self._over = True
        return self._told()

    def _ask(self, job: Job) -> None:
        if not self._pods:
            self._failed(job, "unreachable")
            return
        pod = self._pods[next(self._turn) % len(self._pods)]
        idle = self._free[pod]
        while idle:
            connection = idle.pop()
            if connection.open:
                connection.send(job, _request(pod, self._body))
                return
        task = self._loop.create_task(self._connect(pod, job))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _connect(self, pod: Pod, job: Job) -> None:
        try:
            _, connection = await self._loop.create_connection(
                lambda: Connection(self._ended), pod[0], pod[1]
            )
        except OSError:
            self._failed(job, "unreachable")
            return
        connection.pod = pod
        connection.send(job, _request(pod, self._body))

    def _ended(self, connection: Connection, word: str) -> None:
        job, connection.job = connection.job, None
        if self._over or job is None:
            return
        if word == "lost":
            pass
        elif connection.pod in self._pods and connection.open:
            self._free[connection.pod].append(connection)
        else:
            connection.close()
        if word:
            self._failed(job, word)
        else:
            self.outcome.answered += 1
            self.outcome.took.append(time.monotonic() - job.came)

    def _failed(self, job: Job, word: str) -> None:
        if word in GONE and job.tries < TRIES:
            job.tries += 1
            self.outcome.again += 1
            self._loop.call_later(PAUSE * job.tries, self._ask, job)
        else:
            self.outcome.failed[word] += 1

    def _told(self) -> dict[str, Any]:
        outcome, took = self.outcome, sorted(self.outcome.took) or [0.0]
        return {
            "offered": outcome.offered,
            "answered": outcome.answered,
            "failed": dict(outcome.failed),
            "again": outcome.again,
            "p50": took[len(took) // 2],
            "p99": took[min(len(took) - 1, len(took) * 99 // 100)],
        }


def question(max_tokens: int | None = None) -> str:
    """A request's body."""
    fields = {"model": MODEL, "messages": [{"role": "user", "content": "Hello!"}]}
    return json.dumps(fields | ({"max_tokens": max_tokens} if max_tokens else {}))


def _request(pod: Pod, body: str) -> bytes:
    host, port, key = pod
    return (
        f"POST {PATH} HTTP/1.1\r\nHost: {host}:{port}\r\nAuthorization: Bearer {key}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n{body}"
    ).encode()


def _scenario(command: dict[str, Any]) -> Scenario:
    """A named scenario, or one of a single phase with a load and no limit that matters."""
    if (steady := command.get("steady")) is not None:
        return Scenario("steady", "", 0, (Phase(0, steady, 0),))
    return SCENARIOS[command["scenario"]]


async def serve(load: Load, obey: Callable[[dict[str, Any]], None]) -> None:
    """Obey until the end of the input; what is not for every load is for `obey`."""
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    playing: asyncio.Task[dict[str, Any]] | None = None

    def ended(task: asyncio.Task[dict[str, Any]]) -> None:
        print(json.dumps(task.result()), flush=True)

    while line := await reader.readline():
        command = json.loads(line)
        if "pods" in command:
            load.use([(host, port, key) for host, port, key in command["pods"]])
        obey(command)
        if "start" in command:
            played = load.play(
                command["start"],
                _scenario(command),
                Pace(*command["pace"]),
                command["seed"],
                command.get("max_tokens"),
            )
            playing = asyncio.create_task(played)
            playing.add_done_callback(ended)
    if playing is not None:
        playing.cancel()


async def main() -> None:
    """Obey until the end of the input."""
    await serve(Load(), lambda _: None)


if __name__ == "__main__":
    uvloop.run(main())
