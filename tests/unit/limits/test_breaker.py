from __future__ import annotations

from itertools import product

import pytest

from mcp_gateway.limits.breaker import BreakerState, CircuitBreaker


def breaker() -> CircuitBreaker:
    return CircuitBreaker(
        failure_ratio=0.5, window=30.0, min_requests=4, open_for=10.0, half_open_probes=2
    )


def state_of(it: CircuitBreaker) -> BreakerState:
    """Its state, which a type checker would take for unchanged after an assert."""
    return it.state


def opened(now: float = 100.0) -> CircuitBreaker:
    it = breaker()
    for _ in range(4):
        it.failed(now)
    assert state_of(it) is BreakerState.OPEN
    return it


def half_open(now: float = 110.0) -> CircuitBreaker:
    it = opened()
    assert it.allow(now)
    assert state_of(it) is BreakerState.HALF_OPEN
    return it


def test_it_opens_at_the_ratio_and_not_before_enough_was_seen() -> None:
    it = breaker()
    for _ in range(3):
        it.failed(100.0)
        assert state_of(it) is BreakerState.CLOSED
    it.succeeded(100.0)
    assert state_of(it) is BreakerState.CLOSED
    it.succeeded(100.0)
    it.failed(100.0)
    assert state_of(it) is BreakerState.OPEN
    assert it.times_opened == 1


def test_failures_below_the_ratio_leave_it_closed() -> None:
    it = breaker()
    for tick in range(100):
        it.succeeded(100.0 + tick)
        it.succeeded(100.0 + tick)
        it.failed(100.0 + tick)
    assert state_of(it) is BreakerState.CLOSED


def test_old_failures_are_forgotten() -> None:
    it = breaker()
    for tick in range(10):
        it.failed(100.0 + 20 * tick)
    assert state_of(it) is BreakerState.CLOSED


def test_open_allows_nothing_until_its_time_is_over() -> None:
    it = opened(100.0)
    assert not it.allow(109.9)
    assert it.retry_after(104.0) == 6.0
    assert it.allow(110.0)
    assert it.retry_after(110.0) == 0.0


def test_half_open_lets_a_few_probes_through_and_closes_when_all_succeed() -> None:
    it = half_open()
    assert it.allow(110.0)
    assert not it.allow(110.0)
    it.succeeded(111.0)
    assert state_of(it) is BreakerState.HALF_OPEN
    assert not it.allow(111.0)
    it.succeeded(112.0)
    assert state_of(it) is BreakerState.CLOSED
    assert it.allow(112.0)


def test_one_failed_probe_opens_again() -> None:
    it = half_open()
    it.succeeded(111.0)
    it.failed(112.0)
    assert state_of(it) is BreakerState.OPEN
    assert it.retry_after(112.0) == 10.0


def test_a_probe_that_says_nothing_gives_its_place_back() -> None:
    it = half_open()
    assert it.allow(110.0)
    it.ignored(111.0)
    assert it.allow(111.0)
    assert not it.allow(111.0)


def test_calls_from_before_the_opening_take_no_probe_back() -> None:
    it = half_open()
    for _ in range(5):
        it.ignored(111.0)
    assert it.allow(111.0)
    assert it.allow(111.0)
    assert not it.allow(111.0)


def test_what_ends_while_open_changes_nothing() -> None:
    it = opened(100.0)
    it.failed(105.0)
    it.succeeded(105.0)
    it.ignored(105.0)
    assert state_of(it) is BreakerState.OPEN
    assert it.retry_after(105.0) == 5.0
    it.ignored(105.0)


def test_a_quota_opens_it_until_the_stated_reset() -> None:
    it = breaker()
    it.open_until(100.0, 4000.0)
    assert not it.allow(3999.0)
    it.open_until(200.0, 300.0)
    assert it.retry_after(1000.0) == 3000.0
    it.open_until(1000.0, 5000.0)
    assert it.retry_after(1000.0) == 4000.0
    assert it.allow(5000.0)


def test_a_reset_in_the_past_opens_nothing() -> None:
    it = breaker()
    it.open_until(100.0, 100.0)
    assert state_of(it) is BreakerState.CLOSED
    it.ignored(100.0)
    assert it.allow(100.0)


def test_a_quota_found_by_a_probe_opens_it_again() -> None:
    it = half_open()
    it.open_until(110.0, 500.0)
    it.failed(110.0)
    assert state_of(it) is BreakerState.OPEN
    assert it.retry_after(110.0) == 390.0


@pytest.mark.parametrize(
    ("state", "trigger"),
    list(product(BreakerState, ["allow", "succeeded", "failed", "ignored", "open_until"])),
)
def test_every_state_takes_every_trigger(state: BreakerState, trigger: str) -> None:
    makers = {
        BreakerState.CLOSED: breaker,
        BreakerState.OPEN: opened,
        BreakerState.HALF_OPEN: half_open,
    }
    it = makers[state]()
    after = {
        (BreakerState.CLOSED, "open_until"): BreakerState.OPEN,
        (BreakerState.OPEN, "allow"): BreakerState.HALF_OPEN,
        (BreakerState.HALF_OPEN, "failed"): BreakerState.OPEN,
        (BreakerState.HALF_OPEN, "open_until"): BreakerState.OPEN,
    }
    if trigger == "open_until":
        it.open_until(110.0, 1000.0)
    else:
        getattr(it, trigger)(110.0)
    assert state_of(it) is after.get((state, trigger), state)
