from collections.abc import Iterator

from mcp_gateway.telemetry import definitions
from mcp_gateway.telemetry.cells import Histogram, Metric
from mcp_gateway.telemetry.metrics import Registry, Sample


def test_a_cell_is_the_same_for_the_same_labels() -> None:
    registry = Registry()
    registry.counter(definitions.RETRIES, "kimi").add()
    registry.counter(definitions.RETRIES, "kimi").add(2)
    assert 'mcp_gateway_upstream_retries_total{provider="kimi"} 3.0' in registry.render().decode()


def test_a_histogram_is_rendered_cumulatively() -> None:
    registry = Registry()
    cell = registry.histogram(definitions.ROUTE_DURATION, "chat")
    for seconds in (0.01, 0.3, 500.0):
        cell.observe(seconds)
    text = registry.render().decode()
    name = "mcp_gateway_route_duration_seconds"
    assert f'{name}_bucket{{le="0.05",route="chat"}} 1.0' in text
    assert f'{name}_bucket{{le="1.0",route="chat"}} 2.0' in text
    assert f'{name}_bucket{{le="+Inf",route="chat"}} 3.0' in text
    assert f'{name}_sum{{route="chat"}} 500.31' in text


def test_a_value_on_a_bound_belongs_below_it() -> None:
    histogram = Histogram((1.0, 2.0))
    histogram.observe(1.0)
    assert histogram.counts == [1, 0, 0]


def test_sources_are_read_at_each_scrape() -> None:
    registry = Registry()
    waiting = 1.0

    def source() -> Iterator[Sample]:
        yield definitions.WAITING, ("kimi",), waiting

    registry.add_source(source)
    assert 'mcp_gateway_pool_waiting{provider="kimi"} 1.0' in registry.render().decode()
    waiting = 7.0
    assert 'mcp_gateway_pool_waiting{provider="kimi"} 7.0' in registry.render().decode()


def test_process_metrics_are_there() -> None:
    assert b"process_resident_memory_bytes" in Registry().render()


def series(metric: Metric, *outer: str) -> int:
    """Series one value of the `outer` labels costs."""
    sets = dict(metric.values)
    count = 1
    for label in metric.labels:
        if label not in outer:
            count *= len(sets[label])
    return count * (len(metric.bounds) + 3 if metric.kind == "histogram" else 1)


def test_a_provider_costs_at_most_40_series_and_a_route_at_most_30() -> None:
    for label, most in (("provider", 40), ("route", 30)):
        of_label = [metric for metric in definitions.ALL if label in metric.labels]
        assert of_label
        assert sum(series(metric, label) for metric in of_label) <= most, label


def test_route_is_never_crossed_with_provider() -> None:
    for metric in definitions.ALL:
        assert not {"route", "provider"} <= set(metric.labels), metric.name


def test_every_name_says_its_unit_and_kind() -> None:
    for metric in definitions.ALL:
        assert metric.name.startswith("mcp_gateway_")
        assert metric.name.endswith("_total") == (metric.kind == "counter"), metric.name
        assert (metric.kind == "histogram") == bool(metric.bounds)
