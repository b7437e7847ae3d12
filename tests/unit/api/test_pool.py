from __future__ import annotations

import pytest
from pydantic import ValidationError

from mcp_gateway.api.pool import CircuitBreakerSettings, Pool, RequestTimeouts


def test_fewest_connections_fit_into_most() -> None:
    assert Pool(min_connections=12, max_connections=10, max_overflow=2).min_connections == 12
    assert Pool(min_connections=12).max_connections is None
    for given in ({"max_connections": 11}, {"max_connections": 5, "max_overflow": 6}):
        with pytest.raises(ValidationError, match="minConnections must be at most"):
            Pool.model_validate({"min_connections": 12, **given})


def test_the_first_byte_comes_before_the_end() -> None:
    assert RequestTimeouts(first_byte=60, total=60).total == 60.0
    with pytest.raises(ValidationError, match="firstByte must be at most total"):
        RequestTimeouts(first_byte=61, total=60)


def test_defaults_are_those_of_the_design() -> None:
    pool, timeouts, breaker = Pool(), RequestTimeouts(), CircuitBreakerSettings()

    assert (pool.idle_timeout, pool.acquire_timeout, pool.max_waiting) == (30.0, 15.0, 1000)
    assert (timeouts.connect, timeouts.first_byte, timeouts.idle) == (5.0, 60.0, 120.0)
    assert (breaker.failure_ratio, breaker.window, breaker.open_for) == (0.5, 30.0, 10.0)
