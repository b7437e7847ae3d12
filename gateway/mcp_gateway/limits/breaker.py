"""A circuit breaker: stop calling what keeps failing, and find out cheaply when it is back.

```text
CLOSED ──failures over the ratio, or open_until──▶ OPEN ──its time is over──▶ HALF_OPEN
  ▲                                                  ▲                            │
  └───────────── every probe succeeded ──────────────┼──────── one failed ────────┤
                                                     └────────────────────────────┘
```

After Nygard, "Release It!", and Polly's advanced breaker (a ratio over a window with a minimum
of requests, so that one failure in a quiet hour opens nothing).
"""

from __future__ import annotations

from enum import Enum

from mcp_gateway.limits.window import SlidingWindow


class BreakerState(Enum):
    """Where a breaker stands."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


class CircuitBreaker:
    """One provider's breaker.

    Every `allow` that said yes is followed by exactly one of `succeeded`, `failed`, `ignored`.

    Args:
        failure_ratio: opens at this part of failures, 0 to 1.
        window: seconds over which they are counted.
        min_requests: outcomes within the window below which it never opens by ratio.
        open_for: seconds it stays open.
        half_open_probes: calls let through when half open; all must succeed to close it.
    """

    __slots__ = (
        "_opens_until",
        "_probes_out",
        "_probes_succeeded",
        "_state",
        "_window",
        "failure_ratio",
        "half_open_probes",
        "min_requests",
        "open_for",
        "times_opened",
    )

    def __init__(
        self,
        failure_ratio: float = 0.5,
        window: float = 30.0,
        min_requests: int = 20,
        open_for: float = 10.0,
        half_open_probes: int = 3,
    ) -> None:
        self.failure_ratio = failure_ratio
        self.min_requests = min_requests
        self.open_for = open_for
        self.half_open_probes = half_open_probes
        self.times_opened = 0
        self._window = SlidingWindow(window)
        self._state = BreakerState.CLOSED
        self._opens_until = 0.0
        self._probes_out = 0
        self._probes_succeeded = 0

    @property
    def state(self) -> BreakerState:
        """The state after the last call; an OPEN one turns HALF_OPEN at the next `allow`."""
        return self._state

    def allow(self, now: float) -> bool:
        """Whether a call may be made. A yes while half open is one of its probes."""
        if self._state is BreakerState.CLOSED:
            return True
        if self._state is BreakerState.OPEN:
            if now < self._opens_until:
                return False
            self._state = BreakerState.HALF_OPEN
            self._probes_out = self._probes_succeeded = 0
        if self._probes_out + self._probes_succeeded >= self.half_open_probes:
            return False
        self._probes_out += 1
        return True

    def succeeded(self, now: float) -> None:
        """The call was answered."""
        if self._state is BreakerState.CLOSED:
            self._window.add_good(now)
        elif self._state is BreakerState.HALF_OPEN:
            self._probe_ended()
            self._probes_succeeded += 1
            if self._probes_succeeded >= self.half_open_probes:
                self._state = BreakerState.CLOSED
                self._window.clear()

    def failed(self, now: float) -> None:
        """The call failed in a way that speaks against the provider."""
        if self._state is BreakerState.HALF_OPEN:
            self._open(now + self.open_for)
        elif self._state is BreakerState.CLOSED:
            window = self._window
            window.add_bad(now)
            total = window.good + window.bad
            if total >= self.min_requests and window.bad >= self.failure_ratio * total:
                self._open(now + self.open_for)
        # Open already: a call that began before says nothing new.

    def ignored(self, now: float) -> None:
        """The call's end says nothing about the provider: cancelled, or the client's mistake."""
        if self._state is BreakerState.HALF_OPEN:
            self._probe_ended()

    def open_until(self, now: float, until: float) -> None:
        """Open until a stated moment, such as a quota's reset. Never shortens an opening."""
        if until <= now:
            return
        if self._state is BreakerState.OPEN:
            self._opens_until = max(self._opens_until, until)
        else:
            self._open(until)

    def retry_after(self, now: float) -> float:
        """Seconds until a call may be allowed; 0.0 when one may be now."""
        if self._state is BreakerState.OPEN:
            return max(0.0, self._opens_until - now)
        return 0.0

    def _open(self, until: float) -> None:
        self._state = BreakerState.OPEN
        self._opens_until = until
        self._window.clear()
        self.times_opened += 1

    def _probe_ended(self) -> None:
        # A call from before the opening may end now: it took no probe.
        if self._probes_out:
            self._probes_out -= 1
