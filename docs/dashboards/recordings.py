"""Recording: does every interaction get into the database, and what is in the way."""

from __future__ import annotations

from docs.dashboards.board import frame, of_gateways, text
from docs.dashboards.panel import GREEN, ORANGE, RED, graph, number
from docs.dashboards.query import Query, rate, series, total

from mcp_gateway.telemetry import definitions as metric
from mcp_gateway_operator.render.alerts import LAG

NOW = (
    number(
        "Recorded",
        "Interactions that were written into the spools, a second.",
        Query(total(rate(metric.RECORDS, 'state="recorded"')), ""),
        unit="ops",
    ),
    number(
        "Shipped",
        "Interactions that the database took, a second. Over time as many as were recorded.",
        Query(total(rate(metric.RECORDS, 'state="shipped"')), ""),
        unit="ops",
    ),
    number(
        "Lag",
        "Age of the oldest record that the database does not have. Runbook: "
        "MCPGatewayRecordingLag.",
        Query(f"max({series(metric.RECORDING_LAG)})", ""),
        unit="s",
        steps=((None, GREEN), (30, ORANGE), (LAG, RED)),
    ),
    number(
        "Lost in an hour",
        "Records that were dropped. Runbook: MCPGatewayRecordingLoss.",
        Query(f"sum(increase({series(metric.RECORDS_DROPPED)}[1h]))", ""),
        unit="short",
        steps=((None, GREEN), (1, RED)),
    ),
    number(
        "Dead letters",
        "Records that the database refused for good. They are kept in the spool.",
        Query(total(series(metric.RECORDS, 'state="dead_lettered"')), ""),
        unit="short",
        steps=((None, GREEN), (1, RED)),
    ),
    number(
        "Spools",
        "Bytes in the spools of all pods; what is shipped stays there until it makes room.",
        Query(total(series(metric.SPOOL_BYTES)), ""),
        unit="bytes",
    ),
)
FLOW = (
    graph(
        "Records",
        "What was recorded and what the database took. A gap that stays is lag.",
        Query(total(rate(metric.RECORDS), "state"), "{{state}}"),
        unit="ops",
    ),
    graph(
        "Lag by pod",
        "One pod alone: its way to the database. All of them: the database.",
        Query(f"max by (pod) ({series(metric.RECORDING_LAG)})", "{{pod}}"),
        unit="s",
        steps=((None, GREEN), (LAG, RED)),
    ),
    graph(
        "Lost by reason",
        "`queue_full`: the disk is too slow. `spool_full` and `expired`: the database was away for "
        "longer than the spool lasts. `disk`: the volume. `too_large`, `unencodable`: single ones.",
        Query(total(rate(metric.RECORDS_DROPPED), "reason"), "{{reason}}"),
        unit="ops",
        stacked=True,
    ),
    graph(
        "Spool by pod",
        "Against `recording.spool.size`.",
        Query(total(series(metric.SPOOL_BYTES), "pod"), "{{pod}}"),
        unit="bytes",
    ),
)


def recordings() -> str:
    """The dashboard, as JSON."""
    made = of_gateways(
        frame("recording", "MCPGateway recording", "Every interaction's way into the database.")
    )
    return text(made, (("Now", NOW), ("Flow", FLOW)))
