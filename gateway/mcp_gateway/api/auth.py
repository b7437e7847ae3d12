"""Who may come in, in which order the layers ask, and how often each client may."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import Field

from mcp_gateway.api.fields import LAYER, Count, Duration, HttpUrl, Model, Rule
from mcp_gateway.api.secret import SecretSource
from mcp_gateway.api.server import LOOPBACK

BUILT_IN_MIDDLEWARE: Final = ("auth", "rate_limit", "logging")
"""The layers that need no installation, in their default order."""

MiddlewareName = Annotated[str, Field(min_length=1, max_length=63, pattern=LAYER)]
JWTAlgorithm = Literal[
    "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA"
]


class JWT(Model):
    """Accept signed tokens of an identity provider, beside the gateway's own keys."""

    issuer: Annotated[str, Field(min_length=1, max_length=2048)]
    """The `iss` a token must carry, exactly: `https://login.example.com/`."""

    audience: Annotated[str, Field(min_length=1, max_length=2048)]
    """The `aud` a token must carry: the name under which this gateway is registered. Without
    it, a token made for another service would open this one."""

    jwks_uri: HttpUrl
    """Where the issuer's public keys are: `https://login.example.com/.well-known/jwks.json`.
    Fetched when an unknown key id appears, and remembered."""

    algorithms: Annotated[list[JWTAlgorithm], Field(min_length=1, max_length=9)] = Field(
        default=["RS256", "ES256"]
    )
    """Signature algorithms that are accepted. Symmetric ones are not: whoever could verify
    could also sign."""

    name_claim: Annotated[str, Field(min_length=1, max_length=253)] = "sub"
    """The claim that becomes the client's name in logs, records and rate limits."""

    models_claim: Annotated[str, Field(min_length=1, max_length=253)] | None = None
    """A claim with an RE2 expression of the models the client may call. Without it: all."""


class Auth(Model):
    """How a client proves who it is: `Authorization: Bearer <key or token>`."""

    api_keys: SecretSource | None = None
    """Hashed client keys, one line each as `mcp-gateway keys create` prints them. Without
    keys, without `jwt` and without `anonymous`, a key is made at the start and printed once."""

    jwt: JWT | None = None
    """Accept tokens of an identity provider too."""

    anonymous: bool = False
    """Serve everybody without a credential. Only on a loopback host."""


class RateLimit(Model):
    """A token bucket per client or for all: `{requests: 600, per: 1m, burst: 60}`."""

    requests: Count
    """Requests that may be made in each `per`, on average."""

    per: Duration = 60.0
    """The period `requests` is counted over."""

    burst: Count | None = None
    """Requests that may come at once after a pause. Without it: a tenth of `requests`, at least
    one."""

    by: Literal["client", "global"] = "client"
    """Whose requests are counted together: one client's, or everybody's."""

    rules = ()

    @property
    def per_second(self) -> float:
        """The steady rate, in requests per second."""
        return self.requests / self.per

    @property
    def burst_size(self) -> int:
        """`burst`, or what stands for it."""
        return self.burst if self.burst is not None else max(1, self.requests // 10)


_ON_LOOPBACK: Final = f"self.server.host.matches(r'{LOOPBACK}')"

ANONYMOUS_RULE: Final = Rule(
    ("auth.anonymous", "server.host"),
    lambda spec: not spec.auth.anonymous or spec.loopback,
    f"!self.auth.anonymous || {_ON_LOOPBACK}",
    "anonymous needs a loopback server.host such as 127.0.0.1; elsewhere set auth.apiKeys or"
    " auth.jwt",
)
AUTH_LAYER_RULE: Final = Rule(
    ("middleware", "server.host"),
    lambda spec: "auth" in spec.middleware or spec.loopback,
    f"'auth' in self.middleware || {_ON_LOOPBACK}",
    "without the auth layer everybody is served: add auth, or set server.host to 127.0.0.1",
)
