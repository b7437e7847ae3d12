"""Reads the original configuration file, `mcp.yaml`, as an MCPGateway document.

The file keeps its own spelling: snake_case, milliseconds, pools by provider name, and routes
that match from the start of a value only. What it does not say comes from the schema's
defaults; the providers' keys come from the variables `KIMI_API_KEY` and `GLM_API_KEY`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal

from pydantic import ConfigDict, Field

from mcp_gateway.api.auth import BUILT_IN_MIDDLEWARE, MiddlewareName
from mcp_gateway.api.fields import DOCUMENT, RE2, Model, Rule
from mcp_gateway.api.gateway import MCPGateway, Metadata, Spec
from mcp_gateway.api.pool import Pool
from mcp_gateway.api.provider import Provider
from mcp_gateway.api.route import Backend, Factor, Match, Retry, Route, Strategy
from mcp_gateway.api.secret import SecretSource
from mcp_gateway.api.server import Host, Port, Server, is_loopback

Milliseconds = Annotated[int, Field(ge=1, le=86_400_000)]
PoolName = Literal["kimi", "glm"]

KEY_VARIABLES: Final[dict[PoolName, str]] = {"kimi": "KIMI_API_KEY", "glm": "GLM_API_KEY"}
"""Where the original's `kimi_api_key` and `glm_api_key` come from."""


class _Section(Model):
    """Base of the file's parts: its keys are the attributes' own names."""

    model_config = ConfigDict(alias_generator=str)


class ServerSection(_Section):
    """`mcp.server`."""

    host: Host = "0.0.0.0"  # noqa: S104 - as the file says it
    """Address to listen on."""

    port: Port = 8079
    """Port to listen on."""

    protocol: Literal["websocket", "http"] = "websocket"
    """The face that clients of this file use. Both are served on the port in either case."""


class PoolSection(_Section):
    """One entry of `mcp.connection_pool`."""

    min_connections: Annotated[int, Field(ge=0, le=10_000)] = 0
    """Connections kept open."""

    max_connections: Annotated[int, Field(ge=1, le=10_000)] | None = None
    """Most connections; the original's `pool_size`."""

    max_overflow: Annotated[int, Field(ge=0, le=10_000)] | None = None
    """Further connections under load."""

    idle_timeout: Milliseconds | None = None
    """Milliseconds after which an unused connection is closed."""

    rules = (
        Rule(
            ("min_connections", "max_connections", "max_overflow"),
            lambda p: (
                p.max_connections is None
                or p.min_connections <= p.max_connections + (p.max_overflow or 0)
            ),
            "",
            "min_connections must be at most max_connections plus max_overflow",
        ),
    )


class RoutingSection(_Section):
    """`mcp.routing`."""

    strategy: Strategy = "round_robin"
    """How to choose among providers that can take a request."""

    middleware: Annotated[list[MiddlewareName], Field(max_length=32)] = Field(
        default=list(BUILT_IN_MIDDLEWARE)
    )
    """The layers, in the order they run."""

    routes: Annotated[dict[RE2, PoolName], Field(max_length=32)] = Field(default={})
    """Provider by an expression on the model, tried in order: the original's `add_route`. It
    matches from the start of the value, as `re.match` did."""


class RetrySection(_Section):
    """`mcp.retry`."""

    max_retries: Annotated[int, Field(ge=0, le=20)] = 3
    """Tries after the first."""

    backoff_factor: Factor = 0.5
    """Seconds of the first wait, doubled each time."""


class MCPSection(_Section):
    """`mcp`."""

    server: ServerSection = ServerSection()
    """The listener."""

    connection_pool: Annotated[dict[PoolName, PoolSection], Field(min_length=1)]
    """Pools by provider: `kimi` and `glm`."""

    routing: RoutingSection = RoutingSection()
    """Layers and balancing."""

    retry: RetrySection = RetrySection()
    """Retrying."""

    rules = (
        Rule(
            ("routing.middleware", "server.host"),
            lambda m: "auth" in m.routing.middleware or is_loopback(m.server.host),
            "",
            "without the auth layer everybody is served: add auth, or set server.host to 127.0.0.1",
        ),
        Rule(
            ("routing.routes", "connection_pool"),
            lambda m: set(m.routing.routes.values()) <= set(m.connection_pool),
            "",
            "every route must lead to a provider that has a connection_pool",
        ),
    )


class MCPFile(_Section):
    """The whole file."""

    mcp: MCPSection
    """The one key of the file."""


@dataclass(frozen=True, slots=True)
class Translation:
    """A file of the original form, and the document it means.

    Attributes:
        document: what is run.
        sources: for each path of the document that the file sets, the file's own path.
    """

    document: MCPGateway
    sources: Mapping[tuple[str | int, ...], tuple[str | int, ...]]


def is_mcp_yaml(data: object) -> bool:
    """Tell whether this is meant to be the original form: `mcp` at the top and no `kind`."""
    return isinstance(data, Mapping) and "mcp" in data and "kind" not in data


def translate(data: Mapping[str, Any]) -> Translation:
    """Read the original form as the document it means.

    Raises:
        pydantic.ValidationError: something in it is wrong; locations are the file's own.
    """
    section = MCPFile.model_validate(data, context={DOCUMENT: True}).mcp
    providers = [_provider(name, pool) for name, pool in section.connection_pool.items()]
    spec = Spec(
        server=Server(host=section.server.host, port=section.server.port),
        middleware=list(section.routing.middleware),
        providers=providers,
        routes=_routes(section.routing, providers),
        retry=Retry(
            max_retries=section.retry.max_retries, backoff_factor=section.retry.backoff_factor
        ),
    )
    document = MCPGateway(metadata=Metadata(name="mcp"), spec=spec)
    return Translation(document, _sources(section))


def _provider(name: PoolName, pool: PoolSection) -> Provider:
    given = {field: getattr(pool, field) for field in pool.model_fields_set}
    if given.get("idle_timeout") is not None:
        given["idle_timeout"] /= 1000
    return Provider(
        name=name,
        type=name,
        api_key=SecretSource(env=KEY_VARIABLES[name]),
        pool=Pool(**{field: value for field, value in given.items() if value is not None}),
    )


def _routes(routing: RoutingSection, providers: list[Provider]) -> list[Route]:
    written = [
        Route(
            name=f"route-{number}",
            # re.match looked at the start of the value only; a route here matches all of it.
            match=Match(model=f"(?:{pattern}).*"),
            backends=[Backend(provider=provider)],
            strategy=routing.strategy,
        )
        for number, (pattern, provider) in enumerate(routing.routes.items(), 1)
    ]
    if not written and routing.strategy == "round_robin":
        return []
    return written + Spec(providers=providers).effective_routes(routing.strategy)


_MOVED: Final = {
    ("mcp", "server", "host"): ("spec", "server", "host"),
    ("mcp", "server", "port"): ("spec", "server", "port"),
    ("mcp", "routing", "middleware"): ("spec", "middleware"),
    ("mcp", "routing", "strategy"): ("spec", "routes"),
    ("mcp", "routing", "routes"): ("spec", "routes"),
    ("mcp", "retry", "max_retries"): ("spec", "retry", "maxRetries"),
    ("mcp", "retry", "backoff_factor"): ("spec", "retry", "backoffFactor"),
}
_POOL_KEYS: Final = {
    "min_connections": "minConnections",
    "max_connections": "maxConnections",
    "max_overflow": "maxOverflow",
    "idle_timeout": "idleTimeout",
}


def _sources(section: MCPSection) -> dict[tuple[str | int, ...], tuple[str | int, ...]]:
    sources: dict[tuple[str | int, ...], tuple[str | int, ...]] = {
        new: old for old, new in _MOVED.items()
    }
    for index, name in enumerate(section.connection_pool):
        old = ("mcp", "connection_pool", name)
        new = ("spec", "providers", index)
        sources[new] = old
        for old_key, new_key in _POOL_KEYS.items():
            sources[(*new, "pool", new_key)] = (*old, old_key)
    return sources
