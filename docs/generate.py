"""Writes the files that are made from the code. `make generate` runs this.

Each file has one function that returns its text; the same code gives the same text, so that
`git diff --exit-code` after it tells whether a file was left behind.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from docs.chart_definition import chart_definition
from docs.cli_page import cli_page
from docs.metrics_page import metrics_page
from docs.operator_cli_page import operator_cli_page
from docs.resource_page import resource_page

from mcp_gateway.api import crd

ROOT = Path(__file__).parent.parent

FILES: dict[str, Callable[[], str]] = {
    "charts/mcp-gateway-crds/templates/mcpgateways.yaml": chart_definition,
    "docs/reference/cli.md": cli_page,
    "docs/reference/mcpgateway.md": resource_page,
    "docs/reference/metrics.md": metrics_page,
    "docs/reference/operator-cli.md": operator_cli_page,
    "manifests/crds/mcpgateways.yaml": crd.to_yaml,
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
