"""Makes `docs/reference/metrics.md` of the definitions in the code."""

from __future__ import annotations

from prometheus_client.metrics import MetricWrapperBase

from mcp_gateway.telemetry import definitions
from mcp_gateway.telemetry.cells import Metric
from mcp_gateway_operator.metrics import Metrics

HEAD = """\
# Metrics

Made from the code by `make generate`.

`GET /metrics` on the admin port (9079) answers in Prometheus' text format, beside the process's own
`process_*` and `python_*` metrics.

Label sets are closed. Faces, statuses, outcomes and reasons are those listed here; `route` and
`provider` are the names in the document, and the two are never crossed. So a provider costs at most
40 series and a route at most 30, whatever clients send. All of them together cost a chat less than
3 µs of CPU, and measured less than one (`python -m tests.perf.metering`).

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

Names here are Prometheus' (a unit, `_total`); what a metric is by OpenTelemetry's semantic
conventions for generative AI, MCP and HTTP:

| metric | semantic convention |
|---|---|
"""

ATTRIBUTES = """
| label | attribute |
|---|---|
| `provider` | `gen_ai.provider.name`, by its name in the document |
| `direction` of tokens | `gen_ai.token.type` |
| `operation` | `gen_ai.operation.name` for `chat`; `mcp.method.name`, by family, for the others |
| `status`, `outcome`, `reason` | `error.type`, where it is not `ok` |
| `face` | `network.protocol.name`, and whose protocol is spoken |
| `state` of connections | `http.connection.state`; `in_flight` is `active` |
| `namespace`, `pod` (of the scrape) | `k8s.namespace.name`, `k8s.pod.name` |
| `gateway` (of the scrape) | `service.name` |

Three things are otherwise on purpose. There is no label for the model, since clients choose it and
label sets are closed; spans have it (`gen_ai.request.model`). Tokens are a counter and not a
histogram: a sum is what is paid for. And a status is told by name for every end of a request, not
for failures only, so that a ratio needs one metric.
"""

OPERATOR = """
## The operator's

`GET /metrics` on the operator's port 8080. Figures of gateways carry the gateway's own `namespace`.

| metric | kind | labels | what it says |
|---|---|---|---|
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
            ATTRIBUTES,
            OPERATOR,
            *_of_operator(),
        ]
    )


def _of_operator() -> list[str]:
    made = Metrics()
    labels = {
        next(iter(metric.describe())).name: metric._labelnames
        for metric in vars(made).values()
        if isinstance(metric, MetricWrapperBase)
    }
    labels |= {family.name: family._labelnames for family in made.watched.collect()}
    rows = []
    for family in made.registry.collect():
        if family.name in labels:
            name = family.name + ("_total" if family.type == "counter" else "")
            named = ", ".join(f"`{label}`" for label in labels[family.name]) or "none"
            rows.append(f"| `{name}` | {family.type} | {named} | {family.documentation} |\n")
    return sorted(rows)


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
