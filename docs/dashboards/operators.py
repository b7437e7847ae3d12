"""Operator: does somebody lead, is it quick, and does it get what it asks for."""

from __future__ import annotations

from docs.dashboards.board import choice, frame, text
from docs.dashboards.panel import GREEN, ORANGE, RED, graph, number
from docs.dashboards.query import CHOSEN_OPERATOR, Query, quantile, rate, ratio, series, total

from mcp_gateway_operator.metrics import Metrics

OPERATOR = Metrics()
LEADING = f"mcp_gateway_operator_leading{{{CHOSEN_OPERATOR}}}"

FAILED = total(rate(OPERATOR.reconcile_seconds, 'outcome="failed"', "count"))


def of_process(expression: str) -> str:
    """Of the operator's processes only: `process_*` is everybody's."""
    return f"{expression} and on (namespace, pod) {LEADING}"


def of_pods(name: str) -> str:
    """A figure that the leader shows of every gateway of the cluster, whatever its namespace."""
    return f"sum(mcp_gateway_operator_config_{name}_pods)"


NOW = (
    number(
        "Leading",
        "Replicas that lead. It must be 1; 0 for more than a few seconds is "
        "MCPGatewayOperatorLeaderless.",
        Query(total(series(OPERATOR.leading)), ""),
        unit="short",
        steps=((None, RED), (1, GREEN), (2, RED)),
    ),
    number(
        "Gateways",
        "MCPGateways that the leader looks after.",
        Query(f"max({series(OPERATOR.gateways)})", ""),
        unit="short",
    ),
    number(
        "Pods as configured",
        "Pods that run the configuration they are to, of all.",
        Query(ratio(of_pods("applied"), of_pods("wanted")), ""),
        unit="percentunit",
        steps=((None, RED), (0.99, ORANGE), (1, GREEN)),
    ),
    number(
        "Waiting for a reconcile",
        "MCPGateways that changed and were not looked at yet.",
        Query(total(series(OPERATOR.queue_depth)), ""),
        unit="short",
        steps=((None, GREEN), (50, ORANGE)),
    ),
    number(
        "Failed reconciles",
        "Part of the reconciles that ended in an error; the log has it.",
        Query(
            ratio(
                f"({FAILED} or vector(0))",
                total(rate(OPERATOR.reconcile_seconds, part="count")),
            ),
            "",
        ),
        unit="percentunit",
        steps=((None, GREEN), (0.01, ORANGE), (0.1, RED)),
    ),
    number(
        "Leaderships",
        "Number of the leadership. It grows by one whenever another replica takes over.",
        Query(f"max({series(OPERATOR.epoch)})", ""),
        unit="short",
    ),
)
RECONCILES = (
    graph(
        "Reconciles",
        "By outcome: `retried` is a conflict or an API server that was busy, `failed` is looked "
        "into in the log.",
        Query(total(rate(OPERATOR.reconcile_seconds, part="count"), "outcome"), "{{outcome}}"),
        unit="ops",
        stacked=True,
    ),
    graph(
        "Time of a reconcile",
        "Mostly the API server's time.",
        *(
            Query(quantile(share, OPERATOR.reconcile_seconds), f"{share:.0%}")
            for share in (0.5, 0.95)
        ),
        unit="s",
    ),
    graph(
        "Requests to the API server",
        "By verb and status. Many 409 mean that somebody else writes the same objects.",
        Query(total(rate(OPERATOR.api_requests), "verb", "code"), "{{verb}} {{code}}"),
        unit="reqps",
        stacked=True,
    ),
    graph(
        "Waiting for its own rate limit",
        "Seconds waited in a second. Above 0 for long: more gateways change than it may write.",
        Query(total(rate(OPERATOR.api_wait_seconds)), "waited"),
        unit="short",
    ),
    graph(
        "Events and repairs",
        "Events that were posted, counted into one that was there, or dropped; and objects put "
        "right that somebody had changed.",
        Query(total(rate(OPERATOR.events), "outcome"), "events {{outcome}}"),
        Query(total(rate(OPERATOR.repairs)), "repairs"),
        unit="ops",
    ),
)
CONTROL = (
    graph(
        "Pods and their configuration",
        "A gap that stays is MCPGatewayConfigNotApplied; a canary's is as long as its window.",
        Query(of_pods("wanted"), "wanted"),
        Query(of_pods("applied"), "applied"),
        unit="short",
    ),
    graph(
        "From a push to a pod's answer",
        "By outcome. Well under a second.",
        Query(quantile(0.95, OPERATOR.push_seconds, "outcome"), "{{outcome}} 95%"),
        unit="s",
    ),
    graph(
        "Reports of pods",
        "A busy pod reports every second, an idle one hardly ever.",
        Query(total(rate(OPERATOR.reports)), "reports"),
        unit="ops",
    ),
    graph(
        "Time of one decision of the tuner",
        "About all accounts at once; it decides every second where one is contended.",
        *(Query(quantile(share, OPERATOR.tick_seconds), f"{share:.0%}") for share in (0.5, 0.99)),
        unit="s",
    ),
)
PROCESS = (
    graph(
        "CPU",
        "Cores of the operator's pods.",
        Query(
            total(of_process("rate(process_cpu_seconds_total[$__rate_interval])"), "pod"),
            "{{pod}}",
        ),
        unit="short",
    ),
    graph(
        "Memory",
        "Resident; about 60 MB and 20 KB for each MCPGateway.",
        Query(total(of_process("process_resident_memory_bytes"), "pod"), "{{pod}}"),
        unit="bytes",
    ),
)


def operators() -> str:
    """The dashboard, as JSON."""
    made = frame("operator", "MCPGateway operator", "The operator: leadership, work and speed.")
    known = "label_values(mcp_gateway_operator_leading, namespace)"
    made = made.with_variable(choice("namespace", "Namespace of the operator", known))
    rows = (
        ("Now", NOW),
        ("Reconciles", RECONCILES),
        ("Control channels", CONTROL),
        ("Pods", PROCESS),
    )
    return text(made, rows)
