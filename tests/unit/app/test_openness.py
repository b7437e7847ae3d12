from __future__ import annotations

from mcp_gateway.app.picture import openness
from mcp_gateway.limits.breaker import CircuitBreaker


def test_a_breaker_whose_time_is_up_would_let_the_next_one_through() -> None:
    breaker = CircuitBreaker(open_for=10.0)
    assert openness(breaker, 0.0) == 0.0
    breaker.open_until(0.0, 10.0)
    assert openness(breaker, 9.9) == 1.0
    assert openness(breaker, 10.0) == 0.5
    assert breaker.allow(10.0)
    assert openness(breaker, 10.0) == 0.5
