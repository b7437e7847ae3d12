"""What chance decides about a request: its length, its time, its failure.

Each has a generator of its own, so that failures and refusals leave the times as they were.
"""

from __future__ import annotations

import math
import random

from mcp_gateway.simulator.settings import FailureKind, LogNormal, Settings


class Law:
    """Draws, in the order requests come; the same seed gives the same draws."""

    __slots__ = ("_failures", "_first", "_lengths", "_maximum", "_median", "_misfortune",
                 "_per_token", "_refusal", "_refusals", "_sigma", "_times")  # fmt: skip

    def __init__(self, settings: Settings) -> None:
        self._lengths = random.Random(f"lengths {settings.seed}")
        self._times = random.Random(f"times {settings.seed}")
        self._refusals = random.Random(f"refusals {settings.seed}")
        self._misfortune = random.Random(f"failures {settings.seed}")
        length = settings.answer_tokens
        self._median, self._sigma = math.log(max(length.median, 1.0)), length.sigma
        self._maximum = settings.longest_answer
        self._first = settings.latency.first_token
        self._per_token = settings.latency.per_token
        self._refusal = settings.latency.refusal
        self._failures: list[tuple[float, FailureKind]] = []
        bound = 0.0
        for failure in settings.failures:
            bound += failure.ratio
            self._failures.append((bound, failure.kind))

    def tokens(self) -> int:
        """Tokens of an answer, at least 1."""
        drawn = self._lengths.lognormvariate(self._median, self._sigma)
        return max(1, min(self._maximum, round(drawn)))

    def first_token(self) -> float:
        """Seconds before the first token."""
        return _draw(self._first, self._times)

    def per_token(self) -> float:
        """Seconds for each token of one answer."""
        return _draw(self._per_token, self._times)

    def refusal(self) -> float:
        """Seconds before an error answer."""
        return _draw(self._refusal, self._refusals)

    def failure(self) -> FailureKind | None:
        """How the request is to fail; None for one that succeeds."""
        if not self._failures:
            return None
        drawn = self._misfortune.random()
        for bound, kind in self._failures:
            if drawn < bound:
                return kind
        return None


def _draw(law: LogNormal, dice: random.Random) -> float:
    if law.median <= 0.0:
        return 0.0
    if law.sigma <= 0.0:
        return law.median
    return dice.lognormvariate(math.log(law.median), law.sigma)
