"""The schema that users write, and the words that callers of the gateway use.

Pydantic models are the only definition of the MCPGateway document: their attribute docstrings
become the resource's descriptions, their defaults its defaults, their rules its rules.

They are loaded when the first of them is asked for: pydantic and all the models take longer than
a client's first call, and a client needs `chat` alone.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from mcp_gateway.api.chat import ChatDelta, ChatRequest, ChatResponse, Timings, Usage

if TYPE_CHECKING:
    from mcp_gateway.api.auth import BUILT_IN_MIDDLEWARE, JWT, Auth, RateLimit
    from mcp_gateway.api.deployment import Autoscaling, HTTPRoute, ParentReference, Service
    from mcp_gateway.api.fields import Model, Rule
    from mcp_gateway.api.gateway import (
        API_VERSION,
        GROUP,
        KIND,
        VERSION,
        MCPGateway,
        Metadata,
        Spec,
    )
    from mcp_gateway.api.limits import (
        AccountLimits,
        AccountShare,
        LimitsUpdate,
        ModelLimits,
        ModelShare,
    )
    from mcp_gateway.api.operation import Canary, Logging, Monitoring, Rollout, Tracing, Tuning
    from mcp_gateway.api.pool import CircuitBreakerSettings, Pool, RequestTimeouts
    from mcp_gateway.api.provider import Endpoint, OutboundProxy, Price, Provider
    from mcp_gateway.api.recording import Recording, RedactRule, Spool, Supabase
    from mcp_gateway.api.route import Backend, Match, Retry, Route, RouteRecording
    from mcp_gateway.api.secret import SecretReference, SecretSource
    from mcp_gateway.api.server import Server, ServerLimits, ServerTLS
    from mcp_gateway.api.simulator import (
        LogNormal,
        SimulatedFailure,
        SimulatedLatency,
        SimulatedTokens,
        SimulatorSettings,
    )
    from mcp_gateway.api.status import Condition, ProviderStatus, Recommendation, Status

__all__ = [
    "API_VERSION",
    "BUILT_IN_MIDDLEWARE",
    "GROUP",
    "JWT",
    "KIND",
    "VERSION",
    "AccountLimits",
    "AccountShare",
    "Auth",
    "Autoscaling",
    "Backend",
    "Canary",
    "ChatDelta",
    "ChatRequest",
    "ChatResponse",
    "CircuitBreakerSettings",
    "Condition",
    "Endpoint",
    "HTTPRoute",
    "LimitsUpdate",
    "LogNormal",
    "Logging",
    "MCPGateway",
    "Match",
    "Metadata",
    "Model",
    "ModelLimits",
    "ModelShare",
    "Monitoring",
    "OutboundProxy",
    "ParentReference",
    "Pool",
    "Price",
    "Provider",
    "ProviderStatus",
    "RateLimit",
    "Recommendation",
    "Recording",
    "RedactRule",
    "RequestTimeouts",
    "Retry",
    "Rollout",
    "Route",
    "RouteRecording",
    "Rule",
    "SecretReference",
    "SecretSource",
    "Server",
    "ServerLimits",
    "ServerTLS",
    "Service",
    "SimulatedFailure",
    "SimulatedLatency",
    "SimulatedTokens",
    "SimulatorSettings",
    "Spec",
    "Spool",
    "Status",
    "Supabase",
    "Timings",
    "Tracing",
    "Tuning",
    "Usage",
]

_MODULES = (
    "auth",
    "deployment",
    "fields",
    "gateway",
    "limits",
    "operation",
    "pool",
    "provider",
    "recording",
    "route",
    "secret",
    "server",
    "simulator",
    "status",
)
"""Where the names are that are loaded late."""

if not TYPE_CHECKING:  # a checker would take it as leave to ask for any name

    def __getattr__(name: str) -> object:
        if name in __all__:
            for module in _MODULES:
                found = vars(import_module(f"{__name__}.{module}")).get(name)
                if found is not None:
                    globals()[name] = found
                    return found
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__})
