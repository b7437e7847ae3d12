"""Every alert's fault as series that promtool makes up: what is so while all is well, and what not.

Values are promtool's: `0+60x120` begins at 0 and adds 60 a hundred and twenty times, one a minute.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

MINUTES = 400
GATEWAY = 'namespace="ai",gateway="llm",pod="llm-1"'
KIMI = f'{GATEWAY},provider="kimi"'
LIMIT = 'namespace="ai",gateway="llm",provider="kimi",model=""'
CHAT = f'mcp_gateway_requests_total{{{GATEWAY},face="http",operation="chat",'
OK, FAILED = f'{CHAT}status="ok"}}', f'{CHAT}status="upstream_error"}}'
INVALID = f'{CHAT}status="invalid"}}'
WAITING = f"mcp_gateway_pool_waiting{{{KIMI}}}"
IN_FLIGHT = f'mcp_gateway_pool_connections{{{KIMI},state="in_flight"}}'
POOL_LIMIT = f"mcp_gateway_pool_limit{{{KIMI}}}"
BREAKER = f"mcp_gateway_breaker_open{{{KIMI}}}"
CREDENTIAL = f'mcp_gateway_upstream_attempts_total{{{KIMI},outcome="credential"}}'
LAG = f"mcp_gateway_recording_lag_seconds{{{GATEWAY}}}"
DROPPED = f'mcp_gateway_records_dropped_total{{{GATEWAY},reason="disk"}}'
DEAD = f'mcp_gateway_records_total{{{GATEWAY},state="dead_lettered"}}'
FROZEN = f"mcp_gateway_operator_tuning_frozen{{{LIMIT}}}"
WANTED = 'mcp_gateway_operator_config_wanted_pods{namespace="ai",gateway="llm"}'
APPLIED = 'mcp_gateway_operator_config_applied_pods{namespace="ai",gateway="llm"}'
REFUSED = f"mcp_gateway_config_refused_total{{{GATEWAY}}}"
FIRST = 'mcp_gateway_operator_leading{namespace="system",pod="operator-1"}'
SECOND = 'mcp_gateway_operator_leading{namespace="system",pod="operator-2"}'


def growing(a_minute: int) -> str:
    """A counter."""
    return f"0+{a_minute}x{MINUTES}"


def staying(value: int) -> str:
    """A gauge."""
    return f"{value}x{MINUTES}"


HEALTHY: Mapping[str, str] = {
    OK: growing(600),
    FAILED: growing(2),
    INVALID: growing(300),
    WAITING: staying(0),
    IN_FLIGHT: staying(50),
    POOL_LIMIT: staying(100),
    BREAKER: staying(0),
    CREDENTIAL: growing(0),
    LAG: staying(3),
    DROPPED: growing(0),
    DEAD: growing(0),
    FROZEN: staying(0),
    WANTED: staying(3),
    APPLIED: staying(3),
    REFUSED: growing(0),
    FIRST: staying(1),
    SECOND: staying(0),
}
OF_GATEWAY = {"namespace": "ai", "gateway": "llm"}
OF_PROVIDER = {**OF_GATEWAY, "provider": "kimi"}


@dataclass(frozen=True, slots=True)
class Fault:
    """What goes wrong, and what a person reads.

    Attributes:
        alert: the one that fires.
        series: what is otherwise than when all is well; "" is a series that is not there.
        by: minutes after which it fires.
        before: minutes after which it does not yet.
        summary: its first line.
        labels: of the alert, without its severity.
    """

    alert: str
    series: Mapping[str, str]
    by: int
    before: int
    summary: str
    labels: Mapping[str, str] = field(default_factory=lambda: OF_GATEWAY)


FAULTS = (
    Fault(
        "MCPGatewayErrorBudgetBurnFast", {FAILED: growing(150)}, by=4, before=1,
        summary="ai/llm fails 20% of its chats",
    ),
    Fault(
        "MCPGatewayErrorBudgetBurnSlow", {OK: growing(588), FAILED: growing(12)}, by=20, before=14,
        summary="ai/llm fails 2% of its chats",
    ),
    Fault(
        "MCPGatewayProviderSaturated", {WAITING: staying(12), IN_FLIGHT: staying(97)}, by=6,
        before=4, summary="ai/llm: kimi is full, 12 requests wait for it on average",
        labels=OF_PROVIDER,
    ),
    Fault(
        "MCPGatewayBreakerOpen", {BREAKER: staying(1)}, by=3, before=1,
        summary="ai/llm: kimi is not called, its circuit breaker is open", labels=OF_PROVIDER,
    ),
    Fault(
        "MCPGatewayCredentialRefused", {CREDENTIAL: growing(1)}, by=2, before=0,
        summary="ai/llm: kimi refuses the key", labels=OF_PROVIDER,
    ),
    Fault(
        "MCPGatewayRecordingLag", {LAG: staying(600)}, by=6, before=4,
        summary="ai/llm: the database is 10m 0s behind",
    ),
    Fault(
        "MCPGatewayRecordingLoss", {DROPPED: growing(6)}, by=20, before=0,
        summary="ai/llm: about 60 records lost (disk)", labels={**OF_GATEWAY, "reason": "disk"},
    ),
    Fault(
        "MCPGatewayRecordingLoss", {DEAD: growing(1)}, by=20, before=0,
        summary="ai/llm: about 10 records lost (dead_lettered)",
        labels={**OF_GATEWAY, "reason": "dead_lettered"},
    ),
    Fault(
        "MCPGatewayTuningFrozen", {FROZEN: staying(1)}, by=11, before=9,
        summary="ai/llm: the ceiling of kimi is frozen", labels=OF_PROVIDER,
    ),
    Fault(
        "MCPGatewayConfigNotApplied", {APPLIED: staying(2)}, by=6, before=4,
        summary="ai/llm: not every pod runs the configuration that was asked for",
    ),
    Fault(
        "MCPGatewayConfigNotApplied", {WANTED: "", APPLIED: "", REFUSED: growing(1)}, by=8,
        before=4, summary="ai/llm: not every pod runs the configuration that was asked for",
    ),
    Fault(
        "MCPGatewayOperatorLeaderless", {FIRST: staying(0)}, by=3, before=1,
        summary="No operator leads", labels={"namespace": "system"},
    ),
    Fault(
        "MCPGatewayOperatorLeaderless", {FIRST: "", SECOND: ""}, by=3, before=1,
        summary="No operator leads", labels={},
    ),
)  # fmt: skip

HARMLESS: Mapping[str, Mapping[str, str]] = {
    "nothing at all": {},
    "clients that send nonsense": {INVALID: growing(6000)},
    "waiting while the account has room": {WAITING: staying(12)},
    "a full account that nobody waits for": {IN_FLIGHT: staying(100)},
    "a breaker that probes": {BREAKER: "0x20 0.5 0.5 0x300"},
    "a few failures": {FAILED: growing(5)},
    "a lag of two minutes": {LAG: staying(120)},
    "a handover": {FIRST: "1x20 0 0x300", SECOND: "0x20 0 1x300"},
    "a canary's minute": {APPLIED: "3x20 2 2 3x300"},
}
