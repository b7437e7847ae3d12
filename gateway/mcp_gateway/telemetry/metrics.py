"""The registry: cells for the request path, and their rendering for Prometheus."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import accumulate

from prometheus_client import (
    CollectorRegistry,
    GCCollector,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
)
from prometheus_client.core import (
    Metric as Family,
)
from prometheus_client.registry import Collector

from mcp_gateway.telemetry.cells import Counter, Histogram, Metric

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

Labels = tuple[str, ...]
Sample = tuple[Metric, Labels, float]
"""One value read at the scrape: the metric, its label values, the number."""


class Registry(Collector):
    """Cells by metric and label values, and sources that are read at each scrape.

    `counter` and `histogram` return the same cell for the same labels, so a snapshot that
    replaces another goes on counting where the old one stopped.
    """

    def __init__(self) -> None:
        self._counters: dict[Metric, dict[Labels, Counter]] = {}
        self._histograms: dict[Metric, dict[Labels, Histogram]] = {}
        self._sources: list[Callable[[], Iterable[Sample]]] = []
        self._prometheus = CollectorRegistry()
        self._prometheus.register(self)
        for collector in (ProcessCollector, PlatformCollector, GCCollector):
            collector(registry=self._prometheus)

    def counter(self, metric: Metric, *labels: str) -> Counter:
        """The cell of one counter."""
        return self._counters.setdefault(metric, {}).setdefault(labels, Counter())

    def histogram(self, metric: Metric, *labels: str) -> Histogram:
        """The cell of one histogram."""
        cells = self._histograms.setdefault(metric, {})
        return cells.setdefault(labels, Histogram(metric.bounds))

    def counted(self, metric: Metric) -> dict[Labels, float]:
        """What the cells of one counter hold now, by their label values."""
        return {labels: cell.value for labels, cell in self._counters.get(metric, {}).items()}

    def add_source(self, source: Callable[[], Iterable[Sample]]) -> None:
        """Read `source` at each scrape: gauges, and counters that somebody else keeps."""
        self._sources.append(source)

    def render(self) -> bytes:
        """All metrics in Prometheus' text format, `CONTENT_TYPE`."""
        return generate_latest(self._prometheus)

    def collect(self) -> Iterator[Family]:
        """What `prometheus_client` asks for at a scrape."""
        for metric, counters in self._counters.items():
            counter = CounterMetricFamily(metric.name, metric.help, labels=metric.labels)
            for labels, cell in counters.items():
                counter.add_metric(labels, cell.value)
            yield counter
        for metric, histograms in self._histograms.items():
            yield _histogram_family(metric, histograms)
        yield from self._sampled()

    def _sampled(self) -> Iterator[Family]:
        families: dict[str, Family] = {}
        for source in self._sources:
            for metric, labels, value in source():
                kind = CounterMetricFamily if metric.kind == "counter" else GaugeMetricFamily
                family = families.get(metric.name)
                if family is None:
                    family = kind(metric.name, metric.help, labels=metric.labels)
                    families[metric.name] = family
                assert isinstance(family, CounterMetricFamily | GaugeMetricFamily)
                family.add_metric(labels, value)
        yield from families.values()


def _histogram_family(metric: Metric, cells: dict[Labels, Histogram]) -> HistogramMetricFamily:
    family = HistogramMetricFamily(metric.name, metric.help, labels=metric.labels)
    bounds = [*(str(bound) for bound in metric.bounds), "+Inf"]
    for labels, cell in cells.items():
        buckets = list(zip(bounds, map(float, accumulate(cell.counts)), strict=True))
        family.add_metric(labels, buckets=buckets, sum_value=cell.total)
    return family
