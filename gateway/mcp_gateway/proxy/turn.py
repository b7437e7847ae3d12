"""What one request was given of its rates, from the reservation to the provider's own count."""

from __future__ import annotations

from collections.abc import Callable

from mcp_gateway.limits.minute import MinuteQuota
from mcp_gateway.limits.rate import TokenBucket


class Turn:
    """One request's part of the rates of an account or a model.

    It is taken before there is a connection, begun when the request is sent, and then settled or
    refused; one that is never begun is cancelled, and leaves nothing behind.

    Args:
        tokens: what it is charged with.
        requests, minute: the windows it was reserved in, by requests and by tokens.
        request_bucket, token_buckets: the buckets it was taken from.
        changed: is told when something was given back.
        refunds: the provider counts what was used, and not what could have been.
    """

    __slots__ = (
        "_begun",
        "_changed",
        "_minute",
        "_refunds",
        "_request_bucket",
        "_requests",
        "_token_buckets",
        "tokens",
    )

    def __init__(
        self,
        tokens: int,
        *,
        requests: MinuteQuota | None,
        minute: MinuteQuota | None,
        request_bucket: TokenBucket | None,
        token_buckets: tuple[TokenBucket, ...],
        changed: Callable[[], None],
        refunds: bool,
    ) -> None:
        self.tokens = tokens
        self._requests = requests
        self._minute = minute
        self._request_bucket = request_bucket
        self._token_buckets = token_buckets
        self._changed = changed
        self._refunds = refunds
        self._begun: float | None = None
        if requests is not None:
            requests.reserve(1)
        if minute is not None:
            minute.reserve(tokens)

    def begin(self, now: float) -> None:
        """The request is sent."""
        self._begun = now
        if self._requests is not None:
            self._requests.begin(now, 1)
        if self._minute is not None:
            self._minute.begin(now, self.tokens)

    def cancel(self) -> None:
        """Give everything back, unless the request was sent. Idempotent."""
        if self._begun is not None:
            return
        self._begun = 0.0
        if self._request_bucket is not None:
            self._request_bucket.give_back(1)
        for bucket in self._token_buckets:
            bucket.give_back(self.tokens)
        if self._requests is not None:
            self._requests.undo(1)
        if self._minute is not None:
            self._minute.undo(self.tokens)
        self._changed()

    def refused(self) -> None:
        """The request was sent and refused, with nothing generated: its tokens are not used."""
        self._give_back(self.tokens)

    def settle(self, now: float, used: int) -> None:
        """Correct the charge by what the provider counted.

        Args:
            now: a steady clock's seconds.
            used: tokens of prompt and answer.
        """
        missing = used - self.tokens
        if missing > 0:
            for bucket in self._token_buckets:
                bucket.charge(now, missing)
            if self._minute is not None:
                self._minute.charge(now, missing)
        elif missing < 0 and self._refunds:
            self._give_back(-missing)

    def _give_back(self, tokens: int) -> None:
        assert self._begun is not None, "only what was sent is settled"
        for bucket in self._token_buckets:
            bucket.give_back(tokens)
        if self._minute is not None:
            self._minute.give_back(self._begun, tokens)
        self._changed()
