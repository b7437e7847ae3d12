"""Pools and tuning: is the account full, who holds it, what does the provider refuse, and why."""

from __future__ import annotations

from docs.dashboards.board import choice, frame, marks, of_gateways, text
from docs.dashboards.panel import GREEN, ORANGE, RED, graph, number
from docs.dashboards.query import Query, rate, ratio, series, total

from mcp_gateway.telemetry import definitions as metric
from mcp_gateway_operator.metrics import TUNING

PREFIX = "mcp_gateway_operator_tuning_"
ONE = 'provider=~"$provider"'
REFUSALS = "concurrency|frequency|tokens|quota|overload"
LIMIT = "{{gateway}} {{provider}} {{model}}"


def limit(name: str) -> str:
    """What the operator says of every chosen limit."""
    assert name in TUNING
    return total(series(PREFIX + name, ONE), "namespace", "gateway", "provider", "model")


def by_account(expression: str) -> str:
    """Added up over the pods."""
    return total(expression, "namespace", "gateway", "provider")


def changes(direction: str) -> str:
    """Where a ceiling was changed in the last minute."""
    found = series(f"{PREFIX}changes_total", f'{ONE},direction="{direction}"')
    return f"increase({found}[1m]) > 0"


IN_FLIGHT = series(metric.CONNECTIONS, f'{ONE},state="in_flight"')
LIMITS = series(metric.LIMIT, ONE)
WAITED = total(rate(metric.WAIT_SECONDS, ONE), "provider")
REFUSED = rate(metric.ATTEMPTS, f'{ONE},outcome=~"{REFUSALS}"')
NOW = (
    number(
        "Fullest account",
        "Requests in flight, of those that its pods may have in flight. Near 100 % with nobody "
        "waiting is what one pays for.",
        Query(f"max({ratio(by_account(IN_FLIGHT), by_account(LIMITS))})", ""),
        unit="percentunit",
        steps=((None, GREEN), (0.9, ORANGE)),
    ),
    number(
        "Ceiling",
        "Requests that the accounts may have in flight, as the operator knows them now.",
        Query(f"sum({limit('ceiling')})", ""),
        unit="short",
    ),
    number(
        "In flight",
        "Requests in flight at the providers.",
        Query(total(IN_FLIGHT), ""),
        unit="short",
    ),
    number(
        "Waiting",
        "Requests that wait for a connection. Some are normal when an account is full.",
        Query(total(series(metric.WAITING, ONE)), ""),
        unit="short",
        steps=((None, GREEN), (1, ORANGE), (50, RED)),
    ),
    number(
        "Refused",
        "Part of the attempts that the providers refused for load. Under 0.6 % is the aim.",
        Query(
            ratio(f"({total(REFUSED)} or vector(0))", total(rate(metric.ATTEMPTS, ONE))),
            "",
        ),
        unit="percentunit",
        steps=((None, GREEN), (0.006, ORANGE), (0.05, RED)),
    ),
    number(
        "Frozen",
        "Limits whose ceiling is kept as it is: on request, or because pods do not report.",
        Query(f"sum({limit('frozen')})", ""),
        unit="short",
        steps=((None, GREEN), (1, ORANGE)),
    ),
)
ACCOUNT = (
    graph(
        "Ceiling, shares and what is in flight",
        "The heart of it, as the operator sees it. *Granted* never exceeds *ceiling*; *in flight* "
        "follows it under load. A ceiling below *stated* was cut because the provider refused; the "
        "lines across the graph mark each change, and `kubectl describe mcpgw` says why.",
        Query(limit("stated"), f"{LIMIT} stated"),
        Query(limit("ceiling"), f"{LIMIT} ceiling"),
        Query(limit("granted"), f"{LIMIT} granted"),
        Query(limit("in_flight"), f"{LIMIT} in flight"),
        unit="short",
        span=16,
    ),
    graph(
        "Waiting for the account",
        "Requests that wait, as the operator sees them. Waiting while *in flight* is well under "
        "*granted* means that the shares are in the wrong pods, for a second or two at most.",
        Query(limit("waiting"), LIMIT),
        unit="short",
        span=8,
    ),
    graph(
        "Refusals by cause",
        "`concurrency` cuts the ceiling, `frequency` and `tokens` drain the rates, `quota` opens "
        "the breaker until its reset, `overload` is the provider's own trouble and moves nothing.",
        Query(
            total(REFUSED, "provider", "outcome") + " > 0",
            "{{provider}} {{outcome}}",
        ),
        unit="reqps",
        stacked=True,
    ),
    graph(
        "Recommended",
        "With `tuning.mode: Recommend`: what the operator would allow, and why it would is in the "
        "status. Empty in the other modes.",
        Query(limit("recommended"), f"{LIMIT} recommended"),
        Query(limit("stated"), f"{LIMIT} stated"),
        unit="short",
    ),
    graph(
        "Changes of the ceiling",
        "In ten minutes. Up by probing while it is full, down on refusals; many of both mean that "
        "the provider's limit itself moves.",
        Query(
            "sum by (namespace, gateway, provider, model, direction)"
            f" (increase({series(f'{PREFIX}changes_total', ONE)}[10m]))",
            f"{LIMIT} {{{{direction}}}}",
        ),
        unit="short",
    ),
    graph(
        "Requests a minute",
        "Attempts that were made, beside what the pods may make and what is stated. Nothing is "
        "shown of a limit that nobody stated.",
        Query(f"60 * {total(rate(metric.ATTEMPTS, ONE), 'provider')}", "{{provider}} made"),
        Query(limit("requests_per_minute"), f"{LIMIT} granted"),
        Query(limit("requests_per_minute_stated"), f"{LIMIT} stated"),
        unit="short",
    ),
    graph(
        "Tokens a minute",
        "Tokens that were used, beside what the pods may use and what is stated.",
        Query(f"60 * {total(rate(metric.TOKENS, ONE), 'provider')}", "{{provider}} used"),
        Query(limit("tokens_per_minute"), f"{LIMIT} granted"),
        Query(limit("tokens_per_minute_stated"), f"{LIMIT} stated"),
        unit="short",
    ),
)
PODS = (
    graph(
        "In flight by pod",
        "Who uses the account.",
        Query(
            total(IN_FLIGHT, "pod", "provider"),
            "{{pod}} {{provider}}",
        ),
        unit="short",
        stacked=True,
    ),
    graph(
        "Limit by pod",
        "What each pod may have in flight now: its share, or less where it was refused itself.",
        Query(total(LIMITS, "pod", "provider"), "{{pod}} {{provider}}"),
        unit="short",
        stacked=True,
    ),
    graph(
        "Waiting by pod",
        "Where requests wait. One pod alone, over minutes: its clients are not spread.",
        Query(total(series(metric.WAITING, ONE), "pod", "provider"), "{{pod}} {{provider}}"),
        unit="short",
        stacked=True,
    ),
    graph(
        "Mean wait for a connection",
        "Seconds per attempt, and per attempt that had to wait at all.",
        Query(
            ratio(WAITED, total(rate(metric.ATTEMPTS, ONE), "provider")),
            "{{provider}}",
        ),
        Query(
            ratio(WAITED, total(rate(metric.WAITS, ONE), "provider")),
            "{{provider}} of those that waited",
        ),
        unit="s",
        steps=((None, GREEN), (5, ORANGE)),
    ),
    graph(
        "Rates in use",
        "Begun within the last minute, of what the pods may begin; nothing is shown where no rate "
        "bounds them. Requests wait at 100 %.",
        Query(
            ratio(
                total(series(metric.RATE_USED, ONE), "provider", "unit"),
                total(series(metric.RATE_LIMIT, ONE), "provider", "unit"),
            ),
            "{{provider}} {{unit}}",
        ),
        unit="percentunit",
        steps=((None, GREEN), (0.95, ORANGE)),
    ),
    graph(
        "Kept warm",
        "Idle connections, and how many are kept because demand wants them.",
        Query(
            total(series(metric.CONNECTIONS, f'{ONE},state="idle"'), "provider"),
            "{{provider}} idle",
        ),
        Query(total(series(metric.WARM, ONE), "provider"), "{{provider}} warm"),
        unit="short",
    ),
    graph(
        "Attempts by way of another pod",
        "More pods than slots: a pod without one sends the attempt to a pod that has. `out` and "
        "`in` are the two sides of it; `elsewhere` found no slot there and was tried again.",
        Query(total(rate(metric.HOPS), "direction", "outcome"), "{{direction}} {{outcome}}"),
        unit="reqps",
    ),
    graph(
        "Connections",
        "Upstream connections by what they do. Many `connecting` for long: the network, or TLS.",
        Query(
            total(series(metric.CONNECTIONS, ONE), "provider", "state"), "{{provider}} {{state}}"
        ),
        unit="short",
        stacked=True,
    ),
    graph(
        "Circuit breakers",
        "1 lets nothing through, 0.5 probes, 0 is closed; the worst of the pods. Runbook: "
        "MCPGatewayBreakerOpen.",
        Query(f"max by (provider) ({series(metric.BREAKER_OPEN, ONE)})", "{{provider}}"),
        unit="short",
        steps=((None, GREEN), (1, RED)),
    ),
)
WORD = (
    graph(
        "Share by pod",
        "What the operator granted to each; nothing where it does not divide. The sum of a "
        "provider's is *granted* above.",
        Query(total(series(metric.SHARE, ONE), "pod", "provider"), "{{pod}} {{provider}}"),
        unit="short",
        stacked=True,
    ),
    graph(
        "Accounts by whose word they are used",
        "`grant` is the normal of mode Auto. `bootstrap` is a pod that found no operator and takes "
        "a careful part; `nothing` waits for a first grant, for seconds at most.",
        Query(total(series(metric.TUNED_ACCOUNTS), "standing"), "{{standing}}"),
        unit="short",
        stacked=True,
    ),
    graph(
        "Pods with an operator",
        "Pods that have a control channel open. Fewer than there are: MCPGatewayConfigNotApplied.",
        Query(total(series(metric.OPERATOR_CONNECTED)), "connected"),
        Query(f"count({series(metric.OPERATOR_CONNECTED)})", "pods"),
        unit="short",
    ),
    graph(
        "Age of the operator's last word",
        "The oldest over the pods. Silence for more than some seconds lets pods keep their shares "
        "as caps; grants are old where nothing changes, which is well.",
        Query(f"max({series(metric.OPERATOR_CONTACT_AGE)})", "last word"),
        Query(f"max({series(metric.GRANT_AGE)})", "last grant"),
        unit="s",
    ),
)


def pools() -> str:
    """The dashboard, as JSON."""
    made = of_gateways(
        frame("pools", "MCPGateway pools and tuning", "Every provider's account, and its division.")
    )
    known = f"label_values({series(metric.LIMIT)}, provider)"
    made = made.with_variable(choice("provider", "Provider", known))
    made = made.annotation(
        marks("Ceiling lowered", RED, changes("lowered"), f"{LIMIT}: ceiling lowered")
    ).annotation(marks("Ceiling raised", GREEN, changes("raised"), f"{LIMIT}: ceiling raised"))
    return text(
        made,
        (("Now", NOW), ("The account", ACCOUNT), ("The pods", PODS), ("The operator's word", WORD)),
    )
