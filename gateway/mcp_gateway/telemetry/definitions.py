"""Every metric of the gateway, defined once.

Label sets are closed: faces, operations and outcomes are listed here, routes and providers are
those of the document. Route is never crossed with provider, so a provider costs at most 40
series and a route at most 30, whatever the traffic.
"""

from __future__ import annotations

from mcp_gateway.telemetry.cells import Metric

FACES = ("http", "websocket", "openai", "embedded")
OPERATIONS = ("chat", "models", "protocol")
STATUSES = (
    "ok",
    "invalid",
    "unauthenticated",
    "denied",
    "no_route",
    "rate_limited",
    "overloaded",
    "upstream_error",
    "timeout",
    "cancelled",
    "error",
)
OUTCOMES = (
    "ok",
    "concurrency",
    "frequency",
    "tokens",
    "quota",
    "overload",
    "credential",
    "permission",
    "model",
    "request",
    "server",
    "connect",
    "timeout",
    "lost",
    "protocol",
    "cancelled",
)
FOLDED = {"permission": "credential", "model": "request", "protocol": "lost"}
"""Outcomes that records tell apart and series do not: they say the same of the provider's health,
and a provider has so many series."""
COUNTED = tuple(outcome for outcome in OUTCOMES if outcome not in FOLDED)

SECONDS = (0.05, 0.25, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 180.0)

CALL_SECONDS = (1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
"""Coarser, for what every provider has: an answer takes seconds."""
RATE_UNITS = ("requests", "tokens")
STANDINGS = ("document", "nothing", "bootstrap", "grant")

REQUESTS = Metric(
    "mcp_gateway_requests_total",
    "counter",
    "Requests answered, by door, what they asked for, and how they ended.",
    ("face", "operation", "status"),
    (("face", FACES), ("operation", OPERATIONS), ("status", STATUSES)),
)
REQUESTS_IN_FLIGHT = Metric(
    "mcp_gateway_requests_in_flight",
    "gauge",
    "Requests being worked on now.",
    otel="http.server.active_requests",
)
ROUTE_REQUESTS = Metric(
    "mcp_gateway_route_requests_total",
    "counter",
    "Chat requests a route took, by how they ended.",
    ("route", "status"),
    (("status", STATUSES),),
)
ROUTE_DURATION = Metric(
    "mcp_gateway_route_duration_seconds",
    "histogram",
    "Whole time of a chat request inside the gateway.",
    ("route",),
    bounds=SECONDS,
    otel="mcp.server.operation.duration",
)
ATTEMPTS = Metric(
    "mcp_gateway_upstream_attempts_total",
    "counter",
    "Upstream attempts by outcome; the refusals are told apart as the provider means them.",
    ("provider", "outcome"),
    (("outcome", COUNTED),),
)
ATTEMPT_DURATION = Metric(
    "mcp_gateway_upstream_duration_seconds",
    "histogram",
    "Time of one successful upstream attempt, first byte sent to last byte read.",
    ("provider",),
    bounds=CALL_SECONDS,
    otel="gen_ai.client.operation.duration",
)
TOKENS = Metric(
    "mcp_gateway_upstream_tokens_total",
    "counter",
    "Tokens as the provider counted them.",
    ("provider", "direction"),
    (("direction", ("input", "output")),),
    otel="gen_ai.client.token.usage",
)
COST = Metric(
    "mcp_gateway_upstream_cost_total",
    "counter",
    "What the tokens cost by the document's `prices`, in their currency; of priced models only.",
    ("provider",),
)
HOP_OUTCOMES = ("ok", "failed", "elsewhere", "cancelled")
HOPS = Metric(
    "mcp_gateway_hops_total",
    "counter",
    "Attempts made by way of another pod that holds slots, at the pod that sent them (out) and at "
    "the one that made them (in). Those that went `elsewhere` found no slot or no pod there.",
    ("direction", "outcome"),
    (("direction", ("out", "in")), ("outcome", HOP_OUTCOMES)),
)
RETRIES = Metric(
    "mcp_gateway_upstream_retries_total",
    "counter",
    "Attempts that followed a failed one.",
    ("provider",),
)
CONNECTIONS = Metric(
    "mcp_gateway_pool_connections",
    "gauge",
    "Upstream connections by what they are doing.",
    ("provider", "state"),
    (("state", ("connecting", "idle", "in_flight")),),
    otel="http.client.open_connections",
)
WAITING = Metric(
    "mcp_gateway_pool_waiting", "gauge", "Requests waiting for a connection.", ("provider",)
)
LIMIT = Metric(
    "mcp_gateway_pool_limit",
    "gauge",
    "Most requests this process may have in flight now.",
    ("provider",),
)
WAIT_SECONDS = Metric(
    "mcp_gateway_pool_wait_seconds_total",
    "counter",
    "Time requests have waited for a connection, added up.",
    ("provider",),
)
WAITS = Metric(
    "mcp_gateway_pool_waits_total",
    "counter",
    "Requests that had to wait for a connection and got one.",
    ("provider",),
)
SHARE = Metric(
    "mcp_gateway_pool_share",
    "gauge",
    "Requests in flight that this process was granted; there only where an operator divides.",
    ("provider",),
)
WARM = Metric(
    "mcp_gateway_pool_warm",
    "gauge",
    "Connections kept open because demand wants them; idle ones above it are closed.",
    ("provider",),
)
RATE_LIMIT = Metric(
    "mcp_gateway_rate_limit",
    "gauge",
    "What this process may begin within any minute; there only where something bounds it.",
    ("provider", "unit"),
    (("unit", RATE_UNITS),),
)
RATE_USED = Metric(
    "mcp_gateway_rate_used",
    "gauge",
    "What this process began within the last minute, or is about to.",
    ("provider", "unit"),
    (("unit", RATE_UNITS),),
)
TUNED_ACCOUNTS = Metric(
    "mcp_gateway_tuning_accounts",
    "gauge",
    "Accounts by whose word they are used: the document's, nobody's yet, a grant's, or that of a "
    "pod that found no operator.",
    ("standing",),
    (("standing", STANDINGS),),
)
OPERATOR_CONNECTED = Metric(
    "mcp_gateway_operator_connected",
    "gauge",
    "1 while an operator has a control channel open, 0 while none has.",
)
OPERATOR_CONTACT_AGE = Metric(
    "mcp_gateway_operator_contact_age_seconds",
    "gauge",
    "Time since an operator's last word.",
)
GRANT_AGE = Metric(
    "mcp_gateway_operator_grant_age_seconds",
    "gauge",
    "Time since this process took its last grant.",
)
BREAKER_OPEN = Metric(
    "mcp_gateway_breaker_open",
    "gauge",
    "1 while the circuit breaker lets nothing through, 0.5 while it probes.",
    ("provider",),
)
CONFIG_GENERATION = Metric(
    "mcp_gateway_config_generation", "gauge", "Number of documents applied since the start."
)
CONFIG_REFUSED = Metric(
    "mcp_gateway_config_refused_total",
    "counter",
    "Documents refused; the last good one stayed in force.",
)
DOWNSTREAM_CONNECTIONS = Metric(
    "mcp_gateway_downstream_connections",
    "gauge",
    "Open client connections.",
    ("face",),
    (("face", ("http", "websocket")),),
)
DOWNSTREAM_ACCEPTED = Metric(
    "mcp_gateway_downstream_connections_total",
    "counter",
    "Client connections on the main port; refused ones were over `maxConnections`.",
    ("outcome",),
    (("outcome", ("accepted", "refused")),),
)
MALFORMED = Metric(
    "mcp_gateway_malformed_requests_total",
    "counter",
    "Requests that could not be read as HTTP; each is answered, and its connection closed.",
)
SPANS = Metric(
    "mcp_gateway_spans_total",
    "counter",
    "Spans of traces: delivered, dropped because too many were waiting, or failed with a receiver "
    "that did not take them.",
    ("outcome",),
    (("outcome", ("exported", "dropped", "failed")),),
)
RECORDS = Metric(
    "mcp_gateway_records_total",
    "counter",
    "Interactions recorded into the spool, and what became of them.",
    ("state",),
    (("state", ("recorded", "shipped", "dead_lettered")),),
)
RECORDS_DROPPED = Metric(
    "mcp_gateway_records_dropped_total",
    "counter",
    "Records lost, by reason.",
    ("reason",),
    (("reason", ("queue_full", "spool_full", "expired", "too_large", "unencodable", "disk")),),
)
RECORDING_LAG = Metric(
    "mcp_gateway_recording_lag_seconds",
    "gauge",
    "Age of the oldest record that the database does not have yet.",
)
SPOOL_BYTES = Metric("mcp_gateway_recording_spool_bytes", "gauge", "Size of the spool.")

ALL = tuple(value for value in list(globals().values()) if isinstance(value, Metric))
