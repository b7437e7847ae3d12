"""An account's request and token rates, as the gateway keeps to them.

Tokens are charged by an estimate when a request starts and corrected by the provider's count
when it ends, so the bucket may be below zero for a while.
"""

from __future__ import annotations

import asyncio

from mcp_gateway.limits.rate import TokenBucket
from mcp_gateway.providers.base import ChatAnswer, ChatCall

CHARACTERS_PER_TOKEN = 4
DEFAULT_ANSWER_TOKENS = 256
DRAINED = 1.0
"""Seconds a bucket stays empty after a refusal that names no time."""


class Rates:
    """Requests and tokens per minute of one account; None is no limit.

    Raises nothing: a request that cannot have its turn in time gets None from `take`.
    """

    def __init__(
        self,
        requests_per_minute: float | None,
        tokens_per_minute: float | None,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self._loop = loop
        self.requests: TokenBucket | None = None
        self.tokens: TokenBucket | None = None
        self.configure(requests_per_minute, tokens_per_minute)

    def configure(self, requests_per_minute: float | None, tokens_per_minute: float | None) -> None:
        """Set both rates; what has been used stays used."""
        now = self._loop.time()
        self.requests = _configured(self.requests, requests_per_minute, now)
        self.tokens = _configured(self.tokens, tokens_per_minute, now)

    @property
    def limited(self) -> bool:
        """At least one rate is in force."""
        return self.requests is not None or self.tokens is not None

    async def take(self, call: ChatCall, until: float) -> float | None:
        """Wait for a turn until `until` (loop time); seconds waited, or None if it is too far."""
        started = now = self._loop.time()
        estimate = estimated_tokens(call) if self.tokens is not None else 0
        while True:
            wait = self._try(now, estimate)
            if wait == 0.0:
                return now - started
            if now + wait > until:
                return None
            await asyncio.sleep(wait)
            now = self._loop.time()

    def _try(self, now: float, estimate: int) -> float:
        if self.tokens is not None:
            # An estimate above the bucket's size would wait for ever: it is charged whole,
            # and the bucket pays it back below zero.
            wait = self.tokens.take(now, min(estimate, self.tokens.burst))
            if wait > 0.0:
                return wait
        if self.requests is not None:
            wait = self.requests.take(now)
            if wait > 0.0:
                if self.tokens is not None:
                    self.tokens.give_back(min(estimate, self.tokens.burst))
                return wait
        return 0.0

    def settle(self, now: float, call: ChatCall, answer: ChatAnswer) -> None:
        """Correct the token charge by the provider's own count, where it said one."""
        used = answer.prompt_tokens + answer.completion_tokens
        if self.tokens is not None and used:
            charged = min(estimated_tokens(call), self.tokens.burst)
            if used > charged:
                self.tokens.charge(now, used - charged)
            else:
                self.tokens.give_back(charged - used)

    def drain_requests(self, now: float, seconds: float | None) -> None:
        """The provider refused for frequency: send nothing for `seconds`."""
        if self.requests is None:
            self.requests = _unlimited()
        self.requests.drain(now, seconds if seconds is not None else DRAINED)

    def drain_tokens(self, now: float, seconds: float | None) -> None:
        """The provider refused for tokens: send nothing for `seconds`."""
        if self.tokens is None:
            self.tokens = _unlimited()
        self.tokens.drain(now, seconds if seconds is not None else DRAINED)


def estimated_tokens(call: ChatCall) -> int:
    """A guess of prompt and answer together, from sizes alone."""
    prompt = len(bytes(call.fields["messages"])) // CHARACTERS_PER_TOKEN
    answer = bytes(call.fields.get("max_tokens", b""))
    return prompt + (int(answer) if answer.isdigit() else DEFAULT_ANSWER_TOKENS)


def _configured(
    bucket: TokenBucket | None, per_minute: float | None, now: float
) -> TokenBucket | None:
    if per_minute is None:
        return None
    # A burst of a sixth: providers count in windows, and a whole minute's worth at once would
    # be refused by those whose window slides.
    rate, burst = per_minute / 60.0, max(per_minute / 6.0, 1.0)
    if bucket is None:
        return TokenBucket(rate, burst)
    bucket.configure(rate, burst)
    return bucket


def _unlimited() -> TokenBucket:
    """A bucket that never refuses until it is drained."""
    return TokenBucket(1e9, 1e9)
