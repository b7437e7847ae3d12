from __future__ import annotations

import random

import pytest

from mcp_gateway.limits.rate import TokenBucket


def test_a_burst_passes_and_then_the_rate() -> None:
    bucket = TokenBucket(2.0, 3.0)
    assert [bucket.take(100.0) for _ in range(4)] == [0.0, 0.0, 0.0, 0.5]
    assert bucket.take(100.4) == pytest.approx(0.1)
    assert bucket.take(100.5) == 0.0


def test_it_holds_no_more_than_its_burst() -> None:
    bucket = TokenBucket(10.0, 2.0)
    bucket.take(0.0)
    assert bucket.level(1000.0) == 2.0


def test_more_than_the_burst_passes_when_the_bucket_is_full() -> None:
    bucket = TokenBucket(10.0, 100.0)
    assert bucket.take(0.0, 250.0) == 0.0
    assert bucket.level(0.0) == -150.0
    assert bucket.take(0.0, 1.0) == pytest.approx(15.1)


def test_an_estimate_is_corrected_both_ways() -> None:
    bucket = TokenBucket(1.0, 100.0)
    bucket.take(0.0, 60.0)
    bucket.give_back(20.0)
    assert bucket.level(0.0) == 60.0
    bucket.charge(0.0, 90.0)
    assert bucket.level(0.0) == -30.0
    bucket.give_back(1000.0)
    assert bucket.level(0.0) == 100.0


def test_a_drained_bucket_gives_nothing_for_that_time_and_one_token_after() -> None:
    bucket = TokenBucket(0.1, 100.0)
    bucket.drain(50.0, 20.0)
    assert bucket.take(50.0) == 20.0
    assert bucket.take(65.0) == 5.0
    assert bucket.level(65.0) == 1.0
    assert bucket.take(70.0) == 0.0
    assert bucket.take(70.0) == pytest.approx(10.0)


def test_draining_never_shortens_a_drain_nor_fills() -> None:
    bucket = TokenBucket(1.0, 10.0)
    bucket.take(0.0, 10.0)
    bucket.drain(0.0, 20.0)
    bucket.drain(5.0, 1.0)
    assert bucket.take(5.0) == 16.0
    assert bucket.level(20.0) == 0.0


def test_a_smaller_size_takes_effect_at_once() -> None:
    bucket = TokenBucket(1.0, 10.0)
    bucket.configure(5.0, 2.0)
    assert bucket.level(0.0) == 2.0
    bucket.take(0.0, 2.0)
    assert bucket.take(0.0) == pytest.approx(0.2)


@pytest.mark.parametrize("seed", range(10))
def test_no_more_passes_than_burst_plus_rate_times_time(seed: int) -> None:
    rng = random.Random(seed)
    bucket = TokenBucket(7.0, 20.0)
    now, taken = 100.0, 0.0
    for _ in range(2000):
        now += rng.expovariate(20.0)
        wanted = rng.choice([1.0, 2.0, 5.0])
        wait = bucket.take(now, wanted)
        if wait == 0.0:
            taken += wanted
        assert taken <= 20.0 + 7.0 * (now - 100.0) + 1e-6
    assert taken >= 0.9 * 7.0 * (now - 100.0)


@pytest.mark.parametrize("seed", range(5))
def test_waiting_as_long_as_told_is_enough(seed: int) -> None:
    rng = random.Random(seed)
    bucket = TokenBucket(3.0, 10.0)
    now = 100.0
    for _ in range(200):
        wanted = rng.choice([1.0, 4.0, 15.0])
        if rng.random() < 0.1:
            bucket.drain(now, rng.random() * 5)
        wait = bucket.take(now, wanted)
        if wait:
            now += wait + 1e-6
            assert bucket.take(now, wanted) == 0.0
        now += rng.random()


def test_looking_takes_nothing() -> None:
    bucket = TokenBucket(1.0, 2.0)
    assert bucket.wait(0.0, 2.0) == 0.0
    assert bucket.level(0.0) == 2.0
    assert bucket.take(0.0, 2.0) == 0.0
    assert bucket.wait(0.0) == 1.0


def test_a_drained_bucket_says_for_how_long() -> None:
    bucket = TokenBucket(1.0, 2.0)
    assert bucket.drained(5.0) == 0.0
    bucket.drain(5.0, 7.0)
    assert bucket.drained(6.0) == 6.0
    assert bucket.drained(20.0) == 0.0
