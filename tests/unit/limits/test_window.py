from __future__ import annotations

import random

import pytest

from mcp_gateway.limits.window import SlidingWindow


def test_counts_are_forgotten_slice_by_slice() -> None:
    window = SlidingWindow(10.0)
    window.add_good(100.0)
    window.add_bad(104.5)
    assert (window.good, window.bad) == (1, 1)
    window.turn_to(109.9)
    assert (window.good, window.bad) == (1, 1)
    window.turn_to(110.0)
    assert (window.good, window.bad) == (0, 1)
    window.turn_to(1000.0)
    assert (window.good, window.bad) == (0, 0)


def test_time_that_stands_still_or_steps_back_forgets_nothing() -> None:
    window = SlidingWindow(10.0)
    window.add_bad(50.0)
    window.turn_to(50.0)
    window.turn_to(49.0)
    assert window.bad == 1


@pytest.mark.parametrize("seed", range(5))
def test_the_window_agrees_with_a_list_of_all_events(seed: int) -> None:
    rng = random.Random(seed)
    window = SlidingWindow(5.0, slices=5)
    now = 1000.0
    events: list[int] = []
    for _ in range(500):
        now += rng.choice([0.0, 0.1, 0.5, 2.0, 7.0])
        window.add_good(now)
        events.append(int(now))
        assert window.good == sum(event > int(now) - 5 for event in events)
