"""Asks other pods of this gateway for what this one holds no slot of.

Rules that must hold:

1. What came from another pod is not sent on: one hop, never two.
2. A pod that could not be reached, or that holds no slot any more, costs nothing but the time:
   another one is asked, and where there is none the request waits here, in the pool's queue,
   where its operator sees it. Its whole wait is the document's `acquireTimeout`.
3. Once the other pod has said that the request goes to the provider, whatever happens has the
   meaning it would have had here.
"""

from __future__ import annotations

import asyncio
import logging
import random
from dataclasses import dataclass
from typing import Final

from mcp_gateway.api.quota import Peer
from mcp_gateway.errors import (
    CircuitOpen,
    ConnectFailed,
    DeadlineExceeded,
    GatewayError,
    Misdirected,
    PoolClosed,
    PoolTimeout,
    UpstreamRefused,
    UpstreamTimeout,
)
from mcp_gateway.providers.base import ChatAnswer, ChatCall, RefusalKind
from mcp_gateway.proxy.account import MAX_QUOTA_RESET, QUOTA_RESET, Account
from mcp_gateway.proxy.exchange import Attempt, Exchange
from mcp_gateway.proxy.failure import judge
from mcp_gateway.proxy.meters import HopMeters
from mcp_gateway.proxy.peer_call import PeerCall, Unanswered, WrongToken
from mcp_gateway.proxy.peer_ways import PeerWays
from mcp_gateway.proxy.peers import Ledger

log = logging.getLogger(__name__)

PAUSE: Final = 0.25
"""Seconds to wait here before pods that had no slot, or did not answer, are asked again."""
EARLY: Final = 0.01
"""Seconds by which a timer may be early."""


@dataclass(frozen=True, slots=True)
class _Errand:
    """One request on its way to whoever holds a slot for it, until it has waited long enough."""

    account: Account
    exchange: Exchange
    call: ChatCall
    model: str
    until: float


class PeerCaller:
    """Makes attempts by way of other pods.

    Args:
        ways: the connections to them.
        pod: this pod's name, to mark what is sent.
        meters: count the hops.
    """

    def __init__(self, ways: PeerWays, pod: str, meters: HopMeters) -> None:
        self._ways = ways
        self._pod = pod or "unnamed"
        self._meters = meters
        self._ledger = Ledger(random.random)
        self._loop = asyncio.get_running_loop()

    async def attempt(
        self, account: Account, exchange: Exchange, call: ChatCall, model: str
    ) -> ChatAnswer:
        """Make one attempt for an account of which this pod holds no slot, wherever one is.

        Raises:
            Misdirected: the request came from another pod already.
            UpstreamError, RemoteProtocolError, DeadlineExceeded: as `Account.attempt`.
        """
        if exchange.origin:
            raise Misdirected(f"no slot of {account.name} is held here", provider=account.name)
        until = self._loop.time() + account.spec.pool.acquire_timeout
        errand = _Errand(account, exchange, call, model, until)
        failed: set[str] = set()
        while True:
            peers = account.peers(model) if account.holds_nothing(model) else ()
            if not peers:
                failed.clear()
            peer = self._ledger.choose(peers, failed, self._loop.time())
            try:
                if peer is not None:
                    return await self._hop(errand, peer)
                return await self._wait_here(errand, asked=bool(failed))
            except (Misdirected, Unanswered):
                if peer is not None:
                    failed.add(peer.address)
                else:
                    failed.clear()
            self._check_time(errand)

    def _check_time(self, errand: _Errand) -> None:
        now = self._loop.time()
        deadline = errand.exchange.deadline
        if deadline is not None and deadline <= now:
            raise DeadlineExceeded("the request's deadline passed before an attempt began")
        if errand.until <= now:
            name, seconds = errand.account.name, errand.account.spec.pool.acquire_timeout
            raise PoolTimeout(
                f"no slot of {name} was free within {seconds:.1f} s, here or in another pod",
                provider=name,
            )

    async def _wait_here(self, errand: _Errand, *, asked: bool) -> ChatAnswer:
        """Wait in this pod's own queue: for a slot, or for word of who else holds one.

        Args:
            errand: what waits.
            asked: there are pods that hold slots, and they are to be asked again soon.

        Raises:
            Misdirected: look for another pod.
        """
        account, exchange = errand.account, errand.exchange
        began = self._loop.time()
        left = max(0.0, errand.until - began)
        patience = min(left, PAUSE) if asked else left
        try:
            return await account.attempt(exchange, errand.call, errand.model, patience=patience)
        except (Misdirected, PoolTimeout) as error:
            if isinstance(error, PoolTimeout):
                early = began + patience - self._loop.time()
                if early > EARLY and not asked:
                    raise  # a rate says at once that it takes too long
                # The others are asked again in a while, and not at once.
                await asyncio.sleep(early)
            exchange.attempts.pop()
            exchange.queued += self._loop.time() - began
            raise Misdirected(str(error), provider=account.name) from error

    # One hop.

    async def _hop(self, errand: _Errand, peer: Peer) -> ChatAnswer:
        """Ask one pod.

        Raises:
            Unanswered, Misdirected: nothing went to the provider.
        """
        account, exchange = errand.account, errand.exchange
        self._ask_breaker(account)
        attempt = Attempt(account.name, errand.model, pod=peer.address)
        exchange.attempts.append(attempt)
        trace = exchange.trace
        if trace is not None:
            trace.begin(attempt, self._loop.time())
        self._ledger.begin(peer)
        try:
            answer = await self._ask(errand, peer, attempt)
        except (Unanswered, Misdirected) as error:
            exchange.attempts.pop()
            account.breaker.ignored(self._loop.time())
            self._meters.out("elsewhere").add()
            if isinstance(error, Unanswered):
                self._unanswered(peer, error)
            raise
        except GatewayError as error:
            error.provider = account.name
            attempt.outcome = judge(error).outcome or error.reason
            account.last_error = f"{error.reason}: {error}"
            self._learn(account, error)
            self._meters.out("failed").add()
            raise
        except BaseException:
            attempt.outcome = "cancelled"
            account.breaker.ignored(self._loop.time())
            self._meters.out("cancelled").add()
            raise
        finally:
            self._ledger.end(peer)
            exchange.queued += attempt.queue
            exchange.upstream += attempt.upstream
            if trace is not None:
                trace.end(self._loop.time())
        account.breaker.succeeded(self._loop.time())
        self._meters.out("ok").add()
        return answer

    async def _ask(self, errand: _Errand, peer: Peer, attempt: Attempt) -> ChatAnswer:
        exchange, account = errand.exchange, errand.account
        now = self._loop.time()
        way = self._ways.to(peer.address, now)
        if way is None:
            raise Unanswered("its address cannot be used, or the fleet's files cannot be read")
        try:
            lease = await way.pool.acquire(
                client=exchange.client.name,
                deadline=exchange.deadline,
                patience=max(0.0, errand.until - now),
            )
        except (ConnectFailed, UpstreamTimeout, PoolClosed) as error:
            raise Unanswered(str(error)) from error
        token = self._ways.token(way)
        with lease:
            attempt.queue = lease.waited
            if exchange.trace is not None:
                exchange.trace.send(errand.call, self._loop.time(), lease.connection.endpoint)
            patience = max(0.0, errand.until - self._loop.time())
            hop = PeerCall(account.name, self._pod, token, account.timeouts, patience)
            try:
                return await hop.make(
                    lease.connection, exchange, errand.call, errand.model, attempt
                )
            except WrongToken:
                self._ways.token_refused(way, token)
                raise

    def _unanswered(self, peer: Peer, error: Unanswered) -> None:
        if not self._ledger.unreachable(peer, self._loop.time()):
            return  # a thousand requests that found out together are one line of the log
        fields = {"address": peer.address, "provider": peer.provider, "error": str(error)}
        log.warning("another pod did not answer", extra={"fields": fields})

    # What an answer says of the provider.

    def _ask_breaker(self, account: Account) -> None:
        now = self._loop.time()
        if not account.breaker.allow(now):
            raise CircuitOpen(
                f"{account.name} is not called for now: its circuit breaker is open",
                retry_after=account.breaker.retry_after(now),
                provider=account.name,
            )

    def _learn(self, account: Account, error: GatewayError) -> None:
        """What the provider said to another pod it would have said to this one."""
        now = self._loop.time()
        if judge(error).counts:
            account.breaker.failed(now)
            return
        account.breaker.ignored(now)
        if isinstance(error, UpstreamRefused) and error.kind == RefusalKind.QUOTA.value:
            seconds = error.retry_after or QUOTA_RESET
            account.breaker.open_until(now, now + min(seconds, MAX_QUOTA_RESET))
