"""How an exchange went, in the words and numbers of the log, the metrics and the records."""

from __future__ import annotations

import asyncio

from mcp_gateway import errors

CLIENT_CLOSED = 499
"""Status recorded for a request whose client went away (nginx's convention)."""

_WORDS: tuple[tuple[type[BaseException], str], ...] = (
    (asyncio.CancelledError, "cancelled"),
    (errors.RequestCancelled, "cancelled"),
    (errors.Unauthenticated, "unauthenticated"),
    (errors.PermissionDenied, "denied"),
    (errors.NoRoute, "no_route"),
    (errors.RateLimited, "rate_limited"),
    (errors.Overloaded, "overloaded"),
    (errors.PoolSaturated, "overloaded"),
    (errors.InvalidArguments, "invalid"),
    (errors.DeadlineExceeded, "timeout"),
    (errors.UpstreamTimeout, "timeout"),
    (errors.PoolTimeout, "timeout"),
    (errors.UpstreamError, "upstream_error"),
    (errors.RemoteProtocolError, "upstream_error"),
    (errors.LocalProtocolError, "error"),
    (errors.ProtocolError, "invalid"),
)


def status_word(error: BaseException | None) -> str:
    """A word of `telemetry.definitions.STATUSES`."""
    if error is None:
        return "ok"
    return next((word for kind, word in _WORDS if isinstance(error, kind)), "error")


def status_code(error: BaseException | None) -> int:
    """The HTTP status that tells the same."""
    if error is None:
        return 200
    if isinstance(error, asyncio.CancelledError):
        return CLIENT_CLOSED
    return error.http_status if isinstance(error, errors.GatewayError) else 500


def milliseconds(seconds: float) -> float:
    """A time as the log and the records tell it: to the microsecond."""
    # Rounding to digits would print the number and read it again, at four times the cost.
    return round(seconds * 1e6) / 1000
