"""How many connections are worth keeping open: what demand needs, not what the provider allows.

With arrivals at rate λ and a mean service time W, λW requests are in flight on average, and
λW + 1.65·√(λW) nineteen times of twenty (square-root staffing). The most of the last minutes is
kept, because opening a connection costs a client a TLS handshake and keeping one costs nearly
nothing.
"""

from __future__ import annotations

import math
from typing import Final

from mcp_gateway.api.quota import LimitReport

BUSY: Final = 1.65
"""Standard deviations that cover nineteen of twenty moments."""

SLICES: Final = 10
"""Parts of the time that the most is kept of."""


def staffing(load: float) -> int:
    """Connections that serve `load` requests in flight on average."""
    return math.ceil(load + BUSY * math.sqrt(load)) if load > 0.05 else 0


class Flow:
    """Arrival rate and service time of one pod's use of a limit, from counts that grow.

    Args:
        memory: seconds over which both are averaged.
        keep: seconds of which the most needed is kept.

    Attributes:
        rate: arrivals per second.
        service: seconds that a request takes at the provider; 0 before the first ended.
    """

    __slots__ = (
        "_arrivals",
        "_at",
        "_completions",
        "_keep",
        "_memory",
        "_most",
        "_seconds",
        "rate",
        "service",
    )

    def __init__(self, memory: float, keep: float) -> None:
        self._memory = memory
        self._keep = keep / SLICES
        self._at: float | None = None
        self._arrivals = 0
        self._completions = 0
        self._seconds = 0.0
        self._most: dict[int, int] = {}
        self.rate = 0.0
        self.service = 0.0

    @property
    def load(self) -> float:
        """Requests that are in flight on average if nothing makes them wait."""
        return self.rate * self.service

    def hear(self, now: float, report: LimitReport) -> None:
        """Take counts in. Ones that went backward begin anew."""
        before = self._at
        arrived = report.arrivals - self._arrivals
        ended = report.completions - self._completions
        took = report.service_seconds - self._seconds
        self._at = now
        self._arrivals = report.arrivals
        self._completions = report.completions
        self._seconds = report.service_seconds
        if before is None or now <= before or arrived < 0 or ended < 0 or took < 0.0:
            return
        weight = 1.0 - math.exp((before - now) / self._memory)
        self.rate += (arrived / (now - before) - self.rate) * weight
        if ended:
            mean = took / ended
            self.service += (mean - self.service) * (weight if self.service else 1.0)

    def restart(self) -> None:
        """The counts begin again: the pod's process is another."""
        self._at = None

    def warm(self, now: float, share: int) -> int:
        """Connections to keep open, at most `share`."""
        # No word for long means no arrival: what is not counted again decays here.
        quiet = 0.0 if self._at is None else max(0.0, now - self._at - self._memory)
        load = self.load * math.exp(-quiet / self._memory)
        slot = int(now / self._keep)
        most = self._most
        most[slot] = max(most.get(slot, 0), staffing(load))
        for old in [one for one in most if one <= slot - SLICES]:
            del most[old]
        return min(share, max(most.values()))
