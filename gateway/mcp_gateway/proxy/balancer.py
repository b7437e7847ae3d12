"""Which backend of a route takes the next attempt.

Priority comes first: only backends of the lowest number that can take a request now are
looked at. Among those the route's strategy chooses, by weight.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from mcp_gateway.errors import ConfigError


class Load(Protocol):
    """What a strategy asks of the account behind a backend."""

    @property
    def in_flight(self) -> int:
        """Requests it has in flight or waiting."""

    def available(self) -> bool:
        """It can take a request now: its breaker lets requests through."""


@dataclass(slots=True, eq=False)
class Backend:
    """One provider a route may use.

    Attributes:
        provider: its name.
        model: the model to ask it for; None keeps the client's.
        priority: 0 is tried first.
        weight: its part among backends of one priority; 0 takes nothing.
        load: the account behind it.
        credit: smooth weighted round robin's running number.
    """

    provider: str
    load: Load
    model: str | None = None
    priority: int = 0
    weight: int = 1
    credit: int = field(default=0, repr=False)


Strategy = Callable[[Sequence[Backend]], Backend]


def round_robin(candidates: Sequence[Backend]) -> Backend:
    """Each in turn, by weight, as evenly spread as the weights allow (nginx's smooth form)."""
    if len(candidates) == 1:
        return candidates[0]
    total = 0
    best = candidates[0]
    for backend in candidates:
        backend.credit += backend.weight
        total += backend.weight
        if backend.credit > best.credit:
            best = backend
    best.credit -= total
    return best


def least_connections(candidates: Sequence[Backend]) -> Backend:
    """The one with the fewest requests in flight for its weight; ties go round robin."""
    if len(candidates) == 1:
        return candidates[0]
    lowest = min(backend.load.in_flight / backend.weight for backend in candidates)
    return round_robin([b for b in candidates if b.load.in_flight / b.weight == lowest])


STRATEGIES: dict[str, Strategy] = {
    "round_robin": round_robin,
    "least_connections": least_connections,
}


def strategy(name: str) -> Strategy:
    """The strategy called `name`.

    Raises:
        ConfigError: there is none of that name.
    """
    try:
        return STRATEGIES[name]
    except KeyError:
        expected = " or ".join(STRATEGIES)
        raise ConfigError(f"unknown strategy {name!r}: expected {expected}") from None


def choose(
    backends: Sequence[Backend], strategy: Strategy, excluded: Sequence[Backend] = ()
) -> Backend | None:
    """The backend for the next attempt, or None when none can take it.

    `backends` are sorted by priority; `excluded` have failed this request already.
    """
    if len(backends) == 1 and not excluded:
        only = backends[0]
        return only if only.weight > 0 and only.load.available() else None
    candidates: list[Backend] = []
    for backend in backends:
        if candidates and backend.priority != candidates[0].priority:
            break
        if backend.weight > 0 and backend not in excluded and backend.load.available():
            candidates.append(backend)
    return strategy(candidates) if candidates else None
