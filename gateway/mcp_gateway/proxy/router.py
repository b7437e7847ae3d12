"""Which route takes a request: the first whose every pattern matches the whole value.

Patterns are RE2, so no client can send a value that takes long to match. A match still costs
microseconds, and what clients send repeats, so the answer is remembered in a bounded table.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mcp_gateway.errors import NoRoute
from mcp_gateway.proxy.balancer import Backend, Strategy
from mcp_gateway.proxy.exchange import METADATA
from mcp_gateway.proxy.pattern import Fullmatch
from mcp_gateway.recording.choice import Kept

REMEMBERED = 4096

Key = tuple[str, str, str, str, str]


@dataclass(slots=True, eq=False)
class Route:
    """One compiled route.

    Attributes:
        name: as in the document.
        matchers: (position in the key, pattern) of each field that the document constrains.
        backends: sorted by priority.
        strategy: how to choose among them.
        kept: what the recording keeps of the content.
        recorded: its exchanges are recorded.
    """

    name: str
    matchers: tuple[tuple[int, Fullmatch], ...]
    backends: tuple[Backend, ...]
    strategy: Strategy
    kept: Kept = METADATA
    recorded: bool = True

    def matches(self, key: Key) -> bool:
        """Every constrained field matches as a whole."""
        return all(fullmatch(key[position]) for position, fullmatch in self.matchers)


class Router:
    """An ordered list of routes."""

    FIELDS = ("provider", "model", "tool", "method", "client")

    def __init__(self, routes: Sequence[Route]) -> None:
        self.routes = tuple(routes)
        self._remembered: dict[Key, Route] = {}

    def route(self, key: Key) -> Route:
        """The first route that matches (provider, model, tool, method, client).

        Raises:
            NoRoute: none does.
        """
        found = self._remembered.get(key)
        if found is not None:
            return found
        for route in self.routes:
            if route.matches(key):
                if len(self._remembered) >= REMEMBERED:
                    # Dropping everything is rare and cheap; an order of use would cost each hit.
                    self._remembered.clear()
                self._remembered[key] = route
                return route
        raise NoRoute(self._explanation(key))

    def _explanation(self, key: Key) -> str:
        asked = ", ".join(
            f"{name} {value[:100]!r}"
            for name, value in zip(self.FIELDS, key, strict=True)
            if value and name in {"provider", "model", "tool"}
        )
        names = ", ".join(route.name for route in self.routes[:20]) or "none"
        return f"no route matches {asked}; routes in order: {names}"
