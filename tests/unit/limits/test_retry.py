from __future__ import annotations

import pytest

from mcp_gateway.limits.retry import FailureClass, RetryBudget, RetryPolicy

EVERYTHING = frozenset(failure.value for failure in FailureClass)


@pytest.mark.parametrize("failure", list(FailureClass))
def test_by_default_only_what_is_safe_is_retried(failure: FailureClass) -> None:
    safe = {
        FailureClass.CONNECT,
        FailureClass.REFUSED,
        FailureClass.OVERLOAD,
        FailureClass.STALE,
    }
    assert RetryPolicy().allows(failure, 0) == (failure in safe)


@pytest.mark.parametrize("failure", set(FailureClass) - {FailureClass.FATAL, FailureClass.STALE})
def test_a_class_is_retried_up_to_the_maximum(failure: FailureClass) -> None:
    policy = RetryPolicy(max_retries=2, on=EVERYTHING)
    assert [policy.allows(failure, attempt) for attempt in range(4)] == [True, True, False, False]


def test_fatal_is_never_retried() -> None:
    assert not RetryPolicy(on=EVERYTHING).allows(FailureClass.FATAL, 0)


def test_a_stale_connection_is_replaced_once() -> None:
    policy = RetryPolicy(max_retries=3)
    assert policy.allows(FailureClass.STALE, 0)
    assert not policy.allows(FailureClass.STALE, 1)
    assert not RetryPolicy(max_retries=0).allows(FailureClass.STALE, 0)


def test_delays_double_with_full_jitter_up_to_the_maximum() -> None:
    policy = RetryPolicy(backoff_factor=0.5, max_backoff=3.0)
    assert [policy.delay(attempt, None, 1.0) for attempt in range(4)] == [0.5, 1.0, 2.0, 3.0]
    assert policy.delay(2, None, 0.25) == 0.5
    assert policy.delay(2, None, 0.0) == 0.0
    assert policy.delay(100_000, None, 1.0) == 3.0


def test_retry_after_is_never_undercut() -> None:
    policy = RetryPolicy(backoff_factor=0.5, max_backoff=3.0)
    assert policy.delay(0, 60.0, 1.0) == 60.0
    assert policy.delay(2, 0.1, 1.0) == 2.0


def test_the_budget_is_a_fraction_of_recent_requests() -> None:
    budget = RetryBudget(0.2, min_per_second=0.0)
    assert not budget.withdraw(100.0)
    for _ in range(10):
        budget.deposit(100.0)
    assert budget.withdraw(101.0)
    assert budget.withdraw(101.0)
    assert not budget.withdraw(101.0)
    assert budget.balance(120.0) == 0.0


def test_a_quiet_gateway_can_retry() -> None:
    budget = RetryBudget(0.2, min_per_second=0.5)
    assert [budget.withdraw(50.0) for _ in range(6)] == [True] * 5 + [False]
    assert budget.withdraw(60.5)


def test_retries_never_multiply_an_outage() -> None:
    budget = RetryBudget(0.2, min_per_second=1.0)
    requests = retries = 0
    for tick in range(10_000):
        now = 1000.0 + tick * 0.01
        budget.deposit(now)
        requests += 1
        retries += sum(budget.withdraw(now) for _ in range(3))
    assert retries <= 0.2 * requests + 1.0 * 110
