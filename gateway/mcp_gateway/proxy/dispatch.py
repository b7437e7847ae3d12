"""The innermost handler: route, choose, attempt, and decide what a failure leads to.

Nothing is tried again once a byte of an answer went to the client. A failed attempt leads to
another provider where one can take the request, else to a retry after a backoff, else to the
client; each of the two costs retry budget, so failures never multiply load.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Coroutine
from typing import Any, Protocol

from mcp_gateway.errors import (
    DeadlineExceeded,
    GatewayError,
    Misdirected,
    NoProviderAvailable,
    RemoteProtocolError,
    UpstreamError,
)
from mcp_gateway.limits.retry import FailureClass, RetryBudget, RetryPolicy
from mcp_gateway.providers.base import ChatAnswer, ChatCall, StreamEvent
from mcp_gateway.proxy.account import Account
from mcp_gateway.proxy.balancer import Backend, choose
from mcp_gateway.proxy.exchange import Exchange, Operation
from mcp_gateway.proxy.failure import Verdict, judge
from mcp_gateway.proxy.router import Route, Router


class Random(Protocol):
    """Where jitter comes from; `random.Random` is one."""

    def random(self) -> float:
        """A number in [0, 1)."""


class Elsewhere(Protocol):
    """Has attempts made by other pods; `proxy.peer.PeerCaller` is one."""

    async def attempt(
        self, account: Account, exchange: Exchange, call: ChatCall, model: str
    ) -> ChatAnswer:
        """Make one attempt for an account of which this pod holds no slot."""


class Dispatcher:
    """Carries chat exchanges to providers by a table of routes.

    Args:
        router: the table.
        accounts: those in force, by provider name; it changes with each document.
        policy, budget: whether and when a failed attempt is followed by another.
        elsewhere: makes attempts where this pod holds no slot; None where there are no others.
        rng: where jitter comes from.
    """

    def __init__(
        self,
        router: Router,
        accounts: dict[str, Account],
        policy: RetryPolicy,
        budget: RetryBudget,
        *,
        elsewhere: Elsewhere | None = None,
        rng: Random = random,
    ) -> None:
        self._others = elsewhere
        self.router = router
        self._live = accounts
        self._own = dict(accounts)
        self._policy = policy
        self._budget = budget
        self._rng = rng
        self._loop = asyncio.get_running_loop()

    def __call__(self, exchange: Exchange) -> Coroutine[Any, Any, ChatAnswer | None]:
        """Answer a chat exchange; anything else has its answer in the listener.

        Raises:
            NoRoute, NoProviderAvailable, UpstreamError, RemoteProtocolError, DeadlineExceeded
            GatewayError: the exchange's own `invalid`.
        """
        if exchange.invalid is not None:
            raise exchange.invalid
        if exchange.operation is not Operation.CHAT:
            return _nothing()
        call = exchange.call
        assert call is not None, "a chat exchange carries its call"
        route = self.router.route(
            (call.provider, call.model, exchange.tool, exchange.method, exchange.client.name)
        )
        exchange.route = route.name
        exchange.kept = route.kept
        exchange.recorded = route.recorded
        self._budget.deposit(self._loop.time())
        if exchange.sink is not None:
            exchange.sink = FirstToken(exchange, self._loop)
        return self._attempts(exchange, route, call)

    async def _attempts(self, exchange: Exchange, route: Route, call: ChatCall) -> ChatAnswer:
        excluded: list[Backend] = []
        retries = 0
        backend = choose(route.backends, route.strategy)
        if backend is None:
            raise self._none_available(route)
        while True:
            account = self._account(backend)
            exchange.provider = backend.provider
            exchange.model = backend.model or call.model
            try:
                if self._others is not None and account.holds_nothing(exchange.model):
                    return await self._others.attempt(account, exchange, call, exchange.model)
                return await account.attempt(exchange, call, exchange.model)
            except Misdirected:
                # The share went while it waited here: it goes where the share is.
                exchange.attempts.pop()
                continue
            except (UpstreamError, RemoteProtocolError) as error:
                if exchange.streamed or retries >= self._policy.max_retries:
                    raise
                verdict = judge(error)
                following, delay = self._elsewhere(route, backend, verdict, excluded), 0.0
                if following is None:
                    following = backend
                    delay = self._delay_here(exchange, verdict, error, retries)
                # Last, because it is taken out of the budget: only what is done may cost.
                if not self._budget.withdraw(self._loop.time()):
                    raise
            if delay:
                await asyncio.sleep(delay)
                exchange.queued += delay
            backend = following
            retries += 1
            self._account(backend).meters.retries.add()

    def _elsewhere(
        self, route: Route, backend: Backend, verdict: Verdict, excluded: list[Backend]
    ) -> Backend | None:
        """Another provider for the next attempt; None where none may or can take it."""
        if not verdict.elsewhere:
            return None
        excluded.append(backend)
        return choose(route.backends, route.strategy, excluded)

    def _delay_here(
        self, exchange: Exchange, verdict: Verdict, error: GatewayError, retries: int
    ) -> float:
        """Seconds after which the same provider is asked again.

        Raises:
            GatewayError: it is not: `error` itself, or that the deadline would pass before.
        """
        wait = error.retry_after
        if not self._policy.allows(verdict.failure, retries) or (
            # A wait this long is the client's to make, with its connection closed.
            wait is not None and wait > self._policy.max_backoff
        ):
            raise error
        if verdict.failure is FailureClass.STALE:
            return 0.0
        delay = self._policy.delay(retries, wait, self._rng.random())
        if exchange.deadline is not None and self._loop.time() + delay >= exchange.deadline:
            raise DeadlineExceeded(
                f"no time is left for another attempt; the last one failed: {error}"
            ) from error
        return delay

    def _account(self, backend: Backend) -> Account:
        """The account of a backend: that in force, or the document's own where it is gone."""
        name = backend.provider
        return self._live.get(name) or self._own[name]

    def _none_available(self, route: Route) -> GatewayError:
        now = self._loop.time()
        waits = [self._account(b).breaker.retry_after(now) for b in route.backends if b.weight > 0]
        names = ", ".join(dict.fromkeys(backend.provider for backend in route.backends))
        return NoProviderAvailable(
            f"route {route.name!r} has no provider that can be called now "
            f"({names}: circuit breaker open or weight 0)",
            retry_after=min(waits, default=None),
        )


async def _nothing() -> None:
    """The dispatcher's answer to what asks no provider."""


class FirstToken:
    """A sink in front of the listener's: notes the first token, keeps what is to be recorded."""

    __slots__ = ("_exchange", "_keep", "_loop", "_send", "_sink")

    def __init__(self, exchange: Exchange, loop: asyncio.AbstractEventLoop) -> None:
        assert exchange.sink is not None, "only a streamed exchange has a first token"
        self._sink = exchange.sink
        self._send = exchange.sink.send
        self._exchange = exchange
        self._keep = exchange.events if exchange.kept.response else None
        self._loop = loop

    def send(self, event: StreamEvent) -> None:
        """Pass the event on; from here on the exchange can no longer be tried again."""
        exchange = self._exchange
        exchange.streamed = True
        if exchange.first_token is None and (event.content or event.reasoning):
            exchange.first_token = self._loop.time() - exchange.started
        if self._keep is not None:
            self._keep.append(event.data)
        self._send(event)

    @property
    def congested(self) -> bool:
        """As the listener says."""
        return self._sink.congested

    async def drained(self) -> None:
        """As the listener says."""
        await self._sink.drained()
