"""Which HTTP status carries a JSON-RPC error."""

from __future__ import annotations

from mcp_gateway.errors import (
    INVALID_PARAMS,
    GatewayError,
    InvalidMessage,
    PermissionDenied,
    Unauthenticated,
    UnsupportedProtocolVersion,
)
from mcp_gateway.protocol.versions import Era

_READ_AS_HTTP = (Unauthenticated, PermissionDenied, UnsupportedProtocolVersion, InvalidMessage)


def http_status(error: GatewayError, era: Era) -> int:
    """Return the HTTP status of the answer that carries `error` to a peer of that era.

    In the stateless era it is the error's own: MCP 2026-07-28 §transports gives 400 and 404 to
    its codes. In the handshake era an answered request is 200 whatever it says, because there a
    client reads 404 as the end of its session and drops the body of every other failure; only
    what HTTP itself acts on (credentials, a bad header, an unreadable message) has its status.
    """
    if era is Era.STATELESS:
        return error.http_status
    read_as_http = isinstance(error, _READ_AS_HTTP) and error.rpc_code != INVALID_PARAMS
    return error.http_status if read_as_http else 200
