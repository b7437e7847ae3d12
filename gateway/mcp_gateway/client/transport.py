"""What `Client` asks of a way to the gateway, and what both ways share."""

from __future__ import annotations

import ssl
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from typing import Protocol

from mcp_gateway.client.failure import from_status
from mcp_gateway.client.wire import Progress, Result, ToolCall
from mcp_gateway.errors import ConnectFailed, GatewayError, UpstreamError


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How to reach the gateway.

    Attributes:
        url: `ws://`, `wss://`, `http://` or `https://`, with the MCP path.
        api_key: the client key, sent as bearer token; empty sends none.
        connect_timeout: seconds one try to connect may take.
        reconnect_for: seconds a call waits for a connection, over as many tries as fit; 0 gives
            up after the first.
        max_message: the longest message taken from the gateway, in bytes.
        max_in_flight: calls on their way at once.
        tls: how to verify a `wss://` or `https://` gateway; None trusts the system's store.
        proxy: URL of an HTTP proxy; None connects directly.
    """

    url: str
    api_key: str = field(default="", repr=False)
    connect_timeout: float = 5.0
    reconnect_for: float = 10.0
    max_message: int = 16 * 1024 * 1024
    max_in_flight: int = 100
    tls: ssl.SSLContext | None = None
    proxy: str | None = None

    def headers(self) -> dict[str, str]:
        """The headers of every HTTP request and of every WebSocket upgrade."""
        return {"Authorization": f"Bearer {self.api_key}"} if self.api_key else {}


class Transport(Protocol):
    """One way to the gateway, shared by all calls of a client."""

    def events(self, call: ToolCall) -> AsyncGenerator[Progress | Result, None]:
        """Make the call; yield its progress in order, then its `Result`, last.

        Closing the generator early cancels the call at the gateway. A call is sent again only
        when it surely was not sent before.

        Raises:
            ConnectFailed: no connection came about within `reconnect_for`.
            ConnectionLost: the connection ended before the answer; its fate is unknown.
            GatewayError: the gateway, or something on the way, refused.
            RuntimeError: the transport is closed.
        """

    async def aclose(self) -> None:
        """Close everything; calls in flight end with `ConnectionLost`. Idempotent."""


class Unreachable(ConnectFailed):
    """There is no gateway to be had at this address, however often one tries."""

    retryable = False

    @property
    def reason(self) -> str:
        """The name of the public class."""
        return ConnectFailed.__name__


_REFUSALS = {
    401: "the gateway wants an API key that it knows",
    403: "the gateway does not let this client in",
    429: "the gateway has had too many connections from here",
    503: "the gateway has no room for another connection",
}


def refused_connection(url: str, status: int, after: float | None = None) -> GatewayError:
    """Return the error for an address that answered a WebSocket upgrade with `status`."""
    if status in _REFUSALS:
        return from_status(status, f"{_REFUSALS[status]}: {url} answered {status}", after)
    if status in {502, 504}:  # of a proxy whose gateway is not back yet
        return ConnectFailed(f"{url} answered {status}")
    return Unreachable(f"there is no MCP over WebSocket: {url} answered {status}")


def connect_failed(url: str, exc: BaseException) -> GatewayError:
    """Return the error for a try to connect that ended with `exc`."""
    causes = list(_causes(exc))
    certificate = next((c for c in causes if isinstance(c, ssl.SSLCertVerificationError)), None)
    if certificate is not None:
        return Unreachable(f"the certificate of {url} is not trusted: {certificate.verify_message}")
    if any(isinstance(cause, TimeoutError) for cause in causes):
        return ConnectFailed(f"{url} did not answer in time")
    return ConnectFailed(f"cannot connect to {url}: {causes[-1] or type(causes[-1]).__name__}")


def _causes(exc: BaseException | None) -> list[BaseException]:
    causes: list[BaseException] = []
    while exc is not None and exc not in causes:
        causes.append(exc)
        exc = exc.__cause__ or exc.__context__
    return causes


def refused_request(url: str, status: int, after: float | None = None) -> GatewayError:
    """Return the error for an HTTP answer that is no JSON-RPC message."""
    if status in _REFUSALS:
        return from_status(status, f"{_REFUSALS[status]}: {url} answered {status}", after)
    if status in {404, 405}:
        return Unreachable(f"there is no MCP over HTTP: {url} answered {status}")
    return UpstreamError(f"{url} answered {status} without saying why in MCP's words")


def retry_after(value: str | None) -> float | None:
    """Read a `Retry-After` header in seconds; None for its date form and for anything else."""
    if value is None or not value.strip().isascii() or not value.strip().isdigit():
        return None
    return float(value)
