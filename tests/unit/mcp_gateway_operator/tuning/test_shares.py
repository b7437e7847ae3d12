"""Division: fair, whole, and only of what nobody holds."""

from __future__ import annotations

import random

from mcp_gateway_operator.tuning.held import MOST_UNANSWERED, Part
from mcp_gateway_operator.tuning.shares import Claim, divide, level, set_targets


def part(share: int, demand: int = 0, *, waiting: bool = False) -> Part:
    made = Part(share, min(share, demand))
    made.demand, made.waiting = demand, waiting
    made.pressed = waiting or demand >= share
    return made


def test_who_wants_little_gets_it_and_the_others_the_same() -> None:
    assert level(10, [1, 20, 20]) == [1, 4, 5]
    assert level(10, [1, 2, 3]) == [1, 2, 3]
    assert level(2, [5, 5, 5]) == [0, 1, 1]
    assert level(0, [5]) == [0]
    assert level(-3, [5]) == [0]


def test_an_absurd_demand_gains_nothing() -> None:
    assert level(100, [2**53, 2**53, 20, 30]) == [27, 27, 20, 26]


def test_what_does_not_go_round_stays_with_who_has_most() -> None:
    assert level(10, [80, 70, 60, 50], [3, 2, 3, 2]) == [3, 2, 3, 2]
    assert level(11, [1, 70, 60], [0, 6, 5]) == [1, 5, 5]
    assert level(12, [1, 70, 60], [0, 6, 5]) == [1, 6, 5]


def test_slack_is_spread_evenly_and_caps_are_kept() -> None:
    parts = [part(0, 10), part(0, 0), part(0, 0)]
    set_targets(40, [Claim(parts[0]), Claim(parts[1], cap=2), Claim(parts[2])])
    assert [one.target for one in parts] == [24, 2, 14]


def test_everybody_keeps_a_floor_where_there_is_enough() -> None:
    parts = [part(0, 1_000), part(0, 0)]
    set_targets(10, [Claim(one, floor=1) for one in parts])
    assert [one.target for one in parts] == [9, 1]


def test_only_what_is_free_is_given_and_what_is_missing_is_asked_back_first() -> None:
    rich, poor = part(90, 10), part(10, 60, waiting=True)
    divide(100, [Claim(rich), Claim(poor)])
    assert rich.wanted < 90
    assert poor.wanted == 10
    rich.send(1)
    divide(100, [Claim(rich), Claim(poor)])
    assert poor.wanted == 10, "the lowered one has not said so"
    rich.hear(0.0, 1, 10)
    divide(100, [Claim(rich), Claim(poor)])
    assert poor.wanted > 50


def test_random_divisions_never_give_what_somebody_holds() -> None:
    rng = random.Random(5)
    for _ in range(500):
        total = rng.randint(1, 60)
        shares = level(total, [rng.randint(0, 40) for _ in range(rng.randint(1, 8))])
        parts = [part(one, rng.randint(0, 50), waiting=rng.random() < 0.5) for one in shares]
        divide(total, [Claim(one, floor=1) for one in parts], tidy=rng.random() < 0.3)
        assert sum(max(one.held, one.wanted) for one in parts) <= total


def test_a_grant_counts_until_a_later_one_is_acknowledged() -> None:
    one = Part(0)
    for sequence, amount in ((1, 30), (2, 5)):
        one.wanted = amount
        one.send(sequence)
    assert one.held == 30
    one.hear(0.0, 1, 12)
    assert (one.held, one.acknowledged) == (30, 30)
    one.hear(0.0, 2, 12)
    assert one.held == 12
    one.hear(0.0, 2, 3)
    assert one.held == 5


def test_nobody_is_believed_to_use_more_than_it_was_granted() -> None:
    one = Part(0)
    one.wanted = 10
    one.send(1)
    one.hear(0.0, 1, 2**53)
    assert one.held == 10


def test_grants_that_are_never_answered_take_no_memory_without_bound() -> None:
    one = Part(0)
    for sequence in range(1, 1_000):
        one.wanted = sequence % 7
        one.send(sequence)
    assert one.held == 6
    assert len(one._sent) <= MOST_UNANSWERED


def test_of_a_rate_a_minute_after_it_was_lowered_no_more_can_be_in_use() -> None:
    one = Part(50, 50)
    one.wanted = 10
    one.send(1)
    one.hear(100.0, 1, 50)
    one.expire(160.0, 61.0)
    assert one.held == 50
    one.expire(162.0, 61.0)
    assert one.held == 10
