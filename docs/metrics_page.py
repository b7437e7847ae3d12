"""Makes `docs/reference/metrics.md` of the definitions in the code."""

from __future__ import annotations

from mcp_gateway.telemetry import definitions
from mcp_gateway.telemetry.cells import Metric

HEAD = """\
# Metrics

Made from the code by `make generate`.

`GET /metrics` on the admin port (9079) answers in Prometheus' text format, beside the process's own
`process_*` and `python_*` metrics.

Label sets are closed. Faces, statuses, outcomes and reasons are those listed here; `route` and
`provider` are the names in the document, and the two are never crossed. So a provider costs at most
40 series and a route at most 30, whatever clients send.

| metric | kind | labels | what it says |
|---|---|---|---|
"""

VALUES = """
## Values of labels

| metric | label | values |
|---|---|---|
"""

OTEL = """
## OpenTelemetry's names

| metric | semantic convention |
|---|---|
"""


def metrics_page() -> str:
    """The page's text."""
    metrics = sorted(definitions.ALL, key=lambda metric: metric.name)
    return "".join(
        [
            HEAD,
            *map(_row, metrics),
            VALUES,
            *(_values(metric) for metric in metrics),
            OTEL,
            *(f"| `{m.name}` | `{m.otel}` |\n" for m in metrics if m.otel),
        ]
    )


def _row(metric: Metric) -> str:
    labels = ", ".join(f"`{label}`" for label in metric.labels) or "none"
    text = metric.help
    if metric.bounds:
        text += f" Buckets up to {', '.join(f'{bound:g}' for bound in metric.bounds)}."
    return f"| `{metric.name}` | {metric.kind} | {labels} | {text} |\n"


def _values(metric: Metric) -> str:
    return "".join(
        f"| `{metric.name}` | `{label}` | {', '.join(f'`{value}`' for value in values)} |\n"
        for label, values in metric.values
    )
