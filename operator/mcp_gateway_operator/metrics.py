"""The operator's own figures, and the only room of `prometheus_client` here."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.process_collector import ProcessCollector

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
_SECONDS: Final = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_TICK: Final = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.5)
_PREFIX: Final = "mcp_gateway_operator_"

LIMIT_LABELS: Final = ("namespace", "gateway", "provider", "model")
GATEWAY_LABELS: Final = ("namespace", "gateway")
TUNING: Final = {
    "ceiling": "Requests that the whole account may have in flight, as it is known now.",
    "stated": "Requests that the whole account may have in flight, as the document states it.",
    "granted": "Sum of the pods' shares.",
    "in_flight": "Requests in flight, as the pods reported last.",
    "waiting": "Requests waiting for a connection, as the pods reported last.",
    "recommended": "Requests in flight that mode Recommend would allow.",
    "frozen": "1 while the ceiling is kept as it is: on request, or because reports are missing.",
    "requests_per_minute": "Sum of the pods' requests a minute.",
    "requests_per_minute_stated": "Requests a minute that the document or its tier states.",
    "tokens_per_minute": "Sum of the pods' tokens a minute.",
    "tokens_per_minute_stated": "Tokens a minute that the document or its tier states.",
}
"""What is shown of each limit: `mcp_gateway_operator_tuning_<name>`, and what it says."""


@dataclass(frozen=True, slots=True)
class LimitSample:
    """One limit of one provider of one gateway, as it is shown.

    Attributes:
        labels: values of `LIMIT_LABELS`; the model is empty unless the provider limits by it.
        values: by the names of `TUNING`; what is not known is left out.
        raised, lowered: changes of the ceiling in this leadership.
    """

    labels: Sequence[str]
    values: dict[str, float] = field(default_factory=dict)
    raised: int = 0
    lowered: int = 0


@dataclass(frozen=True, slots=True)
class ConfigSample:
    """How far one gateway's configuration is.

    Attributes:
        labels: values of `GATEWAY_LABELS`.
        wanted: pods that are to run it.
        applied: those of them that do.
    """

    labels: Sequence[str]
    wanted: int
    applied: int


class Watched:
    """What the leader knows of pods, read when it is asked for: series end with what they tell of.

    Attributes:
        limits: gives the limits.
        configs: gives the gateways.
    """

    def __init__(self) -> None:
        self.limits: Callable[[], Iterable[LimitSample]] = tuple
        self.configs: Callable[[], Iterable[ConfigSample]] = tuple

    def collect(self) -> Iterator[GaugeMetricFamily | CounterMetricFamily]:
        """See `prometheus_client.registry.Collector`."""
        limits = list(self.limits())
        for name, help_ in TUNING.items():
            gauge = GaugeMetricFamily(f"{_PREFIX}tuning_{name}", help_, labels=LIMIT_LABELS)
            for limit in limits:
                if name in limit.values:
                    gauge.add_metric(limit.labels, limit.values[name])
            yield gauge
        changes = CounterMetricFamily(
            f"{_PREFIX}tuning_changes", "Changes of the ceiling, by direction: raised, lowered.",
            labels=(*LIMIT_LABELS, "direction"),
        )  # fmt: skip
        for limit in limits:
            changes.add_metric((*limit.labels, "raised"), limit.raised)
            changes.add_metric((*limit.labels, "lowered"), limit.lowered)
        yield changes
        yield from self._configurations()

    def _configurations(self) -> Iterator[GaugeMetricFamily]:
        wanted = GaugeMetricFamily(
            f"{_PREFIX}config_wanted_pods", "Pods that are to run the configuration.",
            labels=GATEWAY_LABELS,
        )  # fmt: skip
        applied = GaugeMetricFamily(
            f"{_PREFIX}config_applied_pods", "Pods that run the configuration that they are to.",
            labels=GATEWAY_LABELS,
        )  # fmt: skip
        for config in self.configs():
            wanted.add_metric(config.labels, config.wanted)
            applied.add_metric(config.labels, config.applied)
        yield wanted
        yield applied


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
        tick_seconds: time of one decision of the tuner about all accounts.
        reports: reports of pods.
        watched: what is shown of limits and configurations.
    """

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        prefix, registry = _PREFIX, self.registry
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
        self.tick_seconds = Histogram(
            f"{prefix}tuning_tick_seconds", "Time of one decision about all accounts.",
            buckets=_TICK, registry=registry,
        )  # fmt: skip
        self.reports = Counter(
            f"{prefix}reports_total", "Reports that pods sent of their limits.", registry=registry
        )
        self.watched = Watched()
        registry.register(self.watched)

    def render(self) -> bytes:
        """Write all of them in Prometheus's text form."""
        return generate_latest(self.registry)
