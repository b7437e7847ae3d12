"""Overview: is it well, and if not, who suffers from what."""

from __future__ import annotations

from docs.dashboards.board import frame, of_gateways, text
from docs.dashboards.panel import GREEN, ORANGE, RED, graph, number
from docs.dashboards.query import Query, mean, quantile, rate, ratio, series, total

from mcp_gateway.telemetry import definitions as metric
from mcp_gateway_operator.render.alerts import FAILED, NOT_OURS

CHATS = 'operation="chat"'
FAILING = total(rate(metric.REQUESTS, f'{CHATS},status=~"{FAILED}"'))
COUNTED = total(rate(metric.REQUESTS, f'{CHATS},status!~"{NOT_OURS}"'))

NOW = (
    number(
        "Chats answered",
        "Part of the chats that got an answer. What clients did wrong (bad input, no credential, "
        "no route, their own rate) and what they cancelled is not counted. The alerts about the "
        "error budget look at the same figure.",
        Query(f"1 - {ratio(f'({FAILING} or vector(0))', COUNTED)}", ""),
        unit="percentunit",
        steps=((None, RED), (0.99, ORANGE), (0.999, GREEN)),
    ),
    number(
        "Requests",
        "Everything that clients asked for, also lists of models and the protocol's own messages.",
        Query(total(rate(metric.REQUESTS)), ""),
        unit="reqps",
    ),
    number(
        "95 % of chats within",
        "Nineteen of twenty chats took at most this long, the provider's time included.",
        Query(quantile(0.95, metric.ROUTE_DURATION), ""),
        unit="s",
        steps=((None, GREEN), (30, ORANGE), (60, RED)),
    ),
    number(
        "In flight",
        "Requests that are being worked on now.",
        Query(total(series(metric.REQUESTS_IN_FLIGHT)), ""),
        unit="short",
    ),
    number(
        "Waiting for a provider",
        "Requests that wait because a provider's account takes no more; see *Pools and tuning*.",
        Query(total(series(metric.WAITING)), ""),
        unit="short",
        steps=((None, GREEN), (1, ORANGE), (50, RED)),
    ),
    number(
        "Providers cut off",
        "Circuit breakers that let nothing through, over all pods.",
        Query(f"sum({series(metric.BREAKER_OPEN)} >= bool 1)", ""),
        unit="short",
        steps=((None, GREEN), (1, RED)),
    ),
)
TRAFFIC = (
    graph(
        "Requests by how they ended",
        "`ok` should be nearly all of it. `upstream_error`, `timeout`, `overloaded` and `error` "
        "spend the error budget; the others are the clients' doing.",
        Query(total(rate(metric.REQUESTS), "status"), "{{status}}"),
        unit="reqps",
        stacked=True,
    ),
    graph(
        "Requests by door",
        "Where clients come in: MCP over HTTP, MCP over WebSocket, OpenAI's API, or embedded.",
        Query(total(rate(metric.REQUESTS), "face", "operation"), "{{face}} {{operation}}"),
        unit="reqps",
        stacked=True,
    ),
    graph(
        "Chats by route",
        "Which route of the document took them.",
        Query(total(rate(metric.ROUTE_REQUESTS), "route"), "{{route}}"),
        unit="reqps",
        stacked=True,
    ),
    graph(
        "Client connections",
        "Open connections. Refused ones (a second) were over `server.limits.maxConnections`.",
        Query(total(series(metric.DOWNSTREAM_CONNECTIONS), "face"), "open {{face}}"),
        Query(total(rate(metric.DOWNSTREAM_ACCEPTED, 'outcome="refused"')), "refused a second"),
        unit="short",
    ),
)
ERRORS = (
    graph(
        "Chats that failed",
        "By route and status, without what clients did wrong. Runbook: "
        "MCPGatewayErrorBudgetBurnFast.",
        Query(
            total(rate(metric.ROUTE_REQUESTS, f'status=~"{FAILED}"'), "route", "status") + " > 0",
            "{{route}} {{status}}",
        ),
        unit="reqps",
        stacked=True,
    ),
    graph(
        "Upstream attempts that failed",
        "By provider and cause, before retries and failover: it may be high while clients notice "
        "nothing. `credential` and `quota` do not go away by themselves.",
        Query(
            total(rate(metric.ATTEMPTS, 'outcome!~"ok|cancelled"'), "provider", "outcome") + " > 0",
            "{{provider}} {{outcome}}",
        ),
        unit="reqps",
        stacked=True,
    ),
    graph(
        "Retries",
        "Attempts that followed a failed one. The retry budget keeps them under a part of all.",
        Query(total(rate(metric.RETRIES), "provider"), "{{provider}}"),
        unit="reqps",
    ),
    graph(
        "Requests that could not be read",
        "Not HTTP, or not a message: a broken client, or somebody who tries.",
        Query(total(rate(metric.MALFORMED)), "not HTTP"),
        Query(total(rate(metric.REQUESTS, 'status="invalid"')), "invalid"),
        unit="reqps",
    ),
)
LATENCY = (
    graph(
        "Chats, whole time in the gateway",
        "Waiting, all attempts and the stream to its end.",
        *(
            Query(quantile(share, metric.ROUTE_DURATION, "route"), f"{{{{route}}}} {share:.0%}")
            for share in (0.5, 0.95, 0.99)
        ),
        unit="s",
    ),
    graph(
        "Provider, one attempt that succeeded",
        "First byte sent to last byte read. If this rises with the panel on the left, it is the "
        "provider that is slow, or answers are longer.",
        *(
            Query(
                quantile(share, metric.ATTEMPT_DURATION, "provider"),
                f"{{{{provider}}}} {share:.0%}",
            )
            for share in (0.5, 0.95)
        ),
        Query(mean(metric.ATTEMPT_DURATION, "provider"), "{{provider}} mean"),
        unit="s",
    ),
)
TOKENS = (
    graph(
        "Tokens a minute",
        "As the providers counted them: `input` is prompts, `output` is answers.",
        Query(
            f"60 * {total(rate(metric.TOKENS), 'provider', 'direction')}",
            "{{provider}} {{direction}}",
        ),
        unit="short",
        stacked=True,
    ),
    graph(
        "Cost an hour",
        "By the document's `prices`, in their currency; of models that have one. Without prices "
        "this is empty.",
        Query(f"3600 * {total(rate(metric.COST), 'provider')}", "{{provider}}"),
        unit="short",
        stacked=True,
    ),
)
PROCESS = (
    graph(
        "CPU of the pods",
        "Cores. One process uses at most one: near 1, more replicas are needed.",
        Query(total(rate("process_cpu_seconds_total", 'gateway!=""'), "pod"), "{{pod}}"),
        unit="short",
        steps=((None, GREEN), (0.8, ORANGE)),
    ),
    graph(
        "Memory of the pods",
        "Resident. It levels off; one that does not is a leak, and worth a report.",
        Query(total(series("process_resident_memory_bytes", 'gateway!=""'), "pod"), "{{pod}}"),
        unit="bytes",
    ),
    graph(
        "Configurations",
        "Documents that the pods applied since their start, and those they refused (runbook: "
        "MCPGatewayConfigNotApplied).",
        Query(f"max by (pod) ({series(metric.CONFIG_GENERATION)})", "applied by {{pod}}"),
        Query(f"sum by (pod) ({series(metric.CONFIG_REFUSED)})", "refused by {{pod}}"),
        unit="short",
    ),
    graph(
        "Spans of traces",
        "Where the document asks for traces: `failed` is a receiver that does not take them, "
        "`dropped` one that is too slow. Requests are not affected.",
        Query(total(rate(metric.SPANS), "outcome"), "{{outcome}}"),
        unit="ops",
    ),
)


def overview() -> str:
    """The dashboard, as JSON."""
    made = of_gateways(
        frame("overview", "MCPGateway overview", "Traffic, errors, latency, tokens and cost.")
    )
    return text(
        made,
        (
            ("Is it well?", NOW),
            ("Traffic", TRAFFIC),
            ("Errors", ERRORS),
            ("Latency", LATENCY),
            ("Tokens and cost", TOKENS),
            ("Pods", PROCESS),
        ),
    )
