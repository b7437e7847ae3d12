"""Who is called: one account at an LLM provider."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from mcp_gateway.api.fields import PROXY_URL, HttpUrl, Model, ModelName, Name, Rule
from mcp_gateway.api.limits import AccountLimits
from mcp_gateway.api.operation import Tuning
from mcp_gateway.api.pool import CircuitBreakerSettings, Pool, RequestTimeouts
from mcp_gateway.api.presets import ENDPOINTS, TIERS
from mcp_gateway.api.secret import SecretSource
from mcp_gateway.api.simulator import SimulatorSettings

ProviderType = Literal["kimi", "glm", "openai", "simulator"]
Tier = Literal["kimi-tier0", "kimi-tier1", "kimi-tier2", "kimi-tier3", "kimi-tier4", "kimi-tier5"]
Dollars = Annotated[float, Field(ge=0.0, le=1_000_000.0)]

SEED_POOL_SIZE = 10
SEED_MAX_OVERFLOW = 20
UNBOUNDED_POOL = 10_000
"""Cap of a pool whose size the account's share alone decides."""


class Endpoint(Model):
    """One address of a provider."""

    url: HttpUrl
    """Base URL, to which `/chat/completions` is added: `https://api.moonshot.cn/v1`."""

    weight: Annotated[int, Field(ge=1, le=1_000)] = 1
    """Share of the connections, against the other endpoints' weights."""


class Price(Model):
    """What a million tokens of a model cost, in any currency; only for the cost metric."""

    input: Dollars
    """A million prompt tokens."""

    output: Dollars
    """A million completion tokens."""


class OutboundProxy(Model):
    """The HTTP proxy through which the provider is reached, by `CONNECT`."""

    url: Annotated[str, Field(max_length=2048, pattern=PROXY_URL)]
    """The proxy's address: `http://proxy.internal:3128`. TLS to the provider goes through it
    unopened."""

    credentials: SecretSource | None = None
    """`user:password` for the proxy, where it asks."""


class Provider(Model):
    """One account at one LLM provider: its address, key, limits and connections."""

    name: Name
    """The name clients, routes, metrics and logs use. It also names the tool `<name>_chat`."""

    type: ProviderType
    """Whose wire and error codes it speaks. `openai` is any server with OpenAI's chat API;
    `simulator` runs inside the gateway and needs no key."""

    endpoints: Annotated[list[Endpoint], Field(max_length=16)] = Field(default=[])
    """Addresses, weighted. Empty: the global site, `https://api.moonshot.ai/v1` for kimi and
    `https://api.z.ai/api/paas/v4` for glm. Required for openai."""

    api_key: SecretSource | None = None
    """The account's key. Required for kimi and glm at their own addresses."""

    key_format: Literal["bearer", "jwt"] = "bearer"
    """How the key is sent. `jwt`: older GLM deployments want a token signed with the key's
    secret half, made anew every few minutes."""

    tier: Tier | None = None
    """Preset of the account's limits, as the provider publishes them: `kimi-tier2` is 100 in
    flight, 500 RPM and 3 million TPM. `limits` given beside it win."""

    limits: AccountLimits | None = None
    """What the provider allows this account. Without it and without `tier`: learned from the
    provider's refusals."""

    models: Annotated[list[ModelName], Field(max_length=256)] = Field(default=[])
    """Models to list where the provider has no list to ask for."""

    prices: Annotated[dict[ModelName, Price], Field(max_length=256)] = Field(default={})
    """Prices by model name, for the metric of costs. None are built in: they change."""

    pool: Pool = Pool()
    """The connections to it."""

    timeouts: RequestTimeouts = RequestTimeouts()
    """How long each step of a call may take."""

    proxy: OutboundProxy | None = None
    """The HTTP proxy on the way to it. The gateway reads no proxy from its environment."""

    ca_bundle: SecretSource | None = None
    """Certificates in PEM to trust for it, in place of the system's."""

    circuit_breaker: CircuitBreakerSettings = CircuitBreakerSettings()
    """When to stop calling it."""

    simulator: SimulatorSettings | None = None
    """How it behaves, for `type: simulator`."""

    rules = (
        Rule(
            ("endpoints", "type"),
            lambda p: p.type != "openai" or bool(p.endpoints),
            "self.type != 'openai' || size(self.endpoints) > 0",
            "type openai needs endpoints: give the base URL, such as http://vllm:8000/v1",
        ),
        Rule(
            ("api_key", "type", "endpoints"),
            lambda p: p.type not in ENDPOINTS or bool(p.endpoints) or p.api_key is not None,
            "!(self.type in ['kimi', 'glm']) || size(self.endpoints) > 0 || has(self.apiKey)",
            "types kimi and glm need apiKey at the provider's own address: give a secretRef or"
            " an env",
        ),
        Rule(
            ("key_format", "type"),
            lambda p: p.key_format == "bearer" or p.type == "glm",
            "self.keyFormat == 'bearer' || self.type == 'glm'",
            "keyFormat jwt is for type glm only",
        ),
        Rule(
            ("tier", "type"),
            lambda p: p.tier is None or p.type in ("kimi", "simulator"),
            "!has(self.tier) || self.type in ['kimi', 'simulator']",
            "the kimi tiers are for type kimi; state limits for other types",
        ),
        Rule(
            ("simulator", "type"),
            lambda p: p.simulator is None or p.type == "simulator",
            "!has(self.simulator) || self.type == 'simulator'",
            "simulator is for type simulator only",
        ),
        Rule(
            ("endpoints", "type"),
            lambda p: p.type != "simulator" or not p.endpoints,
            "self.type != 'simulator' || size(self.endpoints) == 0",
            "type simulator runs inside the gateway and takes no endpoints; to reach one that"
            " runs on its own, use the type of its wire",
        ),
    )

    @property
    def wire(self) -> Literal["kimi", "glm", "openai"]:
        """Whose wire it speaks: its type, or that of the provider it simulates."""
        if self.type == "simulator":
            return self.simulator_settings.wire
        return self.type

    @property
    def simulator_settings(self) -> SimulatorSettings:
        """How it is simulated, where nothing is said: a kimi account."""
        return self.simulator or SimulatorSettings()

    def effective_endpoints(self) -> list[Endpoint]:
        """The endpoints as written, or the type's own; empty for an in-process simulator."""
        if self.endpoints or self.type not in ENDPOINTS:
            return self.endpoints
        return [Endpoint(url=ENDPOINTS[self.type])]

    def effective_limits(self) -> AccountLimits:
        """The limits as written, completed by those of the tier."""
        own = self.limits or AccountLimits()
        return own.over(TIERS[self.tier]) if self.tier else own

    def pool_caps(self, tuning: Tuning, *, replicas: int = 1) -> tuple[int, int]:
        """Work out the pool's two caps in one process: (kept for reuse, overflow above it).

        What a person set holds in every mode. Else a known limit of the account, divided by
        the largest number of replicas unless somebody divides it as it is used; else the
        share alone (`Auto`), or the original's 10 and 20.
        """
        pool = self.pool
        if pool.max_connections is not None:
            return pool.max_connections, pool.max_overflow or 0
        limits = self.effective_limits()
        known = limits.concurrency
        if tuning.mode == "Auto":
            return known or UNBOUNDED_POOL, pool.max_overflow or 0
        if known is not None:
            return max(1, known // replicas), pool.max_overflow or 0
        by_model = sum(model.concurrency or 0 for model in limits.by_model.values())
        size = max(SEED_POOL_SIZE, by_model // replicas)
        overflow = SEED_MAX_OVERFLOW if pool.max_overflow is None else pool.max_overflow
        return size, overflow
