from __future__ import annotations

from collections import Counter

from mcp_gateway.upstream.endpoint import Endpoint
from mcp_gateway.upstream.health import FIRST_ASIDE, LONGEST_ASIDE, Health

A = Endpoint.parse("http://a.test", 5)
B = Endpoint.parse("http://b.test", 1)
C = Endpoint.parse("http://c.test", 1)


def health() -> Health:
    return Health([A, B, C], rng=lambda: 0.0)


def test_endpoints_take_turns_by_weight_and_are_well_mixed() -> None:
    it = health()
    turns = [it.choose(0.0) for _ in range(7)]
    assert turns == [A, A, B, A, C, A, A]
    assert Counter(it.choose(0.0) for _ in range(700)) == {A: 500, B: 100, C: 100}


def test_one_that_fails_is_put_aside_and_comes_back() -> None:
    it = health()
    it.failed(A, 100.0)
    assert {it.choose(100.0) for _ in range(10)} == {B, C}
    assert A in {it.choose(100.0 + FIRST_ASIDE) for _ in range(10)}


def test_time_aside_doubles_up_to_a_bound_and_a_success_ends_it() -> None:
    it = health()
    now, seconds = 100.0, []
    for _ in range(8):
        it.failed(B, now)
        aside = it.picture(now)[str(B)].aside
        seconds.append(aside)
        now += aside
    assert seconds == [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, LONGEST_ASIDE, LONGEST_ASIDE]
    assert it.picture(now)[str(B)].failures == 8
    it.failed(B, now)
    it.succeeded(B)
    assert it.picture(now)[str(B)].failures == 0
    assert it.picture(now)[str(B)].aside == 0.0
    it.failed(B, now)
    assert it.picture(now)[str(B)].aside == FIRST_ASIDE


def test_tries_that_fail_together_count_once() -> None:
    it = health()
    for _ in range(10):
        it.failed(A, 100.0)
    assert it.picture(100.0)[str(A)].aside == FIRST_ASIDE


def test_where_all_are_aside_the_first_to_come_back_is_asked() -> None:
    it = health()
    assert it.available(100.0)
    for endpoint, now in [(B, 100.0), (A, 100.1), (C, 100.2)]:
        it.failed(endpoint, now)
    assert not it.available(100.3)
    assert it.choose(100.3) == B
    assert it.available(100.6)
