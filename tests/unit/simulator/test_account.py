from __future__ import annotations

import random

import pytest

from mcp_gateway.simulator.account import DAY, EXACT, MINUTE, Account, Window
from mcp_gateway.simulator.settings import Limits


def test_concurrency_is_kept_and_given_back() -> None:
    account, limits = Account(), Limits(concurrency=2)
    assert account.enter(limits, 0.0, 1) is None
    assert account.enter(limits, 0.0, 1) is None
    denial = account.enter(limits, 0.0, 1)
    assert denial is not None
    assert (denial.cause, denial.limit, denial.current) == ("concurrency", 2, 2)
    account.leave(answered=True)
    assert account.enter(limits, 0.0, 1) is None
    assert account.max_in_flight == 2
    assert account.refused == {"concurrency": 1}


def test_requests_by_the_minute_leave_the_window_one_by_one() -> None:
    account, limits = Account(), Limits(requests_per_minute=2)
    for moment in (0.0, 10.0):
        assert account.enter(limits, moment, 1) is None
    denial = account.enter(limits, 20.0, 1)
    assert denial is not None
    assert (denial.cause, denial.limit, denial.current, denial.retry_after) == ("rpm", 2, 2, 40.0)
    assert account.enter(limits, MINUTE, 1) is None
    assert account.enter(limits, MINUTE, 1) is not None


@pytest.mark.parametrize(
    ("limits", "cause", "length"),
    [(Limits(tokens_per_minute=100), "tpm", MINUTE), (Limits(tokens_per_day=100), "tpd", DAY)],
)
def test_tokens_are_charged_on_entry(limits: Limits, cause: str, length: float) -> None:
    account = Account()
    assert account.enter(limits, 0.0, 60) is None
    assert account.enter(limits, 5.0, 30) is None
    denial = account.enter(limits, 6.0, 50)
    assert denial is not None
    assert (denial.cause, denial.current) == (cause, 90)
    assert denial.retry_after == length - 6.0
    assert account.enter(limits, 6.0, 10) is None


def test_what_never_fits_is_never_let_in() -> None:
    account = Account()
    denial = account.enter(Limits(tokens_per_minute=10), 0.0, 11)
    assert denial is not None
    assert denial.retry_after == MINUTE


def test_the_first_limit_that_is_met_is_named() -> None:
    account, limits = Account(), Limits(concurrency=1, requests_per_minute=1)
    account.enter(limits, 0.0, 1)
    denial = account.enter(limits, 0.0, 1)
    assert denial is not None
    assert denial.cause == "concurrency"


def test_no_window_ever_holds_more_than_its_limit() -> None:
    rng = random.Random(5)
    account, limits = Account(), Limits(requests_per_minute=7)
    entered: list[float] = []
    now = 0.0
    for _ in range(2000):
        now += rng.expovariate(0.5)
        if account.enter(limits, now, 1) is None:
            entered.append(now)
            account.leave(answered=True)
    for index, moment in enumerate(entered):
        assert sum(moment - MINUTE < other <= moment for other in entered[: index + 1]) <= 7


def test_a_busy_window_is_bounded_and_still_strict() -> None:
    window = Window(MINUTE)
    moments = [number * 0.001 for number in range(100_000)]
    for moment in moments:
        window.forget(moment)
        window.add(moment, 1)
        true = min(round(moment * 1000) + 1, 60_000)
        assert true <= window.total <= true + 61
    assert len(window._entries) <= 2 * EXACT + 1


def test_a_window_tells_when_it_resets() -> None:
    window = Window(MINUTE)
    assert window.reset_in(5.0) == 0.0
    window.add(5.0, 3)
    assert window.reset_in(15.0) == 50.0
    window.forget(65.0)
    assert window.total == 0


def test_counts_begin_anew_but_what_is_in_flight_stays() -> None:
    account = Account()
    account.requests = 3
    for _ in range(2):
        account.enter(Limits(), 0.0, 1)
    account.leave(answered=False)
    account.count_failure("stall")
    assert account.stats()["failed"] == {"stall": 1}
    assert account.stats()["disconnected"] == 1
    account.reset_stats()
    stats = account.stats()
    assert (stats["in_flight"], stats["max_in_flight"]) == (1, 1)
    assert (stats["requests"], stats["disconnected"], stats["failed"]) == (0, 0, {})
