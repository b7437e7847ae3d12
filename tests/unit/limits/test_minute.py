from __future__ import annotations

import math
import random

import pytest

from mcp_gateway.limits.minute import KEPT, RETRY, MinuteQuota


def begin(quota: MinuteQuota, now: float, amount: int = 1) -> None:
    quota.reserve(amount)
    quota.begin(now, amount)


def test_what_was_begun_counts_for_a_minute_and_a_second() -> None:
    quota = MinuteQuota(2)
    begin(quota, 100.0)
    begin(quota, 130.0)
    wait = quota.wait(140.0, 1)
    assert 140.0 + wait - 100.0 > 60.0
    assert wait == pytest.approx(21.0, abs=0.2)
    assert quota.used(100.0 + KEPT - 0.01) == 2
    assert quota.wait(140.0 + wait, 1) == 0.0
    assert quota.used(1000.0) == 0


def test_nothing_may_begin_where_nothing_is_allowed() -> None:
    assert MinuteQuota(0).wait(5.0, 1) == math.inf


def test_a_lowered_quota_lets_the_rest_wait() -> None:
    quota = MinuteQuota(10)
    for second in range(10):
        begin(quota, 100.0 + second)
    quota.amount = 4
    wait = quota.wait(110.0, 1)
    # Seven must leave before there are three and room for a fourth.
    assert 110.0 + wait == pytest.approx(106.0 + KEPT, abs=0.2)


def test_what_is_reserved_counts_until_it_is_given_up() -> None:
    quota = MinuteQuota(1)
    quota.reserve(1)
    assert quota.used(500.0) == 1
    assert quota.wait(500.0, 1) == RETRY
    quota.undo(1)
    assert quota.wait(500.0, 1) == 0.0


def test_more_than_a_minutes_worth_goes_alone() -> None:
    quota = MinuteQuota(100)
    assert quota.wait(10.0, 500) == 0.0
    begin(quota, 10.0, 30)
    assert quota.wait(20.0, 500) == pytest.approx(51.0, abs=0.2)


def test_a_correction_moves_what_counts() -> None:
    quota = MinuteQuota(100)
    begin(quota, 10.0, 60)
    quota.charge(12.0, 20)
    assert quota.used(12.0) == 80
    quota.give_back(10.0, 50)
    assert quota.used(12.0) == 30
    quota.give_back(10.0 - 2 * KEPT, 50)
    assert quota.used(12.0) == 30, "what is forgotten cannot be given back"


@pytest.mark.parametrize("seed", range(20))
def test_no_minute_ever_holds_more_than_was_allowed(seed: int) -> None:
    rng = random.Random(seed)
    allowed = rng.randint(1, 30)
    quota = MinuteQuota(allowed)
    now, begun, reserved = rng.uniform(0, 1000), [], []
    for _ in range(2000):
        now += rng.expovariate(2.0)
        if quota.wait(now, 1) == 0.0:
            quota.reserve(1)
            reserved.append(now)
        while reserved and rng.random() < 0.5:
            reserved.pop()
            if rng.random() < 0.1:
                quota.undo(1)
            else:
                quota.begin(now, 1)
                begun.append(now)
    assert len(begun) > allowed
    for first in range(len(begun) - allowed):
        assert begun[first + allowed] - begun[first] > 60.0
