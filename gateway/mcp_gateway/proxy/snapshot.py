"""A document, compiled: what runs for each request, and nothing that has to be looked up twice."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from mcp_gateway.api import Recording, Spec
from mcp_gateway.api import Route as RouteSpec
from mcp_gateway.config import client_keys
from mcp_gateway.config.secrets import SecretReader
from mcp_gateway.limits.retry import RetryPolicy
from mcp_gateway.proxy import balancer
from mcp_gateway.proxy.account import Account
from mcp_gateway.proxy.balancer import Backend
from mcp_gateway.proxy.catalog import Catalog
from mcp_gateway.proxy.dispatch import Dispatcher, Elsewhere
from mcp_gateway.proxy.layers.auth import AuthLayer
from mcp_gateway.proxy.layers.logging import LoggingLayer
from mcp_gateway.proxy.layers.metrics import MetricsLayer
from mcp_gateway.proxy.layers.rate_limit import RateLimitLayer
from mcp_gateway.proxy.layers.recording import Recorder, RecordingLayer
from mcp_gateway.proxy.layers.tracing import TracingLayer
from mcp_gateway.proxy.memory import Memory
from mcp_gateway.proxy.meters import RouteMeters
from mcp_gateway.proxy.middleware import Handler, Middleware, compose, load_third_party
from mcp_gateway.proxy.pattern import compile_pattern
from mcp_gateway.proxy.router import Route, Router
from mcp_gateway.recording.choice import kept
from mcp_gateway.telemetry.logs import LineWriter
from mcp_gateway.telemetry.metrics import Registry
from mcp_gateway.telemetry.tracing import Tracer


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One document in force. An exchange stays with the snapshot it began with."""

    spec: Spec
    handler: Handler
    catalog: Catalog
    router: Router
    tracing: TracingLayer | None = None


@dataclass(frozen=True, slots=True)
class Services:
    """What outlives documents and layers write to."""

    secrets: SecretReader
    metrics: Registry
    lines: LineWriter
    generated_key: Callable[[], str]
    """The line of the key that stands in where the document names none."""
    memory: Memory = field(default_factory=Memory)
    """What was used and learned so far."""
    elsewhere: Elsewhere | None = None
    """Makes attempts where this pod holds no slot."""


def build_layers(spec: Spec, services: Services) -> list[Middleware]:
    """The layers in the document's order.

    Raises:
        ConfigError: a layer is unknown or cannot be loaded, a secret cannot be read, or a key
            line is not of its form.
    """
    makers: dict[str, Callable[[], Middleware]] = {
        "auth": lambda: _auth(spec, services),
        "rate_limit": lambda: RateLimitLayer(spec.rate_limit, services.memory.buckets),
        "logging": lambda: LoggingLayer(
            services.lines, level=spec.logging.level, content=spec.logging.content
        ),
    }
    return [
        makers[name]() if name in makers else load_third_party(name)(spec)
        for name in spec.middleware
    ]


def compile_snapshot(
    spec: Spec,
    layers: list[Middleware],
    accounts: dict[str, Account],
    recorder: Recorder | None,
    services: Services,
    *,
    tracer: Tracer | None = None,
) -> Snapshot:
    """Put the parts together. Everything that can fail was done before."""
    routes = [_route(route, accounts, spec.recording) for route in spec.effective_routes()]
    router = Router(routes)
    policy = RetryPolicy(
        max_retries=spec.retry.max_retries,
        backoff_factor=spec.retry.backoff_factor,
        max_backoff=spec.retry.max_backoff,
        on=frozenset(spec.retry.on),
    )
    budget = services.memory.budget
    budget.ratio = spec.retry.budget
    innermost = Dispatcher(
        router,
        accounts,
        policy,
        budget,
        elsewhere=services.elsewhere,
    )
    meters = {route.name: RouteMeters(services.metrics, route.name) for route in routes}
    outer: list[Middleware] = [MetricsLayer(services.metrics, meters)]
    if recorder is not None:
        outer.append(RecordingLayer(recorder, sync=spec.recording.durability == "sync"))
    tracing = None
    if tracer is not None:
        tracing = TracingLayer(tracer, {each.name: each.type for each in spec.providers})
        outer.insert(0, tracing)
    lists = services.memory.model_lists(accounts)
    return Snapshot(
        spec=spec,
        handler=compose([*outer, *layers], innermost),
        catalog=Catalog(list(accounts.values()), lists),
        router=router,
        tracing=tracing,
    )


def _auth(spec: Spec, services: Services) -> AuthLayer:
    auth = spec.auth
    text = ""
    if auth.api_keys is not None:
        text = services.secrets.read(auth.api_keys)
    elif auth.jwt is None and not auth.anonymous:
        text = services.generated_key()
    verifier = None
    if auth.jwt is not None:
        # Loaded only when configured: PyJWT, cryptography and httpx hold 16 MiB.
        from mcp_gateway.proxy.layers.jwt import JWTVerifier  # noqa: PLC0415

        verifier = JWTVerifier(auth.jwt)
    return AuthLayer(client_keys.parse(text), verifier, anonymous=auth.anonymous)


def _route(route: RouteSpec, accounts: dict[str, Account], recording: Recording) -> Route:
    matchers = tuple(
        (position, compile_pattern(pattern))
        for position, name in enumerate(Router.FIELDS)
        if (pattern := getattr(route.match, name)) is not None
    )
    backends = sorted(
        (
            Backend(
                provider=backend.provider,
                load=accounts[backend.provider],
                model=backend.model,
                priority=backend.priority,
                weight=backend.weight,
            )
            for backend in route.backends
        ),
        key=lambda backend: backend.priority,
    )
    own = route.recording
    return Route(
        name=route.name,
        matchers=matchers,
        backends=tuple(backends),
        strategy=balancer.strategy(route.strategy),
        kept=kept(recording.mode, own.mode if own is not None else None),
        recorded=own is None or own.enabled is not False,
    )
