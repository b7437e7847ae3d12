"""One provider account at run time: its provider, its pool, its breaker and its rates.

The account is what a provider limits, so everything that learns from the provider's answers
meets here: a concurrency refusal cuts the pool's limit, a frequency or token refusal drains a
bucket, a quota refusal opens the breaker until the stated reset, and overload moves nothing.
An account outlives the documents it is configured by.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from mcp_gateway.api import ModelLimits
from mcp_gateway.api import Provider as ProviderSpec
from mcp_gateway.api.quota import Peer
from mcp_gateway.errors import (
    CircuitOpen,
    DeadlineExceeded,
    GatewayError,
    PoolTimeout,
    RemoteProtocolError,
    UpstreamError,
    UpstreamTimeout,
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
from mcp_gateway.proxy.leaving import AtProvider
from mcp_gateway.proxy.meters import AccountMeters
from mcp_gateway.proxy.rates import Rates
from mcp_gateway.proxy.turn import Turn
from mcp_gateway.upstream.connection import Timeouts
from mcp_gateway.upstream.pool import Lease, Pool

QUOTA_RESET = 300.0
"""Seconds the breaker stays open on a quota refusal that names no reset."""
MAX_QUOTA_RESET = 8 * 86_400.0
"""A week's window and a day: a longer reset is a misread message, not a plan."""


@dataclass(slots=True, eq=False)
class Account:
    """A provider account that takes attempts.

    Attributes:
        spec: the part of the document it was last configured by.
        provider: the translator.
        pool: lends the connections.
        breaker, rates, meters: what learns and what counts.
        model_rates: rates of single models, where the provider limits those.
        last_error: the last failure, for people.
        at_provider: what is sent, by the account that it counts against.
        governed: an operator says what may be used of its limits.
        fleet: pods of this gateway that hold slots, by model; the empty name is the account's.
    """

    spec: ProviderSpec
    provider: Provider
    pool: Pool
    breaker: CircuitBreaker
    rates: Rates
    meters: AccountMeters
    timeouts: Timeouts
    loop: asyncio.AbstractEventLoop
    model_rates: dict[str, Rates] = field(default_factory=dict)
    last_error: str = ""
    at_provider: AtProvider = field(default_factory=lambda: AtProvider(""))
    governed: bool = False
    fleet: Mapping[str, Sequence[Peer]] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The provider's name in the document."""
        return self.spec.name

    @property
    def identity(self) -> str:
        """A digest of the provider's origin and the credential in use."""
        return self.at_provider.identity

    @property
    def in_flight(self) -> int:
        """Requests in flight or waiting."""
        return self.pool.in_flight + self.pool.waiting + self.rates.waiting

    def available(self) -> bool:
        """The breaker lets requests through."""
        return self.breaker.retry_after(self.loop.time()) == 0.0

    def holds_nothing(self, model: str) -> bool:
        """This process was given no slot, or no rate, of what a request for `model` needs."""
        if self.pool.holds_nothing(model):
            return True
        if not (self.rates.limited or self.model_rates):
            return False
        return any(rates.hold_nothing for rates in self._rates_of(model))

    def peers(self, model: str) -> Sequence[Peer]:
        """Who holds slots of what a request for `model` needs."""
        return self.fleet.get(model) or self.fleet.get("", ())

    def set_peers(self, fleet: Mapping[str, Sequence[Peer]]) -> None:
        """Take note of who holds slots, by model, and let go of those who wait here in vain."""
        self.fleet = fleet
        for model, peers in fleet.items():
            if peers and self.holds_nothing(model):
                self.pool.turn_away(model)
                for rates in self._rates_of(model):
                    # A model that is held elsewhere is no reason to turn away who wants another.
                    if rates is not self.rates or not model or rates.hold_nothing:
                        rates.turn_away(self.name)

    def rates_of(self, model: str) -> Rates:
        """The rates of a model, made where it had none; the account's for the empty name."""
        if not model:
            return self.rates
        rates = self.model_rates.get(model)
        if rates is None:
            charged = self.rates.charged_beforehand
            rates = Rates(ModelLimits(), self.loop, charged_beforehand=charged)
            rates.max_waiting = self.rates.max_waiting
            self.model_rates[model] = rates
        return rates

    async def attempt(
        self, exchange: Exchange, call: ChatCall, model: str, *, patience: float | None = None
    ) -> ChatAnswer:
        """Make one attempt and let the account learn from it.

        Args:
            exchange: what is carried; it takes note of the attempt.
            call: what to ask.
            model: the model to ask for.
            patience: seconds to wait, for rates and a connection, in place of the document's.

        Raises:
            Misdirected: this process holds no slot, and a peer does; nothing was sent.
            UpstreamError, RemoteProtocolError: the attempt failed; `failure.judge` says how to
                go on.
            DeadlineExceeded: the client's deadline passed.
        """
        attempt = self._begin(exchange, model)
        lease: Lease | None = None
        turns: Sequence[Turn] = ()
        try:
            self._check_deadline(exchange)
            if self.rates.limited or self.model_rates:
                # Before the lease: who waits for a rate keeps no connection from others.
                turns = await self._take_turns(exchange, call, attempt, patience)
                # One wait for the client, whatever it was for.
                patience = max(0.0, self._patience(patience) - attempt.queue)
            lease = self.pool.acquire_nowait(model) or await self.pool.acquire(
                client=exchange.client.name,
                lane=model,
                deadline=exchange.deadline,
                patience=patience,
            )
            attempt.queue += lease.waited
            self._ask_breaker()
            if exchange.on_send is not None:
                exchange.on_send()
            answer = await self._send(exchange, lease, call, attempt, turns)
        except (UpstreamError, RemoteProtocolError) as error:
            error.provider = self.spec.name
            attempt.outcome = judge(error).outcome or error.reason
            self.last_error = f"{error.reason}: {error}"
            raise
        except GatewayError as error:
            attempt.outcome = error.reason
            raise
        except asyncio.CancelledError:
            attempt.outcome = "cancelled"
            raise
        finally:
            if lease is not None:
                lease.release()
            for turn in turns:
                turn.cancel()
            exchange.queued += attempt.queue
            exchange.upstream += attempt.upstream
            if exchange.trace is not None:
                exchange.trace.end(self.loop.time())
        return answer

    def _begin(self, exchange: Exchange, model: str) -> Attempt:
        attempt = Attempt(self.spec.name, model)
        exchange.attempts.append(attempt)
        if exchange.trace is not None:
            exchange.trace.begin(attempt, self.loop.time())
        return attempt

    def _check_deadline(self, exchange: Exchange) -> None:
        deadline = exchange.deadline
        if deadline is not None and deadline <= self.loop.time():
            raise DeadlineExceeded("the request's deadline passed before an attempt began")

    def _rates_of(self, model: str) -> list[Rates]:
        """The rates that a request for this model counts against."""
        found = [self.rates] if self.rates.limited else []
        of_model = self.model_rates.get(model)
        if of_model is not None and of_model.limited:
            found.append(of_model)
        return found

    async def _take_turns(
        self, exchange: Exchange, call: ChatCall, attempt: Attempt, patience: float | None
    ) -> list[Turn]:
        """Wait for the account's turn and the model's; all or none."""
        started = self.loop.time()
        until = started + self._patience(patience)
        deadline = exchange.deadline
        if deadline is not None:
            until = min(until, deadline)
        taken: list[Turn] = []
        try:
            for rates in self._rates_of(attempt.model):
                turn = rates.take_now(call) or await rates.take(call, until, exchange.client.name)
                if turn is None:
                    raise self._out_of_rate(deadline)
                taken.append(turn)
        except BaseException:
            for turn in taken:
                turn.cancel()
            raise
        finally:
            attempt.queue = self.loop.time() - started
        return taken

    def _patience(self, given: float | None) -> float:
        return self.spec.pool.acquire_timeout if given is None else given

    def _out_of_rate(self, deadline: float | None) -> GatewayError:
        if deadline is not None and self.loop.time() >= deadline:
            return DeadlineExceeded(f"the request's deadline passed at the rate of {self.name}")
        return PoolTimeout(
            f"{self.name} is at its rate limit for longer than this request can wait",
            provider=self.name,
        )

    def _ask_breaker(self) -> None:
        """Right before the send: what was allowed must be followed by an outcome."""
        now = self.loop.time()
        if not self.breaker.allow(now):
            raise CircuitOpen(
                f"{self.spec.name} is not called for now: its circuit breaker is open",
                retry_after=self.breaker.retry_after(now),
            )

    async def _send(
        self,
        exchange: Exchange,
        lease: Lease,
        call: ChatCall,
        attempt: Attempt,
        turns: Sequence[Turn],
    ) -> ChatAnswer:
        started = self.loop.time()
        model = lease.lane.name
        identity = self.at_provider.began(model)
        for turn in turns:
            turn.begin(started)
        timeouts = self._timeouts(exchange, started)
        if exchange.trace is not None:
            exchange.trace.send(call, started, lease.connection.endpoint)
        try:
            answer = await self._ask(exchange, lease, call, attempt, timeouts)
        except ProviderRefused as exc:
            generated = exchange.streamed or exc.refusal.kind is RefusalKind.SERVER
            for turn in turns if not generated else ():
                turn.refused()
            raise self._refused(exc.refusal, lease, attempt) from exc
        except (UpstreamError, RemoteProtocolError) as failure:
            if _is_clients_time(failure, timeouts, self.timeouts):
                # A client in a hurry says nothing about the provider: many of them together
                # would open its breaker for everybody.
                self._ignored()
                raise DeadlineExceeded(
                    "the request's deadline passed before the provider's answer was whole"
                ) from failure
            self._failed(failure)
            raise
        except BaseException:
            self._ignored()
            raise
        finally:
            self.at_provider.ended(identity, model)
            attempt.upstream = self.loop.time() - started
        attempt.status = 200
        self._succeeded(answer, lease, attempt)
        if turns:
            self._settle(answer, turns)
        return answer

    def _ask(
        self,
        exchange: Exchange,
        lease: Lease,
        call: ChatCall,
        attempt: Attempt,
        timeouts: Timeouts,
    ) -> Coroutine[Any, Any, ChatAnswer]:
        connection, sink = lease.connection, exchange.sink
        if sink is None:
            return self.provider.complete(connection, call, attempt.model, timeouts)
        return self.provider.stream(connection, call, attempt.model, timeouts, sink)

    def _timeouts(self, exchange: Exchange, now: float) -> Timeouts:
        if exchange.deadline is None:
            return self.timeouts
        left = max(exchange.deadline - now, 0.001)
        return replace(self.timeouts, total=left) if left < self.timeouts.total else self.timeouts

    def _learn(self, refusal: Refusal, lease: Lease, model: str) -> None:
        now = self.loop.time()
        rates = self.model_rates.get(model, self.rates)
        match refusal.kind:
            case RefusalKind.CONCURRENCY:
                lease.refused()
            case RefusalKind.FREQUENCY:
                rates.drain_requests(now, refusal.retry_after)
            case RefusalKind.TOKENS:
                rates.drain_tokens(now, refusal.retry_after)
            case RefusalKind.QUOTA:
                seconds = refusal.reset_after or refusal.retry_after or QUOTA_RESET
                self.breaker.open_until(now, now + min(seconds, MAX_QUOTA_RESET))
            case _:
                pass

    def _refused(self, refusal: Refusal, lease: Lease, attempt: Attempt) -> GatewayError:
        """Take a refusal in; the error that the client sees for it."""
        error = refused(refusal, self.spec.name)
        attempt.status = refusal.status
        kind = refusal.kind.value
        lease.lane.refusals[kind] = lease.lane.refusals.get(kind, 0) + 1
        self._learn(refusal, lease, attempt.model)
        self._failed(error)
        return error

    def _settle(self, answer: ChatAnswer, turns: Sequence[Turn]) -> None:
        now = self.loop.time()
        used = answer.prompt_tokens + answer.completion_tokens
        for turn in turns if used else ():
            turn.settle(now, used)

    def _ignored(self) -> None:
        """The client gave up, by leaving or by its deadline."""
        self.breaker.ignored(self.loop.time())
        self.meters.attempts("cancelled").add()

    def _failed(self, error: GatewayError) -> None:
        verdict = judge(error)
        now = self.loop.time()
        if verdict.counts:
            self.breaker.failed(now)
        else:
            self.breaker.ignored(now)
        self.meters.attempts(verdict.outcome).add()

    def _succeeded(self, answer: ChatAnswer, lease: Lease, attempt: Attempt) -> None:
        self.breaker.succeeded(self.loop.time())
        lane = lease.lane
        lane.completions += 1
        lane.service_seconds += attempt.upstream
        meters = self.meters
        meters.ok.value += 1.0
        meters.duration.observe(attempt.upstream)
        meters.input_tokens.value += answer.prompt_tokens
        meters.output_tokens.value += answer.completion_tokens
        if self.spec.prices:
            self._spent(answer, attempt.model)

    def _spent(self, answer: ChatAnswer, model: str) -> None:
        price = self.spec.prices.get(model)
        if price is not None:
            tokens = answer.prompt_tokens * price.input + answer.completion_tokens * price.output
            self.meters.cost.value += tokens / 1e6


def _is_clients_time(failure: GatewayError, given: Timeouts, own: Timeouts) -> bool:
    """Whether an attempt ended by the client's deadline and not by a timeout of the account."""
    return given is not own and isinstance(failure, UpstreamTimeout) and failure.phase == "total"
