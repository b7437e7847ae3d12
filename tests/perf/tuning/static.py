"""Pools of a fixed size, a process of their own: `python -m tests.perf.tuning.static`.

What most proxies do: each pod has a pool of so many connections, whatever the provider says. The
pools are here without pods around them, which costs them nothing: no hop, no process to start.
It obeys the commands of `load`, with `{"pools": n}` in place of the pods.
"""

from __future__ import annotations

import collections
import random
import time

import uvloop
from tests.perf.tuning import scenario as life
from tests.perf.tuning.load import Connection, Job, Load, Pod, serve

ENOUGH = "rate_limit_reached_error", "engine_overloaded_error"


class Pool:
    """One pod's connections."""

    def __init__(self) -> None:
        self.in_flight = 0
        self.waiting: collections.deque[tuple[float, Job]] = collections.deque()


class StaticPools(Load):
    """All requests of a run, through pools; each refused one is tried again in its pool."""

    def __init__(self) -> None:
        super().__init__()
        self._pools: list[Pool] = []
        self._homes: dict[int, Pool] = {}
        self._provider: Pod = ("", 0, "")
        self._size = 0
        self._scale = 1.0
        self._dice = random.Random(0)

    def obey(self, command: dict[str, object]) -> None:
        """Take a command of this generator's own."""
        match command:
            case {"provider": [str(host), int(port), str(key)], "size": int(size),
                  "scale": float(scale)}:  # fmt: skip
                self._provider, self._size, self._scale = (host, port, key), size, scale
                self._pods = [self._provider]
            case {"pools": int(number)}:
                self._resize(number)

    def _resize(self, number: int) -> None:
        while len(self._pools) < number:
            self._pools.append(Pool())
        # Those of a pool that goes have been answered or have waited too long when it ends.
        self._pools = self._pools[:number]

    def _ask(self, job: Job) -> None:
        pool = self._homes.get(id(job))
        if pool is None:
            pool = self._homes[id(job)] = self._pools[next(self._turn) % len(self._pools)]
        if pool.in_flight < self._size:
            self._begin(pool, job)
        else:
            pool.waiting.append((time.monotonic() + life.PATIENCE / self._scale, job))

    def _begin(self, pool: Pool, job: Job) -> None:
        pool.in_flight += 1
        super()._ask(job)

    def _ended(self, connection: Connection, word: str) -> None:
        job = connection.job
        if job is not None and not self._over:
            self._release(self._homes[id(job)])
            if not word:
                del self._homes[id(job)]
        super()._ended(connection, word)

    def _release(self, pool: Pool) -> None:
        pool.in_flight -= 1
        while pool.waiting and pool.in_flight < self._size:
            deadline, job = pool.waiting.popleft()
            if deadline > time.monotonic():
                self._begin(pool, job)
            else:
                self._give_up(job, "waited")

    def _failed(self, job: Job, word: str) -> None:
        if word in ENOUGH and job.tries < life.RETRIES:
            wait = self._dice.uniform(life.RETRY_LEAST, life.RETRY_MOST) * 2.0**job.tries
            job.tries += 1
            self._loop.call_later(wait / self._scale, self._ask, job)
        else:
            self._give_up(job, word)

    def _give_up(self, job: Job, word: str) -> None:
        del self._homes[id(job)]
        self.outcome.failed[word] += 1


async def main() -> None:
    """Obey until the end of the input."""
    pools = StaticPools()
    await serve(pools, pools.obey)


if __name__ == "__main__":
    uvloop.run(main())
