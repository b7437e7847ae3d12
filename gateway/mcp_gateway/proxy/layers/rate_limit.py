"""`rate_limit`: a token bucket for each client, or one for all."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable

from mcp_gateway.api import RateLimit
from mcp_gateway.errors import RateLimited
from mcp_gateway.limits.rate import TokenBucket
from mcp_gateway.providers.base import ChatAnswer
from mcp_gateway.proxy.exchange import Client, Exchange
from mcp_gateway.proxy.middleware import Handler

MAX_BUCKETS = 10_000
"""Clients whose rate is remembered; the one that was idle longest is forgotten first, and by
then its bucket has long been full again."""


class RateLimitLayer:
    """Refuses a client that is over its rate.

    A client's own rate, from its key, goes before the document's. Anonymous clients are told
    apart by their address.

    Args:
        settings: the document's rate; None where it has none.
        buckets: those of the document before; by default there was none.

    Raises:
        RateLimited: with `retry_after`, the seconds until one request would pass.
    """

    def __init__(
        self, settings: RateLimit | None, buckets: OrderedDict[str, TokenBucket] | None = None
    ) -> None:
        self._settings = settings
        self._by_client = settings is None or settings.by == "client"
        self._buckets: OrderedDict[str, TokenBucket] = OrderedDict() if buckets is None else buckets
        self._loop = asyncio.get_running_loop()

    def __call__(self, exchange: Exchange, handler: Handler) -> Awaitable[ChatAnswer | None]:
        """Take one request from the client's bucket and go on, or refuse."""
        bucket = self._bucket(exchange.client, exchange.peer)
        if bucket is not None:
            wait = bucket.take(self._loop.time())
            if wait > 0.0:
                raise RateLimited(
                    f"client {exchange.client.name!r} is over its rate", retry_after=wait
                )
        return handler(exchange)

    def _bucket(self, client: Client, peer: str) -> TokenBucket | None:
        own = client.requests_per_second
        if own is None and self._settings is None:
            return None
        if own is not None:
            key = client.name
        elif self._by_client:
            key = client.name if client.name != "anonymous" else f"@{peer}"
        else:
            key = ""
        rate, burst = self._rate(client)
        buckets = self._buckets
        bucket = buckets.get(key)
        if bucket is not None:
            buckets.move_to_end(key)
            if bucket.rate != rate or bucket.burst != burst:
                bucket.configure(rate, burst)  # a document changed it; what was used is used
            return bucket
        if len(buckets) >= MAX_BUCKETS:
            buckets.popitem(last=False)
        bucket = buckets[key] = TokenBucket(rate, burst)
        return bucket

    def _rate(self, client: Client) -> tuple[float, float]:
        """Requests a second, and at once."""
        own = client.requests_per_second
        if own is not None:
            return own, float(client.burst or max(1.0, own))
        assert self._settings is not None, "a bucket is made only where a rate is set"
        return self._settings.per_second, float(self._settings.burst_size)
