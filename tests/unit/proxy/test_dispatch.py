import asyncio
from collections.abc import Sequence

import pytest
from tests.support.scripted_provider import (
    Collector,
    Script,
    breaks,
    chat_exchange,
    hangs,
    refuses,
    says,
    streams,
)

from mcp_gateway.api import AccountLimits, ModelLimits
from mcp_gateway.errors import (
    CircuitOpen,
    ConnectFailed,
    ConnectionLost,
    DeadlineExceeded,
    GatewayError,
    NoProviderAvailable,
    NoRoute,
    PoolClosed,
    PoolSaturated,
    PoolTimeout,
    UpstreamRefused,
    UpstreamTimeout,
)
from mcp_gateway.limits.breaker import CircuitBreaker
from mcp_gateway.limits.retry import RetryBudget, RetryPolicy
from mcp_gateway.proxy.balancer import Backend, round_robin
from mcp_gateway.proxy.dispatch import Dispatcher
from mcp_gateway.proxy.exchange import Exchange
from mcp_gateway.proxy.pattern import compile_pattern
from mcp_gateway.proxy.rates import Rates
from mcp_gateway.proxy.router import Route, Router
from mcp_gateway.upstream.connection import Timeouts
from mcp_gateway.upstream.pool import PoolSettings

CONCURRENCY = refuses(429, "rate_limit_reached_error", "max organization concurrency: 50")
FREQUENCY = refuses(429, "rate_limit_reached_error", "max RPM: 3", b"Retry-After: 2\r\n")
OVERLOADED = refuses(429, "engine_overloaded_error", "busy")
NO_QUOTA = refuses(429, "exceeded_current_quota_error", "no balance")
BROKEN = refuses(500, "server_error", "oops")
MISTAKE = refuses(400, "invalid_request_error", "bad temperature")


class Half:
    """Jitter without chance."""

    def random(self) -> float:
        return 0.5


def dispatcher(
    *scripts: Script,
    priorities: Sequence[int] = (),
    policy: RetryPolicy | None = None,
    budget: RetryBudget | None = None,
    model: str | None = None,
) -> Dispatcher:
    backends = tuple(
        Backend(
            script.account.name,
            script.account,
            priority=priorities[number] if priorities else number,
            model=model if number else None,
        )
        for number, script in enumerate(scripts)
    )
    matchers = ((Router.FIELDS.index("model"), compile_pattern("kimi-.*")),)
    routes = [Route("kimi", matchers, backends, round_robin)]
    accounts = {script.account.name: script.account for script in scripts}
    return Dispatcher(
        Router(routes),
        accounts,
        policy or RetryPolicy(),
        budget or RetryBudget(),
        rng=Half(),
    )


async def failure(made: Dispatcher, exchange: Exchange) -> GatewayError:
    with pytest.raises(GatewayError) as caught:
        await made(exchange)
    return caught.value


def outcomes(exchange: Exchange) -> list[str]:
    return [attempt.outcome for attempt in exchange.attempts]


async def test_an_answer_comes_back_and_its_way_is_noted() -> None:
    kimi = Script("kimi", says("Hi."))
    exchange = chat_exchange()
    answer = await dispatcher(kimi)(exchange)
    assert answer is not None
    assert (answer.content, answer.prompt_tokens, answer.completion_tokens) == ("Hi.", 3, 5)
    assert (exchange.route, exchange.provider, exchange.model) == ("kimi", "kimi", "kimi-k2")
    assert outcomes(exchange) == ["ok"]
    assert kimi.account.pool.in_flight == 0


async def test_no_route_reaches_no_provider() -> None:
    kimi = Script("kimi", says("Hi."))
    assert isinstance(await failure(dispatcher(kimi), chat_exchange("gpt-9")), NoRoute)
    assert kimi.requests == []


async def test_a_refusal_with_nothing_generated_is_tried_again_after_a_backoff() -> None:
    kimi = Script("kimi", OVERLOADED, OVERLOADED, says("Hi."))
    exchange = chat_exchange()
    started = asyncio.get_running_loop().time()
    answer = await dispatcher(kimi)(exchange)
    assert answer is not None
    assert outcomes(exchange) == ["overload", "overload", "ok"]
    waited = asyncio.get_running_loop().time() - started
    assert waited == pytest.approx(0.5 * 0.5 + 1.0 * 0.5)
    assert exchange.queued == pytest.approx(waited)


async def test_a_providers_retry_after_is_never_undercut() -> None:
    kimi = Script("kimi", FREQUENCY, says("Hi."))
    started = asyncio.get_running_loop().time()
    await dispatcher(kimi)(chat_exchange())
    assert asyncio.get_running_loop().time() - started >= 2.0


async def test_a_wait_longer_than_the_longest_backoff_is_the_clients_to_make() -> None:
    kimi = Script("kimi", refuses(429, "rate_limit_reached_error", "RPM", b"Retry-After: 60\r\n"))
    error = await failure(dispatcher(kimi), chat_exchange())
    assert isinstance(error, UpstreamRefused)
    assert error.retry_after == 60.0
    assert len(kimi.requests) == 1


async def test_a_concurrency_refusal_cuts_the_limit_to_what_is_in_flight() -> None:
    kimi = Script(
        "kimi", hangs, hangs, CONCURRENCY, says("Hi."), limits=AccountLimits(concurrency=9)
    )
    made = dispatcher(kimi, policy=RetryPolicy(max_retries=0))
    waiting = [asyncio.create_task(made(chat_exchange())) for _ in range(2)]
    await asyncio.sleep(1.0)
    error = await failure(made, chat_exchange())
    assert isinstance(error, UpstreamRefused)
    assert error.kind == "concurrency"
    assert kimi.account.pool.stats().limit == 2
    for task in waiting:
        task.cancel()
    await asyncio.wait(waiting)


async def test_failing_over_comes_before_waiting() -> None:
    kimi, glm = Script("kimi", OVERLOADED), Script("glm", says("Hi."))
    exchange = chat_exchange()
    started = asyncio.get_running_loop().time()
    await dispatcher(kimi, glm, model="glm-5")(exchange)
    assert asyncio.get_running_loop().time() == started
    assert (exchange.provider, exchange.model) == ("glm", "glm-5")
    assert b'"model":"glm-5"' in glm.requests[0]


async def test_a_used_up_quota_opens_the_breaker_and_fails_over() -> None:
    kimi, glm = Script("kimi", NO_QUOTA), Script("glm", says("Hi."))
    made = dispatcher(kimi, glm)
    await made(chat_exchange())
    await made(chat_exchange())
    assert len(kimi.requests) == 1
    assert not kimi.account.available()


async def test_a_used_up_quota_is_not_tried_again_here() -> None:
    kimi = Script("kimi", NO_QUOTA)
    assert isinstance(await failure(dispatcher(kimi), chat_exchange()), UpstreamRefused)
    error = await failure(dispatcher(kimi), chat_exchange())
    assert isinstance(error, NoProviderAvailable)
    assert error.retry_after is not None
    assert error.retry_after > 0
    assert len(kimi.requests) == 1


async def test_no_connection_fails_over() -> None:
    kimi, glm = Script("kimi", says("never")), Script("glm", says("Hi."))
    kimi.connector.fail_with = lambda: ConnectFailed("refused")
    exchange = chat_exchange()
    await dispatcher(kimi, glm)(exchange)
    assert [attempt.provider for attempt in exchange.attempts] == ["kimi", "glm"]


async def test_a_server_error_is_not_retried_because_a_chat_may_have_been_generated() -> None:
    kimi, glm = Script("kimi", BROKEN), Script("glm", says("Hi."))
    error = await failure(dispatcher(kimi, glm), chat_exchange())
    assert isinstance(error, UpstreamRefused)
    assert glm.requests == []


async def test_a_server_error_is_retried_where_a_person_says_so() -> None:
    kimi = Script("kimi", BROKEN, says("Hi."))
    policy = RetryPolicy(on=frozenset({"serverError"}))
    assert await dispatcher(kimi, policy=policy)(chat_exchange()) is not None


async def test_the_same_provider_is_asked_again_only_after_a_backoff() -> None:
    kimi = Script("kimi", BROKEN, BROKEN, says("Hi."))
    policy = RetryPolicy(on=frozenset({"serverError"}))
    started = asyncio.get_running_loop().time()
    await dispatcher(kimi, policy=policy)(chat_exchange())
    waited = asyncio.get_running_loop().time() - started
    assert waited == pytest.approx(0.5 * 0.5 + 1.0 * 0.5)


async def test_a_failure_that_is_passed_on_costs_no_retry_budget() -> None:
    kimi = Script("kimi", NO_QUOTA, breaker=CircuitBreaker(min_requests=10**6))
    budget = RetryBudget(ratio=0.0)
    left = budget.balance(asyncio.get_running_loop().time())
    await failure(dispatcher(kimi, budget=budget), chat_exchange())
    assert budget.balance(asyncio.get_running_loop().time()) == left


async def test_when_to_come_again_is_said_of_those_that_take_requests() -> None:
    kimi, glm = Script("kimi", hangs), Script("glm", hangs)
    made = dispatcher(kimi, glm)
    made.router.routes[0].backends[1].weight = 0
    kimi.account.breaker.open_until(0.0, asyncio.get_running_loop().time() + 7.0)
    error = await failure(made, chat_exchange())
    assert isinstance(error, NoProviderAvailable)
    assert error.retry_after == pytest.approx(7.0)


async def test_what_is_tried_again_meets_the_account_that_took_the_olds_place() -> None:
    old, new = Script("kimi", FREQUENCY), Script("kimi", says("Hi."))
    accounts = {"kimi": old.account}
    routes = [Route("all", (), (Backend("kimi", old.account),), round_robin)]
    made = Dispatcher(Router(routes), accounts, RetryPolicy(), RetryBudget(), rng=Half())
    task = asyncio.ensure_future(made(chat_exchange()))
    await asyncio.sleep(1.0)
    accounts["kimi"] = new.account
    await old.account.pool.drain(1.0)
    answer = await task
    assert answer is not None
    assert answer.content == "Hi."
    accounts.clear()
    assert isinstance(await failure(made, chat_exchange()), PoolClosed)


async def test_the_clients_mistake_is_passed_on_at_once() -> None:
    kimi, glm = Script("kimi", MISTAKE), Script("glm", says("Hi."))
    error = await failure(dispatcher(kimi, glm), chat_exchange())
    assert isinstance(error, UpstreamRefused)
    assert error.http_status == 400
    assert glm.requests == []


async def test_a_reused_connection_that_was_dead_is_replaced_once() -> None:
    kimi = Script("kimi", says("One."), breaks, says("Two."))
    made = dispatcher(kimi)
    await made(chat_exchange())
    exchange = chat_exchange()
    answer = await made(exchange)
    assert answer is not None
    assert answer.content == "Two."
    assert outcomes(exchange) == ["lost", "ok"]


async def test_a_fresh_connection_that_breaks_is_not_replaced() -> None:
    kimi = Script("kimi", breaks, says("Hi."))
    assert isinstance(await failure(dispatcher(kimi), chat_exchange()), ConnectionLost)
    assert len(kimi.requests) == 1


async def test_silence_is_a_timeout_and_is_not_tried_again() -> None:
    timeouts = Timeouts(connect=1.0, first_byte=3.0, idle=3.0, total=9.0)
    kimi = Script("kimi", hangs, timeouts=timeouts)
    started = asyncio.get_running_loop().time()
    error = await failure(dispatcher(kimi), chat_exchange())
    assert isinstance(error, UpstreamTimeout)
    assert error.phase == "first_byte"
    assert asyncio.get_running_loop().time() - started == pytest.approx(3.0)
    assert kimi.account.pool.in_flight == 0


async def test_the_clients_deadline_ends_an_attempt() -> None:
    kimi = Script("kimi", hangs)
    exchange = chat_exchange(deadline=asyncio.get_running_loop().time() + 2.0)
    error = await failure(dispatcher(kimi), exchange)
    assert isinstance(error, DeadlineExceeded)
    assert asyncio.get_running_loop().time() - exchange.started == pytest.approx(2.0)
    assert kimi.account.pool.in_flight == 0


async def test_clients_in_a_hurry_open_no_breaker() -> None:
    kimi = Script("kimi", hangs, breaker=CircuitBreaker(min_requests=2))
    made = dispatcher(kimi)
    for _ in range(4):
        deadline = asyncio.get_running_loop().time() + 0.5
        assert isinstance(await failure(made, chat_exchange(deadline=deadline)), DeadlineExceeded)
    assert kimi.account.available()
    assert len(kimi.requests) == 4


async def test_a_providers_own_timeout_counts_whatever_the_deadline() -> None:
    timeouts = Timeouts(connect=1.0, first_byte=1.0, idle=1.0, total=9.0)
    kimi = Script("kimi", hangs, breaker=CircuitBreaker(min_requests=1), timeouts=timeouts)
    deadline = asyncio.get_running_loop().time() + 5.0
    error = await failure(dispatcher(kimi), chat_exchange(deadline=deadline))
    assert isinstance(error, UpstreamTimeout)
    assert not kimi.account.available()


async def test_no_retry_begins_that_would_end_after_the_deadline() -> None:
    kimi = Script("kimi", FREQUENCY)
    exchange = chat_exchange(deadline=asyncio.get_running_loop().time() + 1.0)
    assert isinstance(await failure(dispatcher(kimi), exchange), DeadlineExceeded)
    assert asyncio.get_running_loop().time() == exchange.started


async def test_a_deadline_that_passed_reaches_no_provider() -> None:
    kimi = Script("kimi", says("Hi."))
    exchange = chat_exchange(deadline=asyncio.get_running_loop().time())
    assert isinstance(await failure(dispatcher(kimi), exchange), DeadlineExceeded)
    assert kimi.requests == []


async def test_retries_are_bounded_in_number() -> None:
    kimi = Script("kimi", OVERLOADED)
    exchange = chat_exchange()
    await failure(dispatcher(kimi, policy=RetryPolicy(max_retries=2)), exchange)
    assert outcomes(exchange) == ["overload"] * 3


async def test_retries_never_multiply_load() -> None:
    kimi = Script("kimi", OVERLOADED, breaker=CircuitBreaker(min_requests=10**6))
    made = dispatcher(kimi, budget=RetryBudget(ratio=0.2, min_per_second=0.1))
    for _ in range(50):
        await failure(made, chat_exchange())
    assert len(kimi.requests) <= 50 + 0.2 * 50 + 1 + 10


async def test_a_provider_that_keeps_failing_is_left_alone_and_tried_again_later() -> None:
    breaker = CircuitBreaker(min_requests=4, open_for=10.0, half_open_probes=1)
    kimi = Script("kimi", *[BROKEN] * 4, says("Hi."), breaker=breaker)
    made = dispatcher(kimi)
    for _ in range(4):
        await failure(made, chat_exchange())
    assert isinstance(await failure(made, chat_exchange()), NoProviderAvailable)
    assert len(kimi.requests) == 4
    await asyncio.sleep(10.0)
    assert await made(chat_exchange()) is not None


async def test_no_more_probes_than_allowed_pass_a_half_open_breaker() -> None:
    breaker = CircuitBreaker(min_requests=1, open_for=1.0, half_open_probes=1)
    kimi = Script("kimi", BROKEN, hangs, breaker=breaker)
    made = dispatcher(kimi)
    await failure(made, chat_exchange())
    await asyncio.sleep(1.0)
    probe = asyncio.create_task(made(chat_exchange()))
    await asyncio.sleep(0.1)
    assert isinstance(await failure(made, chat_exchange()), CircuitOpen)
    probe.cancel()
    await asyncio.wait([probe])
    assert len(kimi.requests) == 2


async def test_a_full_queue_fails_over_at_once() -> None:
    settings = PoolSettings(max_connections=1, max_overflow=0, max_waiting=0)
    kimi, glm = Script("kimi", hangs, settings=settings), Script("glm", says("Hi."))
    made = dispatcher(kimi, glm)
    first = asyncio.create_task(made(chat_exchange()))
    await asyncio.sleep(0.1)
    exchange = chat_exchange()
    await made(exchange)
    assert outcomes(exchange) == [PoolSaturated.__name__, "ok"]
    first.cancel()
    await asyncio.wait([first])


async def test_a_client_that_goes_away_frees_its_place() -> None:
    kimi = Script("kimi", hangs)
    exchange = chat_exchange()
    task = asyncio.create_task(dispatcher(kimi)(exchange))
    await asyncio.sleep(0.5)
    assert kimi.account.pool.in_flight == 1
    task.cancel()
    await asyncio.wait([task])
    assert kimi.account.pool.in_flight == 0
    assert kimi.connector.transports[0].ended == "abort"
    assert outcomes(exchange) == ["cancelled"]


async def test_a_stream_arrives_piece_by_piece_and_whole() -> None:
    kimi = Script("kimi", streams("Hel", "lo"))
    sink = Collector()
    exchange = chat_exchange(sink=sink)
    answer = await dispatcher(kimi)(exchange)
    assert answer is not None
    assert sink.text == answer.content == "Hello"
    assert exchange.streamed
    assert exchange.first_token is not None


async def test_nothing_is_tried_again_once_a_piece_went_out() -> None:
    kimi, glm = Script("kimi", streams("Hel", ends=False)), Script("glm", says("Hi."))
    sink = Collector()
    error = await failure(dispatcher(kimi, glm), chat_exchange(sink=sink))
    assert isinstance(error, ConnectionLost)
    assert sink.text == "Hel"
    assert glm.requests == []


async def test_a_stream_refused_before_its_first_piece_is_tried_elsewhere() -> None:
    kimi, glm = Script("kimi", OVERLOADED), Script("glm", streams("Hi."))
    sink = Collector()
    await dispatcher(kimi, glm)(chat_exchange(sink=sink))
    assert sink.text == "Hi."


async def test_a_refused_request_costs_no_tokens() -> None:
    kimi = Script("kimi", MISTAKE, limits=AccountLimits(tokens_per_day=100_000))
    left = kimi.account.rates.levels(0.0)
    for _ in range(5):
        await failure(dispatcher(kimi), chat_exchange())
    assert kimi.account.rates.levels(asyncio.get_running_loop().time()) == left


async def test_what_one_of_two_rates_took_comes_back_where_the_other_has_no_turn() -> None:
    kimi = Script("kimi", says("Hi."), limits=AccountLimits(tokens_per_day=100_000))
    of_model = Rates(ModelLimits(requests_per_minute=1), asyncio.get_running_loop())
    kimi.account.model_rates["kimi-k2"] = of_model
    made = dispatcher(kimi)
    await made(chat_exchange())
    now = asyncio.get_running_loop().time()
    left = kimi.account.rates.levels(now)
    assert isinstance(await failure(made, chat_exchange()), PoolTimeout)
    assert kimi.account.rates.levels(now) == left


async def test_who_waits_for_a_rate_keeps_no_connection_from_others() -> None:
    kimi = Script("kimi", says("Hi."), limits=AccountLimits(requests_per_minute=6, concurrency=1))
    made = dispatcher(kimi)
    await made(chat_exchange())
    waiting = asyncio.create_task(made(chat_exchange()))
    await asyncio.sleep(5.0)
    assert kimi.account.rates.waiting == 1
    assert kimi.account.in_flight == 1
    assert kimi.account.pool.in_flight == kimi.account.pool.waiting == 0
    await waiting


async def test_a_deadline_that_passes_at_a_rate_is_the_clients_own() -> None:
    kimi = Script("kimi", says("Hi."), limits=AccountLimits(requests_per_minute=6))
    kimi.account.rates.may_rise = True
    made = dispatcher(kimi)
    await made(chat_exchange())
    now = asyncio.get_running_loop().time()
    exchange = chat_exchange(deadline=now + 3.0)
    assert isinstance(await failure(made, exchange), DeadlineExceeded)
    assert asyncio.get_running_loop().time() == pytest.approx(now + 3.0)
    assert exchange.queued == pytest.approx(3.0)
    assert kimi.account.rates.waiting == 0


async def test_a_wait_for_a_rate_and_a_connection_is_one_wait() -> None:
    kimi = Script(
        "kimi",
        hangs,
        limits=AccountLimits(requests_per_minute=6, concurrency=1),
        settings=PoolSettings(max_connections=1),
    )
    made = dispatcher(kimi)
    first = asyncio.create_task(made(chat_exchange()))
    await asyncio.sleep(1.0)
    began = asyncio.get_running_loop().time()
    assert isinstance(await failure(made, chat_exchange()), PoolTimeout)
    patience = kimi.account.spec.pool.acquire_timeout
    assert asyncio.get_running_loop().time() - began == pytest.approx(patience)
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)


async def test_a_rate_that_is_used_up_is_waited_for() -> None:
    kimi = Script("kimi", says("Hi."), limits=AccountLimits(requests_per_minute=6))
    made = dispatcher(kimi)
    await made(chat_exchange())
    exchange = chat_exchange()
    await made(exchange)
    assert exchange.queued == pytest.approx(10.0)
    assert exchange.attempts[0].queue == pytest.approx(10.0)
