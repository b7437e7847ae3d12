"""Which of a provider's endpoints gets the next connection.

Endpoints take turns by weight (nginx's smooth weighted round robin: 5:1:1 gives A A B A C A A and
not A A A A A B C). One that cannot be connected to is put aside for a while that grows with each
failure and is jittered, so that many gateways do not come back in step.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

from mcp_gateway.concurrency.backoff import Backoff
from mcp_gateway.upstream.endpoint import Endpoint
from mcp_gateway.upstream.stats import EndpointStats

FIRST_ASIDE = 0.5
LONGEST_ASIDE = 30.0
"""Seconds an endpoint is put aside after its first failure, and at most."""


class _Record:
    """What is known about one endpoint."""

    __slots__ = ("aside_until", "backoff", "current", "endpoint", "failures")

    def __init__(self, endpoint: Endpoint, rng: Callable[[], float]) -> None:
        self.endpoint = endpoint
        self.failures = 0
        self.aside_until = 0.0
        self.backoff = Backoff(FIRST_ASIDE, LONGEST_ASIDE, rng=rng)
        self.current = 0


class Health:
    """The endpoints of one provider. Time is passed in.

    Args:
        endpoints: at least one.
        rng: a source of numbers in [0, 1).
    """

    def __init__(
        self, endpoints: Sequence[Endpoint], *, rng: Callable[[], float] = random.random
    ) -> None:
        assert endpoints, "a provider has an endpoint"
        self._records = [_Record(endpoint, rng) for endpoint in endpoints]

    def choose(self, now: float) -> Endpoint:
        """Return the endpoint whose turn it is.

        Where all are put aside, the one that comes back first: a provider that seems dead is
        still asked by those who want it now.
        """
        healthy = [record for record in self._records if record.aside_until <= now]
        if not healthy:
            return min(self._records, key=lambda record: record.aside_until).endpoint
        for record in healthy:
            record.current += record.endpoint.weight
        chosen = max(healthy, key=lambda record: record.current)
        chosen.current -= sum(record.endpoint.weight for record in healthy)
        return chosen.endpoint

    def available(self, now: float) -> bool:
        """Whether any endpoint is not put aside."""
        return any(record.aside_until <= now for record in self._records)

    def succeeded(self, endpoint: Endpoint) -> None:
        """A connection to it was opened."""
        record = self._find(endpoint)
        record.failures = 0
        record.aside_until = 0.0
        record.backoff.reset()

    def failed(self, endpoint: Endpoint, now: float) -> None:
        """No connection to it came about: put it aside.

        Of many tries that were under way together only the first counts.
        """
        record = self._find(endpoint)
        record.failures += 1
        if record.aside_until <= now:
            record.aside_until = now + record.backoff.next()

    def picture(self, now: float) -> dict[str, EndpointStats]:
        """Return what is known about each endpoint, by its URL."""
        return {
            str(record.endpoint): EndpointStats(
                record.failures, round(max(0.0, record.aside_until - now), 3)
            )
            for record in self._records
        }

    def _find(self, endpoint: Endpoint) -> _Record:
        return next(record for record in self._records if record.endpoint == endpoint)
