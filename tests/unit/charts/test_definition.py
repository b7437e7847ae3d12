"""The chart's copy of the definition is the generated one, and outlives the chart."""

from __future__ import annotations

from pathlib import Path

import yaml
from docs.chart_definition import chart_definition

from mcp_gateway.api import crd

FILE = Path(__file__).parents[3] / "charts/mcp-gateway-crds/templates/mcpgateways.yaml"


def test_the_copy_is_current() -> None:
    assert FILE.read_text(encoding="utf-8") == chart_definition(), "run `make generate`"


def test_it_is_the_definition_and_is_kept() -> None:
    copy = yaml.safe_load(FILE.read_text(encoding="utf-8"))
    assert copy["metadata"].pop("annotations") == {"helm.sh/resource-policy": "keep"}
    assert copy == crd.custom_resource_definition()
