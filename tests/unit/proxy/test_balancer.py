from collections import Counter
from dataclasses import dataclass

import pytest

from mcp_gateway.errors import ConfigError
from mcp_gateway.proxy.balancer import (
    Backend,
    choose,
    least_connections,
    round_robin,
    strategy,
)


@dataclass
class Account:
    in_flight: int = 0
    up: bool = True

    def available(self) -> bool:
        return self.up


def backend(name: str, *, priority: int = 0, weight: int = 1, in_flight: int = 0) -> Backend:
    return Backend(name, Account(in_flight), priority=priority, weight=weight)


def test_round_robin_gives_each_its_weight() -> None:
    backends = [backend("a", weight=3), backend("b", weight=1)]
    chosen = Counter(round_robin(backends).provider for _ in range(400))
    assert chosen == {"a": 300, "b": 100}


def test_round_robin_spreads_instead_of_bunching() -> None:
    backends = [backend("a", weight=2), backend("b", weight=1)]
    assert [round_robin(backends).provider for _ in range(6)] == ["a", "b", "a"] * 2


def test_least_connections_takes_the_emptiest_for_its_weight() -> None:
    backends = [backend("a", in_flight=3), backend("b", in_flight=4, weight=2)]
    assert least_connections(backends).provider == "b"


def test_least_connections_takes_turns_where_loads_are_equal() -> None:
    backends = [backend("a"), backend("b")]
    assert [least_connections(backends).provider for _ in range(4)] == ["a", "b", "a", "b"]


def test_only_the_lowest_priority_that_can_is_asked() -> None:
    first, second = backend("a"), backend("b", priority=1)
    assert choose((first, second), round_robin) is first
    assert isinstance(first.load, Account)
    first.load.up = False
    assert choose((first, second), round_robin) is second


def test_a_backend_that_failed_this_request_is_not_chosen_again() -> None:
    first, second = backend("a"), backend("b", priority=1)
    assert choose((first, second), round_robin, [first]) is second
    assert choose((first, second), round_robin, [first, second]) is None


def test_a_single_backend_that_is_down_is_not_chosen() -> None:
    only = backend("a")
    assert choose((only,), round_robin) is only
    assert isinstance(only.load, Account)
    only.load.up = False
    assert choose((only,), round_robin) is None


def test_unknown_strategy_names_those_there_are() -> None:
    with pytest.raises(ConfigError, match="expected round_robin or least_connections"):
        strategy("random")
