"""The document: `apiVersion: gateway.exai.dev/v1alpha1`, `kind: MCPGateway`."""

from __future__ import annotations

import re
from typing import Annotated, Final, Literal

from pydantic import ConfigDict, Field, WithJsonSchema

from mcp_gateway.api.auth import (
    ANONYMOUS_RULE,
    AUTH_LAYER_RULE,
    BUILT_IN_MIDDLEWARE,
    Auth,
    MiddlewareName,
    RateLimit,
)
from mcp_gateway.api.deployment import (
    Autoscaling,
    HTTPRoute,
    Ingress,
    LocalReference,
    PodTemplate,
    Replicas,
    Service,
)
from mcp_gateway.api.fields import Model, Rule, list_by
from mcp_gateway.api.operation import Logging, Monitoring, Rollout, Tuning
from mcp_gateway.api.presets import MODEL_FAMILIES
from mcp_gateway.api.provider import Provider
from mcp_gateway.api.recording import Recording
from mcp_gateway.api.route import Backend, Match, Retry, Route, Strategy
from mcp_gateway.api.server import Server, is_loopback
from mcp_gateway.api.status import Status

GROUP: Final = "gateway.exai.dev"
VERSION: Final = "v1alpha1"
API_VERSION: Final = "gateway.exai.dev/v1alpha1"
KIND: Final = "MCPGateway"

_LONGEST_ALTERNATION: Final = 480


class Metadata(Model):
    """What Kubernetes knows of every object. On a laptop, `name` is enough, or nothing."""

    model_config = ConfigDict(extra="ignore")  # uid, managedFields and their like

    name: Annotated[str, Field(max_length=253)] = "gateway"
    """The gateway's name, in metrics and logs."""

    namespace: Annotated[str, Field(max_length=63)] | None = None
    """Its namespace."""

    labels: dict[str, str] = Field(default={})
    """Labels."""

    annotations: dict[str, str] = Field(default={})
    """Annotations."""


def _unique(values: list[str]) -> bool:
    return len(set(values)) == len(values)


def _backends_exist(spec: Spec) -> bool:
    names = {provider.name for provider in spec.providers}
    return all(backend.provider in names for route in spec.routes for backend in route.backends)


REFERENCE_RULES: Final = (
    Rule(
        ("middleware",),
        lambda s: _unique(s.middleware),
        "self.middleware.all(m, self.middleware.exists_one(n, n == m))",
        "each layer may be named once",
    ),
    Rule(
        ("providers",),
        lambda s: _unique([provider.name for provider in s.providers]),
        "",  # a list of type map, by name
        "each provider needs a name of its own",
    ),
    Rule(
        ("routes",),
        lambda s: _unique([route.name for route in s.routes]),
        "self.routes.all(r, self.routes.exists_one(q, q.name == r.name))",
        "each route needs a name of its own",
    ),
    Rule(
        ("routes", "providers"),
        _backends_exist,
        "self.routes.all(r, r.backends.all(b, self.providers.exists(p, p.name == b.provider)))",
        "every backend must name a provider of this document",
    ),
)
"""Rules between the parts of a spec that a reader of files can show at the very name."""


class Spec(Model):
    """What the gateway is to be."""

    replicas: Replicas = 1
    """Pods. `kubectl scale` and an autoscaler write it; with `autoscaling` it is theirs alone."""

    autoscaling: Autoscaling | None = None
    """Make an autoscaler."""

    image: Annotated[str, Field(min_length=1, max_length=1_024)] | None = None
    """The gateway's container image. Without it: the operator's own version."""

    image_pull_secrets: Annotated[list[LocalReference], Field(max_length=16)] = Field(default=[])
    """Secrets for the image's registry."""

    pod_template: Annotated[
        PodTemplate,
        WithJsonSchema({"type": "object", "x-kubernetes-preserve-unknown-fields": True}),
    ] = Field(default={})
    """A PodTemplateSpec laid over the operator's own, containers merged by name (`gateway`):
    resources, tolerations, annotations, sidecars."""

    service: Service = Service()
    """The Service in front of the pods."""

    http_route: HTTPRoute | None = None
    """Make an HTTPRoute of the Gateway API."""

    ingress: Ingress | None = None
    """Make an Ingress."""

    server: Server = Server()
    """The listeners."""

    auth: Auth = Auth()
    """Who may come in."""

    middleware: Annotated[list[MiddlewareName], Field(max_length=32)] = Field(
        default=list(BUILT_IN_MIDDLEWARE)
    )
    """The layers a request passes, in this order: `auth`, `rate_limit`, `logging`, or the name
    of an installed entry point of the group `mcp_gateway.middleware`. `rate_limit` before
    `auth` counts everybody as one."""

    rate_limit: RateLimit | None = None
    """How often each client may ask of each pod. A key's own rate wins."""

    providers: Annotated[
        list[Provider], Field(min_length=1, max_length=32, json_schema_extra=list_by("name"))
    ]
    """The accounts at LLM providers that requests go to."""

    routes: Annotated[list[Route], Field(max_length=64)] = Field(default=[])
    """Who answers what; the first match wins. Empty: a provider's name leads to it, a model's
    family (`kimi-...`, `glm-...`) and the models it lists lead to it, and a single provider
    takes everything."""

    retry: Retry = Retry()
    """When a failed call is tried again."""

    recording: Recording = Recording()
    """What is kept of every interaction."""

    logging: Logging = Logging()
    """The log."""

    rollout: Rollout = Rollout()
    """How a changed configuration reaches the pods."""

    tuning: Tuning = Tuning()
    """Who decides how many requests each pod may have in flight."""

    monitoring: Monitoring = Monitoring()
    """What is made for the people who watch."""

    rules = (
        ANONYMOUS_RULE,
        AUTH_LAYER_RULE,
        *REFERENCE_RULES,
    )

    @property
    def loopback(self) -> bool:
        """The main port can be reached from this machine only."""
        return is_loopback(self.server.host)

    @property
    def largest_replicas(self) -> int:
        """The most pods there may be."""
        return self.autoscaling.max_replicas if self.autoscaling else max(1, self.replicas)

    def provider(self, name: str) -> Provider:
        """Find a provider by name.

        Raises:
            KeyError: the document has none of that name.
        """
        for provider in self.providers:
            if provider.name == name:
                return provider
        raise KeyError(name)

    def effective_routes(self, strategy: Strategy = "round_robin") -> list[Route]:
        """The routes as written, or where there are none, those that the providers imply.

        Implied, in this order: a provider's name leads to it; the models a provider lists, and
        the model names of its family, lead to those that have them; a single provider takes the
        rest.
        """
        return list(self.routes) or _implied_routes(self.providers, strategy)


def _implied_routes(providers: list[Provider], strategy: Strategy) -> list[Route]:
    def route(name: str, match: Match, names: list[str]) -> Route:
        backends = [Backend(provider=provider) for provider in names]
        return Route(name=name[:63], match=match, backends=backends, strategy=strategy)

    routes = [route(p.name, Match(provider=p.name), [p.name]) for p in providers]
    for provider in providers:
        for number, pattern in enumerate(_alternations(provider.models), 1):
            name = f"{provider.name[:50]}-models-{number}"
            routes.append(route(name, Match(model=pattern), [provider.name]))
    for wire, pattern in MODEL_FAMILIES.items():
        names = [p.name for p in providers if p.wire == wire]
        if names:
            routes.append(route(f"{wire}-family", Match(model=pattern), names))
    if len(providers) == 1:
        routes.append(route("default", Match(), [providers[0].name]))
    return routes


def _alternations(models: list[str]) -> list[str]:
    """Expressions that match exactly these names, none longer than an expression may be."""
    patterns: list[str] = []
    for model in dict.fromkeys(models):
        # re.escape also escapes what RE2 takes as it is, which RE2 allows for ASCII
        # punctuation; it never escapes letters or digits.
        quoted = re.escape(model)
        if patterns and len(patterns[-1]) + len(quoted) < _LONGEST_ALTERNATION:
            patterns[-1] += f"|{quoted}"
        else:
            patterns.append(quoted)
    return patterns


class MCPGateway(Model):
    """A gateway for the Model Context Protocol and LLM providers."""

    api_version: Literal["gateway.exai.dev/v1alpha1"] = API_VERSION
    """Version of this document's form."""

    kind: Literal["MCPGateway"] = KIND
    """What this document is."""

    metadata: Metadata = Metadata()
    """The gateway's name."""

    spec: Spec
    """What the gateway is to be."""

    status: Annotated[Status | None, Field(exclude=True)] = None
    """What the operator saw. Ignored by `mcp-gateway run`."""

    @classmethod
    def of(cls, spec: Spec, *, name: str = "gateway") -> MCPGateway:
        """Make a document around a spec, for code that has no file."""
        return cls(metadata=Metadata(name=name), spec=spec)
