from __future__ import annotations

from mcp_gateway.limits.adaptive import MAX_HOLD, AdaptiveLimit


def busy(limit: AdaptiveLimit, now: float) -> bool:
    """One decision while the limit is used up and somebody waits."""
    return limit.probe(now, waiting=5, in_flight=limit.limit)


def test_a_share_is_the_limit_up_to_the_cap() -> None:
    assert AdaptiveLimit(8, 30).limit == 8
    assert AdaptiveLimit(50, 30).limit == 30
    assert AdaptiveLimit(None, 30).limit == 30
    assert AdaptiveLimit(None, 1000, start=2).limit == 2
    assert AdaptiveLimit(None, 1, start=2).limit == 1
    assert AdaptiveLimit(7, 1000, start=2).limit == 7


def test_a_refusal_cuts_to_what_is_in_flight_without_it() -> None:
    limit = AdaptiveLimit(50, 100)
    limit.refused(19)
    assert limit.limit == 19
    assert limit.in_flight_at_refusal == 19
    limit.refused(25)
    assert limit.limit == 19
    assert limit.refusals == 2


def test_a_new_share_ends_the_cut() -> None:
    limit = AdaptiveLimit(50, 100)
    limit.refused(19)
    limit.set_share(40)
    assert limit.limit == 40
    assert limit.in_flight_at_refusal is None


def test_an_unknown_share_leaves_the_limit_where_it_is() -> None:
    limit = AdaptiveLimit(50, 100)
    limit.set_share(None)
    assert limit.limit == 50
    assert limit.ceiling == 100
    assert busy(limit, 10.0)
    assert limit.limit == 51


def test_under_an_operator_it_stays_cut_until_the_operator_speaks() -> None:
    limit = AdaptiveLimit(10, 100)
    limit.set_share(10, governed=True)
    limit.refused(0)
    assert limit.limit == 0
    assert not any(busy(limit, 10.0 * tick) for tick in range(100))
    limit.set_share(4, governed=True)
    assert limit.limit == 4


def test_alone_one_is_always_let_through() -> None:
    limit = AdaptiveLimit(None, 10)
    limit.refused(0)
    assert limit.limit == 1


def test_it_grows_only_when_it_is_used_up_and_somebody_waits() -> None:
    limit = AdaptiveLimit(None, 1000, start=4)
    assert not limit.probe(10.0, waiting=0, in_flight=4)
    assert not limit.probe(20.0, waiting=3, in_flight=2)
    assert limit.probe(30.0, waiting=3, in_flight=3)
    assert limit.limit == 5


def test_steps_double_up_to_a_quarter_and_once_a_second() -> None:
    limit = AdaptiveLimit(None, 1000, start=16)
    limits = []
    for tick in range(80):
        busy(limit, 100.0 + tick * 0.125)
        limits.append(limit.limit)
    assert list(dict.fromkeys(limits)) == [17, 19, 23, 28, 35, 43, 53, 66, 82, 102]


def test_growth_ends_at_the_cap_or_at_the_share() -> None:
    limit = AdaptiveLimit(None, 4, start=2)
    assert [busy(limit, 10.0 * tick) for tick in range(1, 5)] == [True, True, False, False]
    assert limit.limit == 4
    known = AdaptiveLimit(20, 1000)
    known.refused(15)
    for tick in range(1, 100):
        busy(known, 10.0 * tick)
    assert known.limit == 20


def hold(limit: AdaptiveLimit, start: float) -> float:
    """Seconds from `start` until the limit grows again; leaves it grown."""
    now = start
    while not busy(limit, now):
        now += 0.5
        assert now - start < 200
    return now - start


def test_a_refusal_of_our_own_making_doubles_the_hold() -> None:
    limit = AdaptiveLimit(None, 1000, start=10)
    now, holds = 100.0, []
    busy(limit, now)
    for _ in range(6):
        limit.refused(10)  # the eleventh is one too many
        assert limit.limit == 10
        now += 1.0
        assert not busy(limit, now)
        seconds = hold(limit, now)
        holds.append(seconds)
        now += seconds
    assert holds == [5.0, 10.0, 20.0, 40.0, MAX_HOLD, MAX_HOLD]


def test_a_lowered_ceiling_holds_five_seconds() -> None:
    limit = AdaptiveLimit(None, 1000, start=40)
    now = 100.0
    for _ in range(5):  # a hold that has grown
        busy(limit, now)
        limit.refused(limit.limit - 1)
        now += 200.0
        busy(limit, now)
        now += 200.0
    busy(limit, now)
    busy(limit, now + 1)
    limit.refused(20)
    limit.refused(19)
    assert limit.limit == 19
    busy(limit, now + 2)
    assert hold(limit, now + 2) == 5.0


def test_the_step_is_one_again_after_a_refusal() -> None:
    limit = AdaptiveLimit(None, 1000, start=40)
    for tick in range(4):
        busy(limit, 100.0 + tick)
    limit.refused(40)
    busy(limit, 110.0)
    hold(limit, 110.0)
    assert limit.limit == 41


def test_a_limit_at_its_ceiling_follows_the_cap() -> None:
    limit = AdaptiveLimit(None, 30)
    limit.set_cap(50)
    assert limit.limit == 50
    limit.set_cap(20)
    assert limit.limit == 20
    limit.refused(10)
    limit.set_cap(40)
    assert limit.limit == 10
    limit.set_cap(5)
    assert limit.limit == 5


def test_a_share_survives_a_smaller_cap() -> None:
    limit = AdaptiveLimit(20, 30)
    limit.set_cap(10)
    assert limit.limit == 10
    limit.set_cap(30)
    assert limit.limit == 20


def test_a_limit_that_an_operator_cut_recovers_when_it_is_released_and_not_before() -> None:
    limit = AdaptiveLimit(8, 100)
    limit.set_share(8, governed=True)
    limit.refused(3)
    for second in range(60):
        assert not limit.probe(float(second), 5, limit.limit)
    limit.release()
    for second in range(60, 400):
        limit.probe(float(second), 5, limit.limit)
    assert limit.limit == 8


def test_an_unknown_share_begins_where_it_is_told_to() -> None:
    limit = AdaptiveLimit(0, 100)
    limit.set_share(None, start=2)
    assert limit.limit == 2
    limit.set_share(None)
    assert limit.limit == 2
    limit.set_share(None, start=1000)
    assert limit.limit == 100
