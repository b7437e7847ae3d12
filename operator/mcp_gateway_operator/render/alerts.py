"""The alerts that matter, for one gateway or for all, as Prometheus evaluates them.

Every expression keeps the labels `namespace` and `gateway`, which a scrape adds to a pod's series
and the operator writes into its own. The windows and burn rates are those of the Site Reliability
Workbook, chapter 5: fast enough to page before much is lost, slow enough not to page for nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final, Literal

RUNBOOKS: Final = "docs/how-to/runbooks"
"""Where the pages are, in this repository; whoever serves them elsewhere says so."""
OBJECTIVE: Final = 0.99
"""Share of chats that are to be answered, where nobody says otherwise."""

FAILED: Final = "upstream_error|timeout|overloaded|error"
"""Statuses of a chat that are the gateway's or the provider's failure."""
NOT_OURS: Final = "invalid|unauthenticated|denied|no_route|rate_limited|cancelled"
"""Statuses of a chat that its client made: they spend no budget."""

MINUTE: Final = 60.0
HOUR: Final = 3600.0
DAY: Final = 86_400.0

LAG: Final = 5 * MINUTE
"""Age of the oldest record without a copy from which on recording lags."""


@dataclass(frozen=True, slots=True)
class Alert:
    """One alert.

    Attributes:
        name: also the name of its page in `docs/how-to/runbooks`.
        severity: `critical` wakes somebody; `warning` waits for the morning.
        expression: true while something is wrong.
        hold: seconds for which it must be true first.
        summary: one line, with the labels in it.
        description: what it means and what to look at first.
    """

    name: str
    severity: Literal["critical", "warning"]
    expression: str
    hold: float
    summary: str
    description: str


@dataclass(frozen=True, slots=True)
class Scope:
    """What alerts are about.

    Attributes:
        matchers: of series, such as `namespace="ai",gateway="llm"`; empty for all.
        objective: share of chats that are to be answered, as it is put into expressions.
        runbooks: address of the folder of runbooks.
        pace: factor on every window and `for`; below 1, a day passes in less.
    """

    matchers: str = ""
    objective: str = f"{OBJECTIVE:g}"
    runbooks: str = RUNBOOKS
    pace: float = 1.0

    def of(self, metric: str, matchers: str = "") -> str:
        """A metric's series."""
        both = ",".join(part for part in (self.matchers, matchers) if part)
        return f"{metric}{{{both}}}" if both else metric

    def span(self, seconds: float) -> str:
        """A duration as PromQL spells it, at this pace."""
        milliseconds = round(seconds * self.pace * 1000)
        for unit, size in (("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000)):
            if milliseconds % size == 0 and milliseconds >= size:
                return f"{milliseconds // size}{unit}"
        return f"{milliseconds}ms" if milliseconds else "0s"

    def rules(self, alerts: Iterable[Alert]) -> list[dict[str, Any]]:
        """Alerts as Prometheus reads them."""
        return [
            {
                "alert": alert.name,
                "expr": alert.expression,
                "for": self.span(alert.hold),
                "labels": {"severity": alert.severity},
                "annotations": {
                    "summary": alert.summary,
                    "description": alert.description,
                    "runbook_url": f"{self.runbooks}/{alert.name}.md",
                },
            }
            for alert in alerts
        ]


def gateway_groups(scope: Scope) -> list[dict[str, Any]]:
    """The groups of rules about gateways."""
    return [
        {"name": "mcp-gateway-budget", "rules": scope.rules(_budget(scope))},
        {"name": "mcp-gateway-providers", "rules": scope.rules(_providers(scope))},
        {"name": "mcp-gateway-recording", "rules": scope.rules(_recording(scope))},
        {"name": "mcp-gateway-control", "rules": scope.rules(_control(scope))},
    ]


def operator_groups(scope: Scope) -> list[dict[str, Any]]:
    """The groups of rules about the operator itself."""
    leading = scope.of("mcp_gateway_operator_leading")
    alert = Alert(
        "MCPGatewayOperatorLeaderless",
        "warning",
        f"sum by (namespace) ({leading}) < 1 or absent({leading})",
        2 * MINUTE,
        "No operator leads",
        "Gateways go on as they are: pods keep their configuration and their shares. Changes of"
        " MCPGateways are not carried out and shares do not follow the load until one leads.",
    )
    return [{"name": "mcp-gateway-operator", "rules": scope.rules([alert])}]


def _burns(scope: Scope, long: float, short: float, rate: float) -> str:
    """Whether the budget burns `rate` times too fast, over a long time and still now."""

    def over(window: float) -> str:
        span = scope.span(window)
        chats = 'operation="chat"'
        failed = scope.of("mcp_gateway_requests_total", f'{chats},status=~"{FAILED}"')
        counted = scope.of("mcp_gateway_requests_total", f'{chats},status!~"{NOT_OURS}"')
        by = "sum by (namespace, gateway)"
        ratio = f"{by} (rate({failed}[{span}])) / {by} (rate({counted}[{span}]))"
        return f"{ratio} > {rate:g} * (1 - {scope.objective})"

    return f"({over(long)} and {over(short)})"


def _budget(scope: Scope) -> Iterator[Alert]:
    summary = (
        "{{ $labels.namespace }}/{{ $labels.gateway }}"
        " fails {{ $value | humanizePercentage }} of its chats"
    )
    fast = [_burns(scope, HOUR, 5 * MINUTE, 14.4), _burns(scope, 6 * HOUR, 30 * MINUTE, 6)]
    yield Alert(
        "MCPGatewayErrorBudgetBurnFast",
        "critical",
        " or ".join(fast),
        2 * MINUTE,
        summary,
        "At this rate the error budget of thirty days is gone in less than five. Failures are those"
        " of providers and of the gateway itself; what clients did wrong is not counted.",
    )
    slow = [_burns(scope, DAY, 2 * HOUR, 3), _burns(scope, 3 * DAY, 6 * HOUR, 1)]
    yield Alert(
        "MCPGatewayErrorBudgetBurnSlow",
        "warning",
        " or ".join(slow),
        15 * MINUTE,
        summary,
        "At this rate the error budget of thirty days does not last them. There is time until the"
        " morning, not until next week.",
    )


def _providers(scope: Scope) -> Iterator[Alert]:
    by = "sum by (namespace, gateway, provider)"
    where = "{{ $labels.namespace }}/{{ $labels.gateway }}"
    five = scope.span(5 * MINUTE)

    def average(metric: str, matchers: str = "") -> str:
        return f"{by} (avg_over_time({scope.of(metric, matchers)}[{five}]))"

    in_flight = average("mcp_gateway_pool_connections", 'state="in_flight"')
    yield Alert(
        "MCPGatewayProviderSaturated",
        "warning",
        f"{average('mcp_gateway_pool_waiting')} >= 1"
        f" and {in_flight} >= 0.9 * {average('mcp_gateway_pool_limit')}",
        5 * MINUTE,
        f"{where}: {{{{ $labels.provider }}}} is full, "
        "{{ $value | humanize }} requests wait for it on average",
        "As many requests are in flight as the account allows, and more wait. Clients see longer"
        " answers, then `overloaded` once they have waited for `pool.acquireTimeout`.",
    )
    yield Alert(
        "MCPGatewayBreakerOpen",
        "warning",
        "max by (namespace, gateway, provider)"
        f" (max_over_time({scope.of('mcp_gateway_breaker_open')}[{scope.span(MINUTE)}])) >= 1",
        2 * MINUTE,
        f"{where}: {{{{ $labels.provider }}}} is not called, its circuit breaker is open",
        "Too many of its answers failed, or its quota is used up until a stated time. Routes with"
        " another backend go there; the others answer with an error at once.",
    )
    refused = scope.of("mcp_gateway_upstream_attempts_total", 'outcome="credential"')
    yield Alert(
        "MCPGatewayCredentialRefused",
        "critical",
        f"{by} (increase({refused}[{five}])) > 0",
        0.0,
        f"{where}: {{{{ $labels.provider }}}} refuses the key",
        "The provider answers that the key is not valid. It does not get better by itself: every"
        " request there fails until the Secret holds a key that works.",
    )


def _recording(scope: Scope) -> Iterator[Alert]:
    where = "{{ $labels.namespace }}/{{ $labels.gateway }}"
    lag = scope.of("mcp_gateway_recording_lag_seconds")
    yield Alert(
        "MCPGatewayRecordingLag",
        "warning",
        f"max by (namespace, gateway) ({lag}) > {LAG * scope.pace:g}",
        5 * MINUTE,
        f"{where}: the database is {{{{ $value | humanizeDuration }}}} behind",
        "Records wait in the pods' spools. Requests are answered as ever and nothing is lost yet;"
        " it is once a spool is full, or once a pod without a volume is deleted.",
    )
    ten = scope.span(10 * MINUTE)
    dropped = scope.of("mcp_gateway_records_dropped_total")
    dead = scope.of("mcp_gateway_records_total", 'state="dead_lettered"')
    dead_letters = f"sum by (namespace, gateway) (increase({dead}[{ten}]))"
    yield Alert(
        "MCPGatewayRecordingLoss",
        "critical",
        f"sum by (namespace, gateway, reason) (increase({dropped}[{ten}])) > 0"
        f' or label_replace({dead_letters}, "reason", "dead_lettered", "", "") > 0',
        0.0,
        f"{where}: about {{{{ $value | humanize }}}} records lost ({{{{ $labels.reason }}}})",
        "Interactions of the last ten minutes are not in the database and will not come there by"
        " themselves. Dead letters are still in the spool; the other reasons mean that they are"
        " gone.",
    )


def _control(scope: Scope) -> Iterator[Alert]:
    where = "{{ $labels.namespace }}/{{ $labels.gateway }}"
    yield Alert(
        "MCPGatewayTuningFrozen",
        "warning",
        "max by (namespace, gateway, provider, model)"
        f" ({scope.of('mcp_gateway_operator_tuning_frozen')}) == 1",
        10 * MINUTE,
        f"{where}: the ceiling of {{{{ $labels.provider }}}}"
        "{{ with $labels.model }} {{ . }}{{ end }} is frozen",
        "Either somebody froze it by the annotation gateway.exai.dev/freeze-tuning, or too many"
        " pods do not report. Shares are still divided; the ceiling does not follow the provider.",
    )
    by = "sum by (namespace, gateway)"
    wanted = scope.of("mcp_gateway_operator_config_wanted_pods")
    applied = scope.of("mcp_gateway_operator_config_applied_pods")
    refused = scope.of("mcp_gateway_config_refused_total")
    yield Alert(
        "MCPGatewayConfigNotApplied",
        "warning",
        f"{by} ({wanted}) - {by} ({applied}) > 0"
        f" or {by} (increase({refused}[{scope.span(10 * MINUTE)}])) > 0",
        5 * MINUTE,
        f"{where}: not every pod runs the configuration that was asked for",
        "A pod refused it or does not answer the operator. It runs the last one that was good.",
    )
