"""A dashboard's frame: its variables, its links to the others, and its panels in rows."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from docs.dashboards.panel import SOURCE
from grafana_foundation_sdk.builders import dashboard as builder
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import dashboard

from mcp_gateway.telemetry import definitions as metric

TAG = "mcp-gateway"

Row = tuple[str, Sequence[Builder[dashboard.Panel]]]


def frame(name: str, title: str, description: str) -> builder.Dashboard:
    """A dashboard without panels, of the last hour."""
    others = (
        builder.DashboardLink("MCPGateway")
        .type(dashboard.DashboardLinkType.DASHBOARDS)
        .tags([TAG])
        .as_dropdown(True)
        .include_vars(True)
        .keep_time(True)
    )
    source = builder.DatasourceVariable("datasource").label("Data source").type("prometheus")
    return (
        builder.Dashboard(title)
        .uid(f"{TAG}-{name}")
        .description(description)
        .tags([TAG])
        .time("now-1h", "now")
        .refresh("30s")
        .tooltip(dashboard.DashboardCursorSync.CROSSHAIR)
        .link(others)
        .with_variable(source)
    )


def choice(name: str, label: str, query: str) -> builder.QueryVariable:
    """A variable whose values are a label's; all of them unless somebody chooses."""
    every = dashboard.VariableOption(selected=True, text=["All"], value=["$__all"])
    return (
        builder.QueryVariable(name)
        .label(label)
        .datasource(SOURCE)
        .query(query)
        .refresh(dashboard.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(dashboard.VariableSort.ALPHABETICAL_ASC)
        .multi(True)
        .include_all(True)
        .all_value(".*")
        .current(every)
    )


def of_gateways(made: builder.Dashboard) -> builder.Dashboard:
    """Add the two variables that choose a gateway."""
    known = metric.REQUESTS_IN_FLIGHT.name
    of_namespace = f'label_values({known}{{namespace=~"$namespace"}}, gateway)'
    return made.with_variable(
        choice("namespace", "Namespace", f"label_values({known}, namespace)")
    ).with_variable(choice("gateway", "Gateway", of_namespace))


def marks(name: str, color: str, expression: str, title: str) -> builder.AnnotationQuery:
    """Vertical lines where an expression has a value, with the labels in `title`."""
    return (
        _Marks()
        .name(name)
        .datasource(SOURCE)
        .enable(True)
        .icon_color(color)
        .told(expression, title)
    )


class _Annotation(dashboard.AnnotationQuery):
    """An annotation of a Prometheus data source: its plugin has fields of its own."""

    title_format: str = ""

    def to_json(self) -> dict[str, object]:
        return {**super().to_json(), "titleFormat": self.title_format, "step": "15s"}


class _Marks(builder.AnnotationQuery):
    def __init__(self) -> None:
        self._internal = _Annotation()

    def told(self, expression: str, title: str) -> builder.AnnotationQuery:
        assert isinstance(self._internal, _Annotation)
        self._internal.title_format = title
        return self.expr(expression)


def text(made: builder.Dashboard, rows: Sequence[Row]) -> str:
    """Put the rows in, and write it as Grafana imports it."""
    for title, panels in rows:
        made = made.with_row(builder.Row(title))
        for panel in panels:
            made = made.with_panel(panel)
    whole: dict[str, Any] = json.loads(json.dumps(made.build(), cls=JSONEncoder))
    for number, panel in enumerate(whole["panels"], start=1):
        panel["id"] = number
    return json.dumps(whole, indent=1, sort_keys=True) + "\n"
