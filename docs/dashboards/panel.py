"""The few kinds of panels there are, each with a description for who meets it first."""

from __future__ import annotations

from collections.abc import Sequence

from docs.dashboards.query import Query
from grafana_foundation_sdk.builders import common as common_builder
from grafana_foundation_sdk.builders import dashboard as builder
from grafana_foundation_sdk.builders import prometheus, stat, timeseries
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models import common, dashboard

SOURCE = dashboard.DataSourceRef(type_val="prometheus", uid="${datasource}")

GREEN, ORANGE, RED, PLAIN = "green", "orange", "red", "text"

Steps = Sequence[tuple[float | None, str]]
"""Colours by the value from which they hold; the first is of everything below."""


def _target(query: Query, number: int, *, instant: bool) -> prometheus.Dataquery:
    target = prometheus.Dataquery().expr(query.expression).legend_format(query.legend)
    target = target.ref_id(chr(ord("A") + number)).datasource(SOURCE)
    return target.instant() if instant else target.range()


def _thresholds(steps: Steps) -> builder.ThresholdsConfig:
    made = [dashboard.Threshold(value=value, color=color) for value, color in steps]
    return builder.ThresholdsConfig().mode(dashboard.ThresholdsMode.ABSOLUTE).steps(made)


def number(
    title: str, description: str, query: Query, *, unit: str, steps: Steps = ((None, PLAIN),)
) -> Builder[dashboard.Panel]:
    """One figure of now, coloured by what it means."""
    reduce = common_builder.ReduceDataOptions().calcs(["lastNotNull"])
    return (
        stat.Panel()
        .title(title)
        .description(description)
        .datasource(SOURCE)
        .unit(unit)
        .thresholds(_thresholds(steps))
        .color_mode(common.BigValueColorMode.VALUE)
        .graph_mode(common.BigValueGraphMode.AREA)
        .reduce_options(reduce)
        .no_value("none")
        .span(4)
        .height(4)
        .with_target(_target(query, 0, instant=False))
    )


def graph(
    title: str,
    description: str,
    *queries: Query,
    unit: str,
    stacked: bool = False,
    steps: Steps = (),
    span: int = 12,
) -> Builder[dashboard.Panel]:
    """Lines over time; with `steps`, dashed lines where it becomes bad.

    Args:
        title: what is shown.
        description: what it means, and when to worry.
        queries: at least one.
        unit: one of Grafana's units.
        stacked: the series are parts of a whole.
        steps: where it becomes bad.
        span: width, of 24.
    """
    legend = (
        common_builder.VizLegendOptions()
        .display_mode(common.LegendDisplayMode.TABLE)
        .placement(common.LegendPlacement.BOTTOM)
        .show_legend(True)
        .calcs(["lastNotNull", "max"])
    )
    tooltip = common_builder.VizTooltipOptions().mode(common.TooltipDisplayMode.MULTI)
    panel = (
        timeseries.Panel()
        .title(title)
        .description(description)
        .datasource(SOURCE)
        .unit(unit)
        .min(0)
        .no_value("none")
        .line_width(1)
        .fill_opacity(25 if stacked else 5)
        .show_points(common.VisibilityMode.NEVER)
        .legend(legend)
        .tooltip(tooltip.sort(common.SortOrder.DESCENDING))
        .span(span)
        .height(8)
    )
    if stacked:
        panel = panel.stacking(common_builder.StackingConfig().mode(common.StackingMode.NORMAL))
    if steps:
        style = common_builder.GraphThresholdsStyleConfig()
        style = style.mode(common.GraphThresholdsStyleMode.DASHED)
        panel = panel.thresholds(_thresholds(steps)).thresholds_style(style)
    for place, query in enumerate(queries):
        panel = panel.with_target(_target(query, place, instant=False))
    return panel
