"""The page about metrics is that of the code, and knows the operator's too."""

from __future__ import annotations

from docs.generate import FILES, ROOT
from docs.metrics_page import metrics_page

from mcp_gateway.telemetry import definitions
from mcp_gateway_operator.metrics import TUNING

PAGE = "docs/reference/metrics.md"


def test_the_page_in_the_tree_is_that_of_the_code() -> None:
    assert (ROOT / PAGE).read_text(encoding="utf-8") == FILES[PAGE](), "run `make generate`"


def test_every_metric_is_on_the_page() -> None:
    page = metrics_page()
    for metric in definitions.ALL:
        assert f"| `{metric.name}` | {metric.kind} |" in page
    labels = "`namespace`, `gateway`, `provider`, `model`"
    for name, text in TUNING.items():
        assert f"| `mcp_gateway_operator_tuning_{name}` | gauge | {labels} | {text} |" in page
    assert "| `mcp_gateway_operator_push_seconds` | histogram | `outcome` |" in page


def test_otel_names_are_of_the_conventions_that_are_named() -> None:
    names = {metric.otel for metric in definitions.ALL if metric.otel}
    assert {name.partition(".")[0] for name in names} == {"gen_ai", "http", "mcp"}
