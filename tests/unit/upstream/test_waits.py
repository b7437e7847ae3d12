from __future__ import annotations

import pytest

from mcp_gateway.upstream.waits import BOUNDS, WINDOW, Waits


def test_nobody_waited() -> None:
    waits = Waits()
    waits.turn_to(1000.0, 0)
    assert waits.quantile(0.99, 500) == 0.0


@pytest.mark.parametrize("part", [0.5, 0.9, 0.99])
def test_a_quantile_is_at_most_half_too_high(part: float) -> None:
    waits = Waits()
    waits.turn_to(1000.0, 0)
    for number in range(1, 1001):
        waits.add(number / 100)
    exact = part * 10.0
    assert exact * 0.99 <= waits.quantile(part, 1000) <= exact * 1.5
    assert waits.count == 1000
    assert waits.seconds == pytest.approx(5005.0)


def test_who_is_served_at_once_counts_as_a_wait_of_nothing() -> None:
    waits = Waits()
    waits.turn_to(1000.0, 0)
    for _ in range(10):
        waits.add(2.0)
    assert waits.quantile(0.5, 1000) == 0.0
    assert waits.quantile(0.99, 1000) == 0.0
    assert waits.quantile(0.995, 1000) >= 2.0
    assert waits.quantile(0.5, 12) >= 2.0


def test_after_a_minute_it_is_forgotten_but_not_before_half_of_it() -> None:
    waits = Waits()
    waits.turn_to(1000.0, 0)
    waits.add(2.0)
    waits.turn_to(1000.0 + WINDOW / 2, 1)
    assert waits.quantile(0.5, 1) >= 2.0
    waits.turn_to(1000.0 + WINDOW - 0.1, 1)
    assert waits.quantile(0.5, 1) >= 2.0
    waits.turn_to(1000.0 + WINDOW, 1)
    assert waits.quantile(0.5, 1) == 0.0


def test_a_long_look_away_forgets_everything() -> None:
    waits = Waits()
    waits.turn_to(1000.0, 0)
    waits.add(2.0)
    waits.turn_to(1000.0 + WINDOW, 1)
    assert waits.quantile(0.5, 1) == 0.0


def test_the_longest_wait_is_a_minute() -> None:
    waits = Waits()
    waits.turn_to(1000.0, 0)
    waits.add(1e9)
    assert waits.quantile(0.5, 1) == BOUNDS[-1] > 50.0
