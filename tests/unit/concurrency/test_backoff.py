from __future__ import annotations

from mcp_gateway.concurrency.backoff import Backoff


def test_delays_double_up_to_the_maximum() -> None:
    backoff = Backoff(1.0, 5.0, rng=lambda: 0.0)
    assert [backoff.next() for _ in range(5)] == [1.0, 2.0, 4.0, 5.0, 5.0]


def test_jitter_takes_off_at_most_its_part() -> None:
    backoff = Backoff(8.0, 8.0, jitter=0.25, rng=lambda: 1.0)
    assert backoff.next() == 6.0


def test_reset_starts_over() -> None:
    backoff = Backoff(1.0, 8.0, rng=lambda: 0.0)
    backoff.next()
    backoff.next()
    backoff.reset()
    assert backoff.next() == 1.0
