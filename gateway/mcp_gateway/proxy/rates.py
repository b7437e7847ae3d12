"""An account's request and token rates, as the gateway keeps to them.

Two things are asked for each request. A window answers for the rate itself: within any minute no
more is begun than is allowed. A token bucket in front of it spreads that over the minute.

Tokens are charged by an estimate when a request starts and corrected by the provider's count
when it ends, so a bucket may be below zero for a while. A provider that charges beforehand what
a request may use, as Kimi does, gives nothing back, and neither is anything given back here.
"""

from __future__ import annotations

import asyncio

from mcp_gateway.api.limits import AccountLimits, ModelLimits
from mcp_gateway.concurrency.wait_queue import QueueFull
from mcp_gateway.errors import Misdirected, PoolSaturated
from mcp_gateway.limits.minute import MinuteQuota
from mcp_gateway.limits.rate import TokenBucket
from mcp_gateway.providers.base import ChatCall
from mcp_gateway.proxy.rate_queue import RateQueue
from mcp_gateway.proxy.turn import Turn

CHARACTERS_PER_TOKEN = 4
DEFAULT_ANSWER_TOKENS = 256
CHARGED_ANSWER_TOKENS = 1024
"""What a request that names no length is charged with where that is done beforehand."""
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
MAX_WAITING = 1000
"""Requests that wait for a rate, unless it is said otherwise."""


class Rates:
    """Requests per minute, tokens per minute and tokens per day of one account or model.

    What is not limited has no bucket, until the provider refuses for it: then the bucket that
    the refusal drains is made.

    Args:
        limits: the rates.
        loop: its clock and timers.
        charged_beforehand: the provider counts what a request may use, and gives nothing back.

    Attributes:
        charged_beforehand: as given.
        limited: a request has to ask.
        may_rise: somebody moves the rates from moment to moment, so that a wait that seems too
            long is worth while.
        max_waiting: how many may wait.
    """

    __slots__ = (
        "_daily",
        "_loop",
        "_queue",
        "_request_window",
        "_requests",
        "_token_window",
        "_tokens",
        "charged_beforehand",
        "limited",
        "max_waiting",
        "may_rise",
    )

    def __init__(
        self,
        limits: AccountLimits | ModelLimits,
        loop: asyncio.AbstractEventLoop,
        *,
        charged_beforehand: bool = False,
    ) -> None:
        self._loop = loop
        self.charged_beforehand = charged_beforehand
        self._requests: TokenBucket | None = None
        self._tokens: TokenBucket | None = None
        self._daily: TokenBucket | None = None
        self._request_window: MinuteQuota | None = None
        self._token_window: MinuteQuota | None = None
        self._queue = RateQueue(loop, self._reserve)
        self.max_waiting = MAX_WAITING
        self.may_rise = False
        self.configure(limits)

    def configure(self, limits: AccountLimits | ModelLimits) -> None:
        """Set the rates; what has been used of those that stay is still used."""
        self.set_daily(limits.tokens_per_day if isinstance(limits, AccountLimits) else None)
        self.set_requests(limits.requests_per_minute)
        self.set_tokens(limits.tokens_per_minute)

    def set_requests(self, per_minute: int | None) -> None:
        """Set the requests per minute; 0 lets none begin, None takes the bound away."""
        self._requests = _configured(self._requests, per_minute, MINUTE, BURST_SECONDS)
        self._request_window = _window(self._request_window, per_minute)
        self._refresh()

    def set_tokens(self, per_minute: int | None) -> None:
        """Set the tokens per minute; 0 lets none begin, None takes the bound away."""
        self._tokens = _configured(self._tokens, per_minute, MINUTE, BURST_SECONDS)
        self._token_window = _window(self._token_window, per_minute)
        self._refresh()

    def set_daily(self, per_day: int | None) -> None:
        """Set the tokens per day; None takes the bound away."""
        self._daily = _configured(self._daily, per_day, DAY, DAY)
        self._refresh()

    def turn_away(self, name: str) -> None:
        """Fail with Misdirected who waits: what they wait for is to be had elsewhere.

        Args:
            name: the provider's, for the error.
        """
        self._queue.fail_all(lambda: Misdirected(f"no rate of {name} is held here", provider=name))

    def assume_used(self, now: float) -> None:
        """Begin as if everything had been used a moment ago: nobody knows what was."""
        for window in (self._request_window, self._token_window):
            if window is not None:
                window.charge(now, window.amount)

    @property
    def hold_nothing(self) -> bool:
        """Nothing may begin: a rate is 0."""
        return 0 in {self.requests_per_minute, self.tokens_per_minute}

    @property
    def waiting(self) -> int:
        """Requests that wait for a turn."""
        return self._queue.size

    @property
    def requests_per_minute(self) -> int | None:
        """What is allowed now; None where nothing bounds it."""
        return None if self._request_window is None else self._request_window.amount

    @property
    def tokens_per_minute(self) -> int | None:
        """What is allowed now; None where nothing bounds it."""
        return None if self._token_window is None else self._token_window.amount

    def in_window(self, now: float) -> tuple[int, int]:
        """Requests and tokens of the last minute, with what is about to be sent."""
        windows = (self._request_window, self._token_window)
        requests, tokens = (0 if window is None else window.used(now) for window in windows)
        return requests, tokens

    def take_now(self, call: ChatCall) -> Turn | None:
        """A turn, if there is one now."""
        if self._queue.size:
            return None
        found = self._reserve(self._estimate(call))
        return found if isinstance(found, Turn) else None

    async def take(self, call: ChatCall, until: float, client: str = "") -> Turn | None:
        """Wait for a turn until `until` (loop time); None where there is none by then.

        Args:
            call: the request.
            until: when it gives up. One that cannot have a turn by then is told at once.
            client: whose turn it uses.

        Raises:
            Misdirected: turned away while it waited.
            PoolSaturated: `max_waiting` wait already.
        """
        tokens = self._estimate(call)
        now = self._loop.time()
        wait = self._wait(now, tokens)
        # A drained bucket is the provider's word, which nobody here can change.
        if now + wait > until and not (self.may_rise and self._drained(now) == 0.0):
            return None
        try:
            return await self._queue.wait(client, tokens, until, self.max_waiting)
        except QueueFull:
            raise PoolSaturated(f"{self._queue.size} requests wait for a rate already") from None

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

    def _reserve(self, tokens: int) -> Turn | float:
        """Take a turn from every bucket and window, or nothing; the turn or the longest wait."""
        now = self._loop.time()
        wait = self._wait(now, tokens)
        if wait > 0.0:
            return wait
        if self._requests is not None:
            self._requests.take(now)
        buckets = self._token_buckets
        for bucket in buckets:
            bucket.take(now, tokens)
        return Turn(
            tokens,
            requests=self._request_window,
            minute=self._token_window,
            request_bucket=self._requests,
            token_buckets=buckets,
            changed=self._given_back,
            refunds=not self.charged_beforehand,
        )

    def _wait(self, now: float, tokens: int) -> float:
        """Seconds until a turn may be had; 0.0 when it may be now."""
        wait = self._requests.wait(now) if self._requests is not None else 0.0
        if self._request_window is not None:
            wait = max(wait, self._request_window.wait(now, 1))
        for bucket in self._token_buckets:
            wait = max(wait, bucket.wait(now, tokens))
        if self._token_window is not None:
            wait = max(wait, self._token_window.wait(now, tokens))
        return wait

    def _drained(self, now: float) -> float:
        """Seconds for which the provider wants to hear nothing."""
        buckets = (self._requests, self._tokens)
        return max((bucket.drained(now) for bucket in buckets if bucket is not None), default=0.0)

    @property
    def _token_buckets(self) -> tuple[TokenBucket, ...]:
        return tuple(each for each in (self._tokens, self._daily) if each is not None)

    def _estimate(self, call: ChatCall) -> int:
        if self._tokens is self._daily is None:
            return 0
        return estimated_tokens(
            call, CHARGED_ANSWER_TOKENS if self.charged_beforehand else DEFAULT_ANSWER_TOKENS
        )

    def _given_back(self) -> None:
        if self._queue.size:
            self._queue.serve()

    def _refresh(self) -> None:
        self.limited = not (self._requests is self._tokens is self._daily is None)
        self._given_back()


def estimated_tokens(call: ChatCall, unsaid: int = DEFAULT_ANSWER_TOKENS) -> int:
    """A guess of prompt and answer together, from sizes alone.

    Args:
        call: the request.
        unsaid: tokens of an answer whose length the request does not bound.
    """
    fields = call.fields
    prompt = len(fields["messages"]) // CHARACTERS_PER_TOKEN
    asked = fields.get("max_tokens") or fields.get("max_completion_tokens")
    answer = bytes(asked) if asked is not None else b""
    if not answer.isdigit():
        return prompt + unsaid
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


def _window(window: MinuteQuota | None, amount: int | None) -> MinuteQuota | None:
    if amount is None:
        return None
    if window is None:
        return MinuteQuota(amount)
    window.amount = amount
    return window


def _unlimited() -> TokenBucket:
    """A bucket that never refuses until it is drained."""
    return TokenBucket(1e9, 1e9)
