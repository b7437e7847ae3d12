"""The ceiling, tick by tick."""

from __future__ import annotations

from mcp_gateway_operator.tuning.ceiling import Ceiling, Seen
from mcp_gateway_operator.tuning.pace import Pace


def ceiling(start: int = 10, stated: int | None = None) -> Ceiling:
    return Ceiling(Pace(), start, stated, "begun")


def full(limit: Ceiling, refused: int = 0, at: int | None = None) -> Seen:
    in_flight = limit.value if at is None else at
    return Seen(in_flight, in_flight, refused, waiting=5)


def test_steps_double_up_to_half_while_requests_wait_and_nothing_was_refused() -> None:
    limit = ceiling(10)
    found = []
    for second in range(8):
        limit.step(float(second), full(limit))
        found.append(limit.value)
    assert found == [11, 13, 17, 25, 37, 55, 82, 123]


def test_nothing_moves_it_up_but_waiters_at_a_full_ceiling() -> None:
    limit = ceiling(10)
    limit.step(0.0, Seen(10))
    limit.step(1.0, Seen(8, 8, 0, waiting=50))
    limit.step(2.0, Seen(10, 10, 0, waiting=50, rated=True))
    assert limit.value == 10


def test_a_step_is_not_followed_before_a_request_has_proven_it() -> None:
    limit = ceiling(10)
    limit.step(0.0, full(limit))
    limit.step(1.0, full(limit, at=10))
    assert limit.value == 11
    limit.step(2.0, full(limit, at=11))
    assert limit.value == 13


def test_above_where_it_was_refused_two_looks_prove_a_step() -> None:
    limit = ceiling(10)
    limit.step(0.0, full(limit))
    limit.step(1.0, full(limit, refused=1, at=10))
    assert limit.value == 10
    found = []
    for second in range(7, 12):
        limit.step(float(second), full(limit))
        found.append(limit.value)
    # What the first look sees of the step may be the very request that is being refused.
    assert found == [11, 11, 12, 12, 13]


def test_slots_that_idle_pods_keep_count_the_same_when_it_grows_and_when_it_is_cut() -> None:
    limit = ceiling(14)
    limit.step(0.0, Seen(11, 11, 0, waiting=99, kept=3))
    assert limit.value == 15
    limit.step(1.0, Seen(11, 11, 1, waiting=99, kept=3))
    assert limit.value == 14


def test_it_never_exceeds_what_is_stated() -> None:
    limit = ceiling(10, stated=12)
    assert limit.value == 10
    for second in range(20):
        limit.step(float(second), full(limit))
    assert limit.value == 12
    assert limit.full


def test_a_refused_probe_takes_it_back_and_doubles_the_hold_up_to_a_minute() -> None:
    limit = ceiling(100)
    now, holds = 0.0, []
    for _ in range(7):
        while limit.value == 100:
            now += 1.0
            limit.step(now, full(limit))
        now += 1.0
        raised = now
        limit.step(now, Seen(100, 100, 1, waiting=5))
        assert limit.value == 100
        while limit.holding:
            now += 1.0
            limit.step(now, Seen(50))
        holds.append(now - raised)
    assert holds == [5.0, 10.0, 20.0, 40.0, 60.0, 60.0, 60.0]


def test_a_lowered_limit_is_met_and_held_only_shortly() -> None:
    limit = ceiling(100, stated=100)
    limit.step(0.0, Seen(100, 60, 10, waiting=5))
    assert limit.value == 60
    assert "10 concurrency refusals in 1 s at 60 in flight" in limit.reason
    limit.step(4.0, Seen(60, 60, 0, waiting=5))
    assert limit.value == 60
    limit.step(5.0, Seen(60, 60, 0, waiting=5))
    assert limit.value == 61


def test_below_what_is_stated_it_is_tried_more_often() -> None:
    limit = ceiling(100, stated=100)
    limit.step(0.0, Seen(100, 50, 10, waiting=5))
    now, holds = 0.0, []
    for _ in range(5):
        while limit.value == 50:
            now += 1.0
            limit.step(now, full(limit))
        now += 1.0
        refused = now
        limit.step(now, Seen(50, 50, 1, waiting=5))
        while limit.holding:
            now += 1.0
            limit.step(now, Seen(40))
        holds.append(now - refused)
    assert holds == [10.0, 20.0, 20.0, 20.0, 20.0]


def test_it_goes_ahead_of_a_limit_that_keeps_falling() -> None:
    limit = ceiling(100, stated=100)
    limit.step(0.0, Seen(100, 70, 10, waiting=5))
    limit.step(1.0, Seen(60, 60, 10, waiting=5))
    assert limit.value == 55


def test_the_echo_of_a_refused_probe_cuts_no_deeper() -> None:
    limit = ceiling(90)
    limit.step(0.0, full(limit))
    limit.step(1.0, Seen(90, 90, 1, waiting=5))
    limit.step(2.0, Seen(86, 86, 3, waiting=5))
    assert limit.value == 90
    limit.step(6.0, Seen(86, 86, 3, waiting=5))
    assert limit.value < 90, "refusals that go on are no echo"


def test_a_provider_that_refuses_everything_leaves_one_and_rests() -> None:
    limit = ceiling(8)
    for second in range(10):
        limit.step(float(second), Seen(0, 0, 2, waiting=5))
    assert limit.value == 1
    limit.step(11.0, Seen(0, 0, 0, waiting=5))
    assert limit.resting(11.0)
    assert not limit.resting(1_000.0)


def test_another_stated_limit_counts_at_once() -> None:
    limit = ceiling(50, stated=50)
    limit.restate(20)
    assert limit.value == 20
    limit.restate(80)
    assert limit.value == 80
    assert limit.reason == "the document states 80"
    limit.restate(None)
    assert limit.value == 80
    assert not limit.full


def test_where_others_decide_it_follows_what_was_not_refused() -> None:
    limit = ceiling(4)
    limit.observe(Seen(30))
    assert limit.value == 30
    limit.observe(Seen(50, 50, refused=1))
    assert limit.value == 30
