"""Writes the files that are made from the code. `make generate` runs this.

Each file has one function that returns its text; the same code gives the same text, so that
`git diff --exit-code` after it tells whether a file was left behind.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from docs.chart_definition import chart_definition
from docs.cli_page import cli_page
from docs.dashboards.operators import operators
from docs.dashboards.overview import overview
from docs.dashboards.pools import pools
from docs.dashboards.recordings import recordings
from docs.metrics_page import metrics_page
from docs.operator_cli_page import operator_cli_page
from docs.prometheus_rules import chart_gateway_rules, chart_operator_rules, plain_rules
from docs.resource_page import resource_page

from mcp_gateway.api import crd

ROOT = Path(__file__).parent.parent

DASHBOARDS: dict[str, Callable[[], str]] = {
    "overview.json": overview,
    "pools.json": pools,
    "recording.json": recordings,
}
OPERATORS_DASHBOARD = {"operator.json": operators}

# A chart and a package carry their own files only, so what both need is written to both.
CHART_FILES = "charts/mcp-gateway/monitoring"
PACKAGE_FILES = "operator/mcp_gateway_operator/render/dashboards"

FILES: dict[str, Callable[[], str]] = {
    "charts/mcp-gateway-crds/templates/mcpgateways.yaml": chart_definition,
    f"{CHART_FILES}/gateway-rules.yaml": chart_gateway_rules,
    f"{CHART_FILES}/operator-rules.yaml": chart_operator_rules,
    "docs/reference/cli.md": cli_page,
    "docs/reference/mcpgateway.md": resource_page,
    "docs/reference/metrics.md": metrics_page,
    "docs/reference/operator-cli.md": operator_cli_page,
    "manifests/crds/mcpgateways.yaml": crd.to_yaml,
    "manifests/prometheus-rules.yaml": plain_rules,
    **{f"{PACKAGE_FILES}/{name}": made for name, made in DASHBOARDS.items()},
    **{
        f"{folder}/{name}": made
        for folder in ("manifests/dashboards", f"{CHART_FILES}/dashboards")
        for name, made in {**DASHBOARDS, **OPERATORS_DASHBOARD}.items()
    },
}
"""The function that makes each file, by its place in the tree."""


def main() -> None:
    """Write every file anew, and say which ones."""
    for name, text in FILES.items():
        path = ROOT / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text(), encoding="utf-8")
        print(name)


if __name__ == "__main__":
    main()
