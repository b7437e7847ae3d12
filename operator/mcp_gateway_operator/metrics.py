"""The operator's own figures, and the only room of `prometheus_client` here."""

from __future__ import annotations

from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.process_collector import ProcessCollector

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
_SECONDS: Final = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


class Metrics:
    """One operator's figures. Labels come from closed sets only.

    Attributes:
        reconcile_seconds: time of a reconcile, by outcome: done, retried, failed.
        queue_depth: keys waiting for a reconcile.
        api_requests: requests to the API server, by verb and status class.
        api_wait_seconds: time that requests waited for the operator's own rate limit.
        push_seconds: time from a push of a configuration to a pod's answer, by outcome.
        events: Events, by what became of them: posted, counted, dropped.
        repairs: objects that someone else had changed and that were put right.
        gateways: MCPGateways there are.
        leading: 1 in the replica that leads.
        epoch: number of the leadership, in the replica that leads.
    """

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        prefix, registry = "mcp_gateway_operator_", self.registry
        self.reconcile_seconds = Histogram(
            f"{prefix}reconcile_seconds", "Time of a reconcile, by outcome.",
            ["outcome"], buckets=_SECONDS, registry=registry,
        )  # fmt: skip
        self.queue_depth = Gauge(
            f"{prefix}queue_depth", "MCPGateways waiting for a reconcile.", registry=registry
        )
        self.api_requests = Counter(
            f"{prefix}api_requests_total", "Requests to the API server, by verb and status.",
            ["verb", "code"], registry=registry,
        )  # fmt: skip
        self.api_wait_seconds = Counter(
            f"{prefix}api_wait_seconds_total", "Time waited for the operator's own rate limit.",
            registry=registry,
        )  # fmt: skip
        self.push_seconds = Histogram(
            f"{prefix}push_seconds", "From a push to a pod's answer, by outcome.",
            ["outcome"], buckets=_SECONDS, registry=registry,
        )  # fmt: skip
        self.events = Counter(
            f"{prefix}events_total", "Events, by what became of them.", ["outcome"],
            registry=registry,
        )  # fmt: skip
        self.repairs = Counter(
            f"{prefix}repairs_total", "Objects put right that another manager had changed.",
            registry=registry,
        )  # fmt: skip
        self.gateways = Gauge(f"{prefix}gateways", "MCPGateways there are.", registry=registry)
        self.leading = Gauge(f"{prefix}leading", "1 in the replica that leads.", registry=registry)
        self.epoch = Gauge(f"{prefix}epoch", "Number of this leadership.", registry=registry)

    def render(self) -> bytes:
        """Write all of them in Prometheus's text form."""
        return generate_latest(self.registry)
