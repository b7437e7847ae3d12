"""Whether a failed call is tried again, when, and how many such tries the gateway can afford.

Sources: full jitter after "Exponential Backoff And Jitter" (AWS Architecture Blog, 2015); the
budget after Finagle's `RetryBudget` and the SRE book, chapter 21.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from mcp_gateway.limits.window import SlidingWindow


class FailureClass(Enum):
    """What a failure says about trying again; the values are the words of `retry.on`.

    CONNECT: no connection came about, or not in time; nothing was sent.
    REFUSED: refused with nothing generated (429, 503).
    OVERLOAD: the provider says that it is overloaded.
    STALE: a reused connection had been closed before any byte of an answer.
    TIMEOUT: silence after the request was sent; it may have been carried out.
    SERVER_ERROR: 500, 502, 504: it may have been carried out.
    FATAL: another try would fail the same way.
    """

    CONNECT = "connect"
    REFUSED = "refused"
    OVERLOAD = "overload"
    STALE = "stale"
    TIMEOUT = "timeout"
    SERVER_ERROR = "serverError"
    FATAL = "fatal"


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """The document's `retry`.

    Attributes:
        max_retries: tries after the first.
        backoff_factor: seconds; retry n (from 0) waits up to `backoff_factor * 2**n`.
        max_backoff: seconds; no own delay is longer.
        on: words of `FailureClass` that are retried.
    """

    max_retries: int = 3
    backoff_factor: float = 0.5
    max_backoff: float = 10.0
    on: frozenset[str] = frozenset({"connect", "refused", "overload", "stale"})

    def allows(self, failure: FailureClass, attempt: int) -> bool:
        """Whether a failure may be tried again after `attempt` retries were made (from 0).

        A stale connection is replaced once: only its first retry is allowed.
        """
        if failure is FailureClass.FATAL or failure.value not in self.on:
            return False
        return attempt < (
            min(self.max_retries, 1) if failure is FailureClass.STALE else self.max_retries
        )

    def delay(self, attempt: int, retry_after: float | None, random: float) -> float:
        """Return the seconds to wait before retry number `attempt` (from 0).

        Args:
            attempt: retries made before this one.
            retry_after: what the provider asked for, in seconds. It is never undercut, so the
                result can exceed `max_backoff`: whether to wait that long is the caller's choice.
            random: a number in [0, 1): full jitter.
        """
        # An exponent beyond 64 is past any bound, and 2.0**1024 would overflow.
        ceiling = min(self.max_backoff, self.backoff_factor * 2.0 ** min(attempt, 64))
        own = ceiling * random
        return own if retry_after is None else max(own, retry_after)


class RetryBudget:
    """Keeps retries a fraction of requests, so that they never multiply an outage.

    Within the last ten seconds: retries <= ratio * requests + 10 * min_per_second.

    Args:
        ratio: retries allowed per request.
        min_per_second: retries allowed whatever the traffic, so that a quiet gateway can retry.
    """

    WINDOW = 10.0

    __slots__ = ("_reserve", "_window", "ratio")

    def __init__(self, ratio: float = 0.2, min_per_second: float = 1.0) -> None:
        self.ratio = ratio
        self._reserve = min_per_second * self.WINDOW
        self._window = SlidingWindow(self.WINDOW)

    def deposit(self, now: float) -> None:
        """Note a request (its first try)."""
        self._window.add_good(now)

    def withdraw(self, now: float) -> bool:
        """Take one retry out of the budget; False means that it is spent."""
        if self.balance(now) < 1:
            return False
        self._window.add_bad(now)
        return True

    def balance(self, now: float) -> float:
        """Return the retries that are left at `now`."""
        self._window.turn_to(now)
        return self.ratio * self._window.good + self._reserve - self._window.bad
