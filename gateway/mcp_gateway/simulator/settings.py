"""What a simulated provider does, as numbers that can be used at once.

The document's form is `api.simulator.SimulatorSettings`, with defaults for people; `compiled`
makes this one of it. Here everything is off until it is said: no limit, no delay, no failure.
Frozen: a change of settings is another object, taken from the next request on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal

from mcp_gateway.api.limits import ModelLimits
from mcp_gateway.api.simulator import LogNormal as DocumentLogNormal
from mcp_gateway.api.simulator import SimulatorSettings

DEFAULT_MODELS = {
    "kimi": (
        "kimi-k2-0905-preview",
        "kimi-k2.5",
        "kimi-k2.6",
        "moonshot-v1-8k",
        "moonshot-v1-32k",
        "moonshot-v1-128k",
    ),
    "glm": ("glm-4.5", "glm-4.6", "glm-4.7", "glm-5"),
}


class FailureKind(StrEnum):
    """What can be made to go wrong with a request."""

    OVERLOAD = "overload"
    """The wire's error for a busy platform."""
    QUOTA = "quota"
    """The wire's error for a used-up balance or window."""
    SERVER = "server"
    """Status 500 with the wire's error object."""
    BAD_GATEWAY = "bad_gateway"
    """Status 502 with a page of HTML, as a proxy in front of the platform answers."""
    UNAVAILABLE = "unavailable"
    """Status 503, likewise."""
    GATEWAY_TIMEOUT = "gateway_timeout"
    """Status 504, likewise."""
    STALL = "stall"
    """No byte of an answer until the client gives up."""
    STALL_MIDWAY = "stall_midway"
    """The answer stops in the middle, and the connection stays open."""
    RESET = "reset"
    """The connection is reset before a byte of the answer."""
    RESET_MIDWAY = "reset_midway"
    """The connection is reset in the middle of the answer."""
    GARBAGE = "garbage"
    """Bytes that are not HTTP."""
    BROKEN_JSON = "broken_json"
    """A well-formed HTTP answer whose JSON breaks off."""
    SLOW_BODY = "slow_body"
    """The answer comes a few bytes at a time."""

    @property
    def refuses(self) -> bool:
        """The request is answered with an error and never begun."""
        return self in _REFUSING


_REFUSING = frozenset(
    {
        FailureKind.OVERLOAD,
        FailureKind.QUOTA,
        FailureKind.SERVER,
        FailureKind.BAD_GATEWAY,
        FailureKind.UNAVAILABLE,
        FailureKind.GATEWAY_TIMEOUT,
    }
)


@dataclass(frozen=True, slots=True)
class Limits:
    """What one account (or one model of it) may do. None means no limit.

    Attributes:
        concurrency: requests in flight.
        requests_per_minute, tokens_per_minute, tokens_per_day: in any window of that length.
    """

    concurrency: int | None = None
    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    tokens_per_day: int | None = None


@dataclass(frozen=True, slots=True)
class LogNormal:
    """A log-normal law by its median; a sigma of 0 is the median always."""

    median: float
    sigma: float = 0.0


@dataclass(frozen=True, slots=True)
class Latency:
    """How long an answer takes, in seconds.

    Attributes:
        first_token: before its first token.
        per_token: for each token; drawn once per request, as a model's speed differs between
            requests more than within one.
        refusal: before an error answer.
    """

    first_token: LogNormal = LogNormal(0.0)
    per_token: LogNormal = LogNormal(0.0)
    refusal: LogNormal = LogNormal(0.0)


@dataclass(frozen=True, slots=True)
class Failure:
    """One way to fail, and the share of requests that do, 0 to 1."""

    kind: FailureKind
    ratio: float


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything a simulated provider is told.

    Attributes:
        wire: whose wire it speaks.
        limits: of one account; on the GLM wire of each model of an account.
        by_model: limits of single models, which then are counted by themselves.
        models: what can be called; empty means the wire's usual names.
        api_keys: the keys that are let in; empty lets any key in.
        latency: the law of its times.
        answer_tokens: the law of an answer's length, never more than `longest_answer`.
        failures: ratios that together are at most 1.
        retry_after: seconds that a refusal for concurrency asks to wait.
        seed: the same seed and the same order of requests give the same draws.
    """

    wire: Literal["kimi", "glm"] = "kimi"
    limits: Limits = Limits()
    by_model: Mapping[str, Limits] = field(default_factory=dict)
    models: tuple[str, ...] = ()
    api_keys: frozenset[str] = frozenset()
    latency: Latency = Latency()
    answer_tokens: LogNormal = LogNormal(40.0)
    longest_answer: int = 4096
    failures: tuple[Failure, ...] = ()
    retry_after: float = 1.0
    seed: int = 0

    @property
    def callable_models(self) -> tuple[str, ...]:
        """The models that can be called."""
        return self.models or DEFAULT_MODELS[self.wire]


def compiled(document: SimulatorSettings, api_keys: frozenset[str] = frozenset()) -> Settings:
    """The settings of a document. It has no keys: what it names is an account, not a secret."""
    tokens = document.answer_tokens
    return Settings(
        wire=document.wire,
        limits=_limits(document, document.tokens_per_day),
        by_model={name: _limits(limits) for name, limits in document.by_model.items()},
        models=tuple(document.models),
        api_keys=api_keys,
        latency=Latency(
            first_token=_law(document.latency.first_token),
            per_token=_law(document.latency.per_token),
            refusal=_law(document.latency.refusal),
        ),
        answer_tokens=LogNormal(tokens.median, tokens.sigma),
        longest_answer=tokens.max,
        failures=tuple(Failure(FailureKind(f.kind), f.ratio) for f in document.failures),
        retry_after=document.retry_after,
        seed=document.seed,
    )


def _law(law: DocumentLogNormal) -> LogNormal:
    return LogNormal(law.median, law.sigma)


def _limits(stated: SimulatorSettings | ModelLimits, tokens_per_day: int | None = None) -> Limits:
    return Limits(
        concurrency=stated.concurrency,
        requests_per_minute=stated.requests_per_minute,
        tokens_per_minute=stated.tokens_per_minute,
        tokens_per_day=tokens_per_day,
    )
