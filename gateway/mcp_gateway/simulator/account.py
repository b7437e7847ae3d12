"""The limits of one account, enforced, and what was seen of it. Time is passed in.

A limit by the minute or the day is kept to the letter: no window of that length holds more.
In flight is from the moment a request is let in to the last byte of its answer, or to the
client's going away. What was refused counts against nothing.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Any

from mcp_gateway.simulator.settings import Limits

MINUTE = 60.0
DAY = 86_400.0
EXACT = 1000


@dataclass(frozen=True, slots=True)
class Denial:
    """Why a request was not let in.

    Attributes:
        cause: `concurrency`, `rpm`, `tpm` or `tpd`.
        limit: the limit that was met.
        current: what is counted against it now.
        retry_after: seconds until there may be room.
    """

    cause: str
    limit: int
    current: int
    retry_after: float


class Window:
    """An amount within the last `length` seconds.

    Exact up to `EXACT` entries. Beyond, what comes close together becomes one entry with the
    time of its last part: it leaves a little late, so the limit still holds, and memory is
    bounded whatever the rate.
    """

    __slots__ = ("_entries", "_opened", "length", "total")

    def __init__(self, length: float) -> None:
        self.length = length
        self.total = 0
        self._entries: deque[tuple[float, int]] = deque()
        self._opened = 0.0

    def forget(self, now: float) -> None:
        """Drop what is older than the window."""
        entries, horizon = self._entries, now - self.length
        while entries and entries[0][0] <= horizon:
            self.total -= entries.popleft()[1]

    def add(self, now: float, amount: int) -> None:
        """Count an amount at this moment."""
        self.total += amount
        if len(self._entries) >= EXACT and now - self._opened < self.length / EXACT:
            amount += self._entries.pop()[1]
        else:
            self._opened = now
        self._entries.append((now, amount))

    def room_in(self, now: float, limit: int, amount: int) -> float:
        """Seconds until `amount` fits under `limit`: 0 when it does now.

        An amount that never fits waits for an empty window.
        """
        excess = self.total + amount - limit
        if excess <= 0:
            return 0.0
        for moment, entry in self._entries:
            excess -= entry
            if excess <= 0:
                return max(0.0, moment + self.length - now)
        return self.length

    def reset_in(self, now: float) -> float:
        """Seconds until the oldest entry leaves the window."""
        return max(0.0, self._entries[0][0] + self.length - now) if self._entries else 0.0


@dataclass(slots=True)
class Account:
    """One key, on the GLM wire one model of a key.

    Attributes:
        in_flight: requests let in whose last byte is not sent.
        max_in_flight: the most there ever were.
        requests: all that asked, refused or not.
        answered: answers sent to their last byte.
        disconnected: requests whose client went away first.
        prompt_tokens, completion_tokens: of the answers.
        refused: by cause.
        failed: injected failures by kind.
    """

    in_flight: int = 0
    max_in_flight: int = 0
    requests: int = 0
    answered: int = 0
    disconnected: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    refused: dict[str, int] = field(default_factory=dict)
    failed: dict[str, int] = field(default_factory=dict)
    by_minute: Window = field(default_factory=lambda: Window(MINUTE))
    tokens_by_minute: Window = field(default_factory=lambda: Window(MINUTE))
    tokens_by_day: Window = field(default_factory=lambda: Window(DAY))

    def enter(self, limits: Limits, now: float, tokens: int) -> Denial | None:
        """Let a request in, or say why not.

        Args:
            limits: what holds now.
            now: seconds of a steady clock.
            tokens: what the request is charged with beforehand.
        """
        denial = self._denial(limits, now, tokens)
        if denial is not None:
            self.refused[denial.cause] = self.refused.get(denial.cause, 0) + 1
            return denial
        if limits.requests_per_minute is not None:
            self.by_minute.add(now, 1)
        if limits.tokens_per_minute is not None:
            self.tokens_by_minute.add(now, tokens)
        if limits.tokens_per_day is not None:
            self.tokens_by_day.add(now, tokens)
        self.in_flight += 1
        self.max_in_flight = max(self.max_in_flight, self.in_flight)
        return None

    def leave(self, *, answered: bool) -> None:
        """End a request that was let in."""
        assert self.in_flight > 0, "a request left that had not entered"
        self.in_flight -= 1
        if answered:
            self.answered += 1
        else:
            self.disconnected += 1

    def stats(self) -> dict[str, Any]:
        """The counts, JSON-ready."""
        return {
            "in_flight": self.in_flight,
            "max_in_flight": self.max_in_flight,
            "requests": self.requests,
            "answered": self.answered,
            "disconnected": self.disconnected,
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": self.completion_tokens,
            "refused": dict(self.refused),
            "failed": dict(self.failed),
        }

    def reset_stats(self) -> None:
        """Count anew; what is in flight and the windows stay."""
        self.max_in_flight = self.in_flight
        self.requests = self.answered = self.disconnected = 0
        self.prompt_tokens = self.completion_tokens = 0
        self.refused.clear()
        self.failed.clear()

    def count_failure(self, kind: str) -> None:
        """Note an injected failure."""
        self.failed[kind] = self.failed.get(kind, 0) + 1

    def _denial(self, limits: Limits, now: float, tokens: int) -> Denial | None:
        concurrency = limits.concurrency
        if concurrency is not None and self.in_flight >= concurrency:
            return Denial("concurrency", concurrency, self.in_flight, 1.0)
        for cause, limit, window, amount in (
            ("rpm", limits.requests_per_minute, self.by_minute, 1),
            ("tpm", limits.tokens_per_minute, self.tokens_by_minute, tokens),
            ("tpd", limits.tokens_per_day, self.tokens_by_day, tokens),
        ):
            if limit is None:
                continue
            window.forget(now)
            wait = window.room_in(now, limit, amount)
            if wait > 0.0:
                return Denial(cause, limit, window.total, wait)
        return None
