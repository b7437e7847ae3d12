"""PromQL over the metrics that the code defines: a metric that is renamed moves its panels along.

Every series of a gateway carries the labels `namespace` and `gateway`, which the dashboards'
variables choose by.
"""

from __future__ import annotations

from dataclasses import dataclass

from prometheus_client.metrics import MetricWrapperBase

from mcp_gateway.telemetry.cells import Metric

CHOSEN = 'namespace=~"$namespace",gateway=~"$gateway"'
"""Matchers of the series of the chosen gateways."""
CHOSEN_OPERATOR = 'namespace=~"$namespace"'
"""Matchers of the operator's own series."""


@dataclass(frozen=True, slots=True)
class Query:
    """One query of a panel.

    Attributes:
        expression: PromQL.
        legend: what a series is called; `{{label}}` is a label's value.
    """

    expression: str
    legend: str


def series(metric: Metric | MetricWrapperBase | str, matchers: str = "", part: str = "") -> str:
    """The series of a metric of the chosen gateways, or of the operator's own.

    Args:
        metric: of the gateway's definitions, of the operator's registry, or a name.
        matchers: further ones.
        part: `bucket`, `sum` or `count` of a histogram.
    """
    if isinstance(metric, MetricWrapperBase):
        (family,) = metric.describe()
        name = family.name + ("_total" if family.type == "counter" else "")
        chosen = CHOSEN_OPERATOR
    else:
        name = metric.name if isinstance(metric, Metric) else metric
        chosen = CHOSEN
    suffix = f"_{part}" if part else ""
    return f"{name}{suffix}{{{','.join(each for each in (chosen, matchers) if each)}}}"


def rate(metric: Metric | MetricWrapperBase | str, matchers: str = "", part: str = "") -> str:
    """How fast a counter grows, per second."""
    return f"rate({series(metric, matchers, part)}[$__rate_interval])"


def total(expression: str, *by: str) -> str:
    """Added up, by these labels."""
    return f"sum by ({', '.join(by)}) ({expression})" if by else f"sum({expression})"


def quantile(share: float, metric: Metric | MetricWrapperBase, *by: str) -> str:
    """The value that `share` of a histogram's observations are below; none where there are none."""
    buckets = total(rate(metric, part="bucket"), "le", *by)
    return f"histogram_quantile({share:g}, {buckets}) >= 0"


def ratio(part: str, whole: str) -> str:
    """One through the other, where the other is not zero."""
    return f"{part} / ({whole} > 0)"


def mean(metric: Metric, *by: str) -> str:
    """The average of a histogram's observations."""
    return ratio(
        total(rate(metric, part="sum"), *by),
        total(rate(metric, part="count"), *by),
    )
