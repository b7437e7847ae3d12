"""An account's request and token rates, as the gateway keeps to them.

Tokens are charged by an estimate when a request starts and corrected by the provider's count
when it ends, so a bucket may be below zero for a while.
"""

from __future__ import annotations

import asyncio

from mcp_gateway.api.limits import AccountLimits, ModelLimits
from mcp_gateway.limits.rate import TokenBucket
from mcp_gateway.providers.base import ChatAnswer, ChatCall

CHARACTERS_PER_TOKEN = 4
DEFAULT_ANSWER_TOKENS = 256
LARGEST_ANSWER_TOKENS = 1 << 18
"""No model writes more. `max_tokens` is the client's word: believed without a bound, one request
would take what all the others need for years."""
DRAINED = 1.0
"""Seconds a bucket stays empty after a refusal that names no time."""
LONGEST_DRAIN = 600.0
"""A longer wait for a rate by the minute is a misread message; the next refusal would say more."""
MINUTE, DAY = 60.0, 86_400.0
BURST_SECONDS = 10.0
"""So much of a rate may be used at once. Providers count in windows, and a whole minute's worth
in one second would be refused by those whose window slides."""


class Rates:
    """Requests per minute, tokens per minute and tokens per day of one account or model.

    What is not limited has no bucket, until the provider refuses for it: then the bucket that
    the refusal drains is made.
    """

    __slots__ = ("_daily", "_loop", "_requests", "_tokens", "limited")

    def __init__(
        self, limits: AccountLimits | ModelLimits, loop: asyncio.AbstractEventLoop
    ) -> None:
        self._loop = loop
        self._requests: TokenBucket | None = None
        self._tokens: TokenBucket | None = None
        self._daily: TokenBucket | None = None
        self.configure(limits)

    def configure(self, limits: AccountLimits | ModelLimits) -> None:
        """Set the rates; what has been used of those that stay is still used."""
        per_day = limits.tokens_per_day if isinstance(limits, AccountLimits) else None
        self.set_requests(limits.requests_per_minute)
        self.set_tokens(limits.tokens_per_minute)
        self._daily = _configured(self._daily, per_day, DAY, DAY)
        self._refresh()

    def set_requests(self, per_minute: float | None) -> None:
        """Set the requests per minute; None takes the bound away."""
        self._requests = _configured(self._requests, per_minute, MINUTE, BURST_SECONDS)
        self._refresh()

    def set_tokens(self, per_minute: float | None) -> None:
        """Set the tokens per minute; None takes the bound away."""
        self._tokens = _configured(self._tokens, per_minute, MINUTE, BURST_SECONDS)
        self._refresh()

    def take_now(self, call: ChatCall) -> bool:
        """Take a turn if there is one now."""
        return self._try(self._loop.time(), self._estimate(call)) == 0.0

    async def take(self, call: ChatCall, until: float) -> float | None:
        """Wait for a turn until `until` (loop time); seconds waited, or None if it is too far."""
        started = now = self._loop.time()
        estimate = self._estimate(call)
        while (wait := self._try(now, estimate)) > 0.0:
            if now + wait > until:
                return None
            await asyncio.sleep(wait)
            now = self._loop.time()
        return now - started

    def settle(self, now: float, call: ChatCall, answer: ChatAnswer) -> None:
        """Correct the token charge by the provider's own count, where it said one."""
        used = answer.prompt_tokens + answer.completion_tokens
        if not used or self._tokens is self._daily is None:
            return
        missing = used - estimated_tokens(call)
        for bucket in (self._tokens, self._daily):
            if bucket is not None:
                bucket.charge(now, missing) if missing > 0 else bucket.give_back(-missing)

    def undo(self, call: ChatCall) -> None:
        """Give back what `take` took for a request that was not sent."""
        if self._requests is not None:
            self._requests.give_back(1)
        self.undo_tokens(call)

    def undo_tokens(self, call: ChatCall) -> None:
        """Give back the tokens of a request that was sent and refused, with nothing generated."""
        if self._tokens is self._daily is None:
            return
        estimate = estimated_tokens(call)
        for bucket in (self._tokens, self._daily):
            if bucket is not None:
                bucket.give_back(estimate)

    def drain_requests(self, now: float, seconds: float | None) -> None:
        """The provider refused for frequency: send nothing for `seconds`."""
        self._requests = self._requests or _unlimited()
        self._requests.drain(now, _drain_time(seconds))
        self._refresh()

    def drain_tokens(self, now: float, seconds: float | None) -> None:
        """The provider refused for tokens: send nothing for `seconds`."""
        self._tokens = self._tokens or _unlimited()
        self._tokens.drain(now, _drain_time(seconds))
        self._refresh()

    def levels(self, now: float) -> dict[str, float]:
        """What is left in each bucket, for people: requests, tokens, tokens of the day."""
        named = {"requests": self._requests, "tokens": self._tokens, "tokensOfDay": self._daily}
        return {name: round(b.level(now), 1) for name, b in named.items() if b is not None}

    def _try(self, now: float, estimate: int) -> float:
        """Take from every bucket or from none; the longest wait, 0.0 when taken."""
        requests, tokens, daily = self._requests, self._tokens, self._daily
        wait = requests.take(now) if requests is not None else 0.0
        if wait > 0.0:
            return wait
        wait = tokens.take(now, estimate) if tokens is not None else 0.0
        if wait == 0.0 and daily is not None:
            wait = daily.take(now, estimate)
            if wait > 0.0 and tokens is not None:
                tokens.give_back(estimate)
        if wait > 0.0 and requests is not None:
            requests.give_back(1)
        return wait

    def _estimate(self, call: ChatCall) -> int:
        return 0 if self._tokens is self._daily is None else estimated_tokens(call)

    def _refresh(self) -> None:
        self.limited = not (self._requests is self._tokens is self._daily is None)


def estimated_tokens(call: ChatCall) -> int:
    """A guess of prompt and answer together, from sizes alone."""
    fields = call.fields
    prompt = len(fields["messages"]) // CHARACTERS_PER_TOKEN
    asked = fields.get("max_tokens") or fields.get("max_completion_tokens")
    answer = bytes(asked) if asked is not None else b""
    if not answer.isdigit():
        return prompt + DEFAULT_ANSWER_TOKENS
    # Too many digits for a number are not made one: that takes long, and fails in the end.
    return prompt + (
        min(int(answer), LARGEST_ANSWER_TOKENS) if len(answer) < 10 else LARGEST_ANSWER_TOKENS
    )


def _drain_time(seconds: float | None) -> float:
    return DRAINED if seconds is None else min(seconds, LONGEST_DRAIN)


def _configured(
    bucket: TokenBucket | None, amount: float | None, period: float, burst_seconds: float
) -> TokenBucket | None:
    if amount is None:
        return None
    # A share of nothing at all cannot be a rate; it is as slow as makes no difference.
    rate = max(amount, 1e-6) / period
    burst = max(rate * burst_seconds, 1.0)
    if bucket is None:
        return TokenBucket(rate, burst)
    bucket.configure(rate, burst)
    return bucket


def _unlimited() -> TokenBucket:
    """A bucket that never refuses until it is drained."""
    return TokenBucket(1e9, 1e9)
