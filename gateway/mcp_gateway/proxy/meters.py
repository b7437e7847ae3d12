"""The metric cells that the request path adds to, looked up once."""

from __future__ import annotations

from mcp_gateway.telemetry import definitions as metric
from mcp_gateway.telemetry.cells import Counter, Histogram
from mcp_gateway.telemetry.metrics import Registry


class AccountMeters:
    """Cells of one provider account."""

    __slots__ = (
        "_attempts",
        "_cost",
        "_registry",
        "duration",
        "input_tokens",
        "ok",
        "output_tokens",
        "provider",
        "retries",
    )

    def __init__(self, registry: Registry, provider: str) -> None:
        self._registry = registry
        self._cost: Counter | None = None
        self.provider = provider
        self._attempts = {
            outcome: registry.counter(metric.ATTEMPTS, provider, outcome)
            for outcome in metric.COUNTED
        }
        self._attempts |= {each: self._attempts[into] for each, into in metric.FOLDED.items()}
        self.ok = self._attempts["ok"]
        self.duration = registry.histogram(metric.ATTEMPT_DURATION, provider)
        self.input_tokens = registry.counter(metric.TOKENS, provider, "input")
        self.output_tokens = registry.counter(metric.TOKENS, provider, "output")
        self.retries = registry.counter(metric.RETRIES, provider)

    def attempts(self, outcome: str) -> Counter:
        """The counter of one outcome, a word of `definitions.OUTCOMES`."""
        return self._attempts[outcome]

    @property
    def cost(self) -> Counter:
        """What was spent. It is there from the first use: without prices there is no figure."""
        found = self._cost
        if found is None:
            found = self._cost = self._registry.counter(metric.COST, self.provider)
        return found


class HopMeters:
    """Cells of what goes from pod to pod."""

    __slots__ = ("_into", "_out")

    def __init__(self, registry: Registry) -> None:
        self._out, self._into = (
            {
                outcome: registry.counter(metric.HOPS, direction, outcome)
                for outcome in metric.HOP_OUTCOMES
            }
            for direction in ("out", "in")
        )

    def out(self, outcome: str) -> Counter:
        """Hops of this pod by how they ended, a word of `definitions.HOP_OUTCOMES`."""
        return self._out[outcome]

    def into(self, outcome: str) -> Counter:
        """Hops of other pods to this one."""
        return self._into[outcome]


class RouteMeters:
    """Cells of one route."""

    __slots__ = ("duration", "requests")

    def __init__(self, registry: Registry, route: str) -> None:
        self.requests: dict[str, Counter] = {
            status: registry.counter(metric.ROUTE_REQUESTS, route, status)
            for status in metric.STATUSES
        }
        self.duration: Histogram = registry.histogram(metric.ROUTE_DURATION, route)
