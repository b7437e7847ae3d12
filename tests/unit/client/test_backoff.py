from __future__ import annotations

from mcp_gateway.client.backoff import Backoff


def test_delays_double_up_to_the_cap() -> None:
    backoff = Backoff(0.1, 1.0, random=lambda: 1.0)

    assert [backoff.delay() for _ in range(6)] == [0.1, 0.2, 0.4, 0.8, 1.0, 1.0]


def test_jitter_takes_any_part_of_the_delay() -> None:
    assert Backoff(0.1, 1.0, random=lambda: 0.0).delay() == 0.0
    assert 0.0 <= Backoff().delay() < 0.1


def test_a_connection_starts_it_over() -> None:
    backoff = Backoff(0.1, 1.0, random=lambda: 1.0)
    backoff.delay()
    backoff.delay()

    backoff.reset()

    assert backoff.delay() == 0.1


def test_a_long_outage_does_not_overflow() -> None:
    backoff = Backoff(random=lambda: 1.0)

    assert [backoff.delay() for _ in range(5000)][-1] == 5.0
