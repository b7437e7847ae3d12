"""The onion: layers around a handler, in the order the document lists them.

A layer is an async function of the exchange and the next handler. It may refuse by raising a
`GatewayError`, act before and after, and must re-raise what it did not understand. A third
party's layer is a factory under the entry-point group `mcp_gateway.middleware`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from importlib.metadata import EntryPoint, entry_points
from typing import Protocol

from mcp_gateway.api import Spec
from mcp_gateway.errors import ConfigError
from mcp_gateway.providers.base import ChatAnswer
from mcp_gateway.proxy.exchange import Exchange

ENTRY_POINT_GROUP = "mcp_gateway.middleware"

Handler = Callable[[Exchange], Awaitable[ChatAnswer | None]]


class Middleware(Protocol):
    """One layer."""

    def __call__(self, exchange: Exchange, handler: Handler) -> Awaitable[ChatAnswer | None]:
        """Carry `exchange` through this layer and `await handler(exchange)`, or refuse it.

        A layer that has nothing to do afterwards may be an ordinary function that returns
        `handler(exchange)`: an exchange then has one coroutine less.
        """


MiddlewareFactory = Callable[[Spec], Middleware]
"""What an entry point names: makes the layer for one document, once per applied document."""


def compose(layers: Sequence[Middleware], innermost: Handler) -> Handler:
    """Wrap `innermost` in `layers`; the first layer is the outermost."""
    handler = innermost
    for layer in reversed(layers):
        handler = _bind(layer, handler)
    return handler


def _bind(layer: Middleware, handler: Handler) -> Handler:
    carry = layer.__call__  # looked up here, once, and not in every exchange

    def bound(exchange: Exchange) -> Awaitable[ChatAnswer | None]:
        return carry(exchange, handler)

    return bound


def load_third_party(name: str) -> MiddlewareFactory:
    """The factory registered under `name` by an installed distribution.

    Raises:
        ConfigError: nothing, or something that cannot be imported, is registered there.
    """
    found: EntryPoint | None = next(iter(entry_points(group=ENTRY_POINT_GROUP, name=name)), None)
    if found is None:
        raise ConfigError(
            f"unknown middleware {name!r}: expected auth, rate_limit, logging, "
            f"or the name of an entry point in group {ENTRY_POINT_GROUP!r}"
        )
    try:
        factory: MiddlewareFactory = found.load()
    except (ImportError, AttributeError) as exc:
        raise ConfigError(f"middleware {name!r} cannot be loaded: {exc}") from exc
    return factory
