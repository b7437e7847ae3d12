"""Counters and histograms that cost a fraction of a microsecond.

The request path adds to plain Python numbers that were looked up when a snapshot was built;
`prometheus_client` sees them only when somebody scrapes. One event loop writes, so there is
nothing to lock.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass


class Counter:
    """A number that only grows."""

    __slots__ = ("value",)

    def __init__(self) -> None:
        self.value: float = 0.0

    def add(self, amount: float = 1.0) -> None:
        """Add `amount`, which must not be negative."""
        self.value += amount


class Histogram:
    """Observations counted by upper bound; `counts` has one more place, for what is above."""

    __slots__ = ("bounds", "counts", "total")

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds = tuple(bounds)
        self.counts = [0] * (len(self.bounds) + 1)
        self.total = 0.0

    def observe(self, value: float) -> None:
        """Count one observation, in the unit of the metric's name."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value


@dataclass(frozen=True, slots=True)
class Metric:
    """The definition of one metric; the reference and the dashboards are made from it.

    Attributes:
        name: full name, with the unit and, for counters, `_total`.
        kind: counter, gauge or histogram.
        help: one sentence.
        labels: label names.
        values: label name to its closed set of values, where the set is the gateway's own; a
            label not named here takes its values from the document (route and provider names).
        bounds: upper bounds of a histogram's buckets.
        otel: the OpenTelemetry semantic-convention name it corresponds to, or empty.
    """

    name: str
    kind: str
    help: str
    labels: tuple[str, ...] = ()
    values: tuple[tuple[str, tuple[str, ...]], ...] = ()
    bounds: tuple[float, ...] = ()
    otel: str = ""
