"""How a simulated provider behaves: whose wire it speaks, what it allows, how long it takes.

The simulator stands in for a provider where there is no key or no network: on a laptop, in
tests, under load. It enforces an account's limits as the named provider does, so what is
tuned against it holds against the real one.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from mcp_gateway.api.fields import Count, DurationOrZero, Model, ModelName, Ratio, Rule
from mcp_gateway.api.limits import ModelLimits

Wire = Literal["kimi", "glm"]
FailureKind = Literal[
    "overload",
    "quota",
    "server",
    "unavailable",
    "stall",
    "reset",
    "reset_midway",
    "garbage",
    "slow_body",
]
Spread = Annotated[float, Field(ge=0.0, le=5.0)]


class LogNormal(Model):
    """A time drawn anew for each use, spread as the logarithm of a normal distribution."""

    median: DurationOrZero = 0.0
    """Half of the times are shorter: `800ms`. `0s` switches this part of the latency off."""

    sigma: Spread = 0.0
    """Spread, the standard deviation of the logarithm: at 0.5 one time in twenty is 2.3 times the
    median or more; 0 makes every time the median."""


class SimulatedLatency(Model):
    """How long an answer takes: `firstToken`, then `perToken` for each token; or `refusal`."""

    first_token: LogNormal = LogNormal(median=0.8, sigma=0.5)
    """Time before the first token, whatever the answer's length."""

    per_token: LogNormal = LogNormal(median=0.02, sigma=0.0)
    """Time of each token. Drawn once per answer: a model's speed differs between answers more
    than within one."""

    refusal: LogNormal = LogNormal()
    """Time before an error answer, such as that of a limit. Real ones take about a tenth of a
    second."""


class SimulatedTokens(Model):
    """How long the answers are, in tokens."""

    median: Count = 200
    """Half of the answers are shorter. A request's `max_tokens` ends an answer before."""

    sigma: Spread = 0.9
    """Spread, the standard deviation of the logarithm; 0 makes every answer the median."""

    max: Count = 4_096
    """The longest answer."""


class SimulatedFailure(Model):
    """A failure mixed into the answers: `{kind: overload, ratio: 0.05}`."""

    kind: FailureKind
    """What goes wrong. `overload`, `quota`, `server` (500) and `unavailable` (503) are answers
    with the wire's own codes; `stall` never answers; `reset` cuts the connection before the
    answer and `reset_midway` in it; `garbage` answers what is not HTTP; `slow_body` sends a
    byte at a time."""

    ratio: Ratio
    """The part of the requests that fail this way: 0.05 is one in twenty."""


class SimulatorSettings(Model):
    """A simulated provider account. What is not given is not limited."""

    wire: Wire = "kimi"
    """Whose wire it speaks: its paths, codes, headers and limits."""

    concurrency: Count | None = None
    """Requests in flight at once, per key; one more is refused as the provider does. On the
    `glm` wire this counts per model."""

    requests_per_minute: Count | None = None
    """Requests started within a minute, per key."""

    tokens_per_minute: Count | None = None
    """Tokens within a minute, per key."""

    tokens_per_day: Count | None = None
    """Tokens within a day, per key."""

    by_model: Annotated[dict[ModelName, ModelLimits], Field(max_length=256)] = Field(default={})
    """Limits of single models: `{glm-5: {concurrency: 5}}`."""

    models: Annotated[list[ModelName], Field(max_length=256)] = Field(default=[])
    """What `GET /models` lists and what can be called. Empty: a few names of the wire's family."""

    latency: SimulatedLatency = SimulatedLatency()
    """How long answers take."""

    answer_tokens: SimulatedTokens = SimulatedTokens()
    """How long answers are."""

    failures: Annotated[list[SimulatedFailure], Field(max_length=32)] = Field(default=[])
    """Failures mixed in. The ratios add up to at most 1."""

    retry_after: DurationOrZero = 1.0
    """What a refusal for too many requests in flight asks to wait, on a wire that says so. An
    experiment that runs faster than life shortens it with everything else."""

    seed: Annotated[int, Field(ge=0, le=2_147_483_647)] = 0
    """Start of the random numbers: the same requests in the same order are answered the same."""

    rules = (
        Rule(
            ("failures",),
            lambda s: sum(failure.ratio for failure in s.failures) <= 1.0 + 1e-9,
            "self.failures.map(f, f.ratio).sum() <= 1.000001",
            "the ratios of failures must add up to at most 1",
        ),
    )
