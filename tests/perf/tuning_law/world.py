"""Virtual time, and a provider that counts what its account has in flight."""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable

from tests.perf.tuning_law.scenario import Call, Scenario


class Clock:
    """Runs what is due in the order of time. No second passes while it does."""

    def __init__(self) -> None:
        self.now = 0.0
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._count = 0

    def at(self, when: float, do: Callable[[], None]) -> None:
        """Do something at a time."""
        self._count += 1
        heapq.heappush(self._due, (when, self._count, do))

    def after(self, delay: float, do: Callable[[], None]) -> None:
        """Do something in a while."""
        self.at(self.now + delay, do)

    def run(self, until: float) -> None:
        """Let time pass."""
        while self._due and self._due[0][0] <= until:
            self.now, _, do = heapq.heappop(self._due)
            do()
        self.now = until


class Window:
    """What was begun within so many seconds."""

    def __init__(self, length: float) -> None:
        self._length = length
        self._begun: deque[tuple[float, int]] = deque()
        self._sum = 0

    def total(self, now: float) -> int:
        """The sum of it."""
        while self._begun and self._begun[0][0] <= now - self._length:
            self._sum -= self._begun.popleft()[1]
        return self._sum

    def add(self, now: float, amount: int) -> None:
        """Count one in."""
        self._begun.append((now, amount))
        self._sum += amount

    def opens(self) -> float:
        """When the oldest of it is forgotten."""
        return self._begun[0][0] + self._length


class Provider:
    """Allows one account so much, and refuses what is above.

    Attributes:
        in_flight: requests now.
        attempts, refused, overloads: counted; overloads are the scenario's own.
        most: the most that were in flight at once, the one that was refused included.
        over: the most by which that was above the cap of that moment.
    """

    def __init__(self, clock: Clock, scenario: Scenario, chance: Callable[[], float]) -> None:
        self._clock = clock
        self._scenario = scenario
        self._chance = chance
        self._requests = Window(60.0)
        self._tokens = Window(60.0)
        self.in_flight = 0
        self.attempts = 0
        self.refused = 0
        self.overloads = 0
        self.most = 0
        self.over = 0
        self.begun_tokens = 0

    def begin(self, call: Call) -> str:
        """Take a request; or say why not."""
        now, law = self._clock.now, self._scenario
        self.attempts += 1
        cap = law.cap(now)
        self.most = max(self.most, self.in_flight + 1)
        self.over = max(self.over, self.in_flight + 1 - cap)
        if self.in_flight >= cap:
            self.refused += 1
            return "concurrency"
        if law.rpm is not None and self._requests.total(now) >= law.rpm:
            self.refused += 1
            return "frequency"
        if law.tpm is not None and self._tokens.total(now) + call.tokens > law.tpm:
            self.refused += 1
            return "tokens"
        if self._chance() < law.overload(now):
            self.overloads += 1
            return "overload"
        self.in_flight += 1
        self._requests.add(now, 1)
        self._tokens.add(now, call.tokens)
        self.begun_tokens += call.tokens
        return ""

    def end(self) -> None:
        """A request ended, one way or another."""
        self.in_flight -= 1
