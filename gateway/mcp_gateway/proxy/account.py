"""One provider account at run time: its provider, its pool, its breaker and its rates.

The account is what a provider limits, so everything that learns from the provider's answers
meets here: a concurrency refusal cuts the pool's limit, a frequency or token refusal drains a
bucket, a quota refusal opens the breaker until the stated reset, and overload moves nothing.
An account outlives the documents it is configured by.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace

from mcp_gateway.api import Provider as ProviderSpec
from mcp_gateway.errors import (
    CircuitOpen,
    DeadlineExceeded,
    GatewayError,
    PoolTimeout,
    RemoteProtocolError,
    UpstreamError,
)
from mcp_gateway.limits.breaker import CircuitBreaker
from mcp_gateway.providers.base import (
    ChatAnswer,
    ChatCall,
    Provider,
    ProviderRefused,
    Refusal,
    RefusalKind,
)
from mcp_gateway.proxy.exchange import Attempt, Exchange
from mcp_gateway.proxy.failure import judge, refused
from mcp_gateway.proxy.meters import AccountMeters
from mcp_gateway.proxy.rates import Rates
from mcp_gateway.upstream.connection import Timeouts
from mcp_gateway.upstream.pool import Lease, Pool

QUOTA_RESET = 300.0
"""Seconds the breaker stays open on a quota refusal that names no reset."""


@dataclass(slots=True)
class Account:
    """A provider account that takes attempts.

    Attributes:
        spec: the part of the document it was last configured by.
        provider: the translator.
        pool: lends the connections.
        breaker, rates, meters: what learns and what counts.
        lanes: models with a concurrency limit of their own.
    """

    spec: ProviderSpec
    provider: Provider
    pool: Pool
    breaker: CircuitBreaker
    rates: Rates
    meters: AccountMeters
    timeouts: Timeouts
    by_model: bool
    loop: asyncio.AbstractEventLoop
    last_error: str = ""

    @property
    def name(self) -> str:
        """The provider's name in the document."""
        return self.spec.name

    @property
    def in_flight(self) -> int:
        """Requests in flight or waiting."""
        return self.pool.in_flight + self.pool.waiting

    def available(self) -> bool:
        """The breaker lets requests through."""
        return self.breaker.ready(self.loop.time())

    async def attempt(self, exchange: Exchange, call: ChatCall, model: str) -> ChatAnswer:
        """Make one attempt and let the account learn from it.

        Raises:
            UpstreamError, RemoteProtocolError: the attempt failed; `failure.judge` says how to
                go on.
            DeadlineExceeded: the client's deadline passed while waiting for a turn.
        """
        attempt = Attempt(self.spec.name, model)
        exchange.attempts.append(attempt)
        try:
            lease = await self._lease(exchange, model)
        except GatewayError as error:
            attempt.outcome = error.reason
            raise
        started = self.loop.time()
        try:
            attempt.queue = lease.waited
            exchange.queued += lease.waited
            await self._admit(exchange, call, attempt)
            started = self.loop.time()
            answer = await self._send(exchange, lease, call, model)
        except ProviderRefused as exc:
            self._learn(exc.refusal, lease)
            error = refused(exc.refusal, self.spec.name)
            attempt.status = exc.refusal.status
            self._failed(error, attempt)
            raise error from exc
        except (UpstreamError, RemoteProtocolError) as error:
            error.provider = self.spec.name
            self._failed(error, attempt)
            raise
        except asyncio.CancelledError:
            attempt.outcome = "cancelled"
            self.breaker.ignored(self.loop.time())
            self.meters.attempts("cancelled").add()
            raise
        finally:
            lease.release()
            attempt.upstream = self.loop.time() - started
            exchange.upstream += attempt.upstream
        attempt.status = 200
        self._succeeded(answer, call, attempt)
        return answer

    async def _lease(self, exchange: Exchange, model: str) -> Lease:
        deadline = exchange.deadline
        if deadline is not None and deadline <= self.loop.time():
            raise DeadlineExceeded("the request's deadline passed before an attempt began")
        return await self.pool.acquire(
            client=exchange.client.name,
            lane=model if self.by_model else "",
            deadline=deadline,
        )

    async def _admit(self, exchange: Exchange, call: ChatCall, attempt: Attempt) -> None:
        """Wait for the account's rates, then ask the breaker, right before the send."""
        if self.rates.limited:
            patience = self.loop.time() + self.spec.pool.acquire_timeout
            if exchange.deadline is not None:
                patience = min(patience, exchange.deadline)
            waited = await self.rates.take(call, patience)
            if waited is None:
                raise PoolTimeout(
                    f"{self.spec.name} is at its rate limit for longer than this request can wait",
                    provider=self.spec.name,
                )
            attempt.queue += waited
            exchange.queued += waited
        now = self.loop.time()
        if not self.breaker.allow(now):
            raise CircuitOpen(
                f"{self.spec.name} is not called for now: its circuit breaker is open",
                provider=self.spec.name,
                retry_after=self.breaker.retry_after(now),
            )

    async def _send(
        self, exchange: Exchange, lease: Lease, call: ChatCall, model: str
    ) -> ChatAnswer:
        timeouts = self.timeouts
        if exchange.deadline is not None:
            left = exchange.deadline - self.loop.time()
            if left < timeouts.total:
                timeouts = replace(timeouts, total=max(left, 0.001))
        if exchange.sink is None:
            return await self.provider.complete(lease.connection, call, model, timeouts)
        return await self.provider.stream(lease.connection, call, model, timeouts, exchange.sink)

    def _learn(self, refusal: Refusal, lease: Lease) -> None:
        now = self.loop.time()
        match refusal.kind:
            case RefusalKind.CONCURRENCY:
                lease.refused()
            case RefusalKind.FREQUENCY:
                self.rates.drain_requests(now, refusal.retry_after)
            case RefusalKind.TOKENS:
                self.rates.drain_tokens(now, refusal.retry_after)
            case RefusalKind.QUOTA:
                seconds = refusal.reset_after or refusal.retry_after or QUOTA_RESET
                self.breaker.open_until(now, now + seconds)
            case _:
                pass

    def _failed(self, error: GatewayError, attempt: Attempt) -> None:
        verdict = judge(error)
        attempt.outcome = verdict.outcome or error.reason
        self.last_error = f"{error.reason}: {error}"
        now = self.loop.time()
        if verdict.counts:
            self.breaker.failed(now)
        elif not isinstance(error, CircuitOpen | PoolTimeout):
            self.breaker.ignored(now)
        if verdict.outcome:
            self.meters.attempts(verdict.outcome).add()

    def _succeeded(self, answer: ChatAnswer, call: ChatCall, attempt: Attempt) -> None:
        now = self.loop.time()
        self.breaker.succeeded(now)
        if self.rates.limited:
            self.rates.settle(now, call, answer)
        meters = self.meters
        meters.ok.add()
        meters.duration.observe(attempt.upstream)
        meters.input_tokens.add(answer.prompt_tokens)
        meters.output_tokens.add(answer.completion_tokens)
