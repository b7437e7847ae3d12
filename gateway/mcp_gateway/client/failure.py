"""A typed error again, from what the wire carries of it.

The gateway sends the name of an error's class as `reason`; here the class is looked up and the
error rebuilt, so that `except RateLimited` works the same on both ends. An error of a newer
gateway, whose class is not known here, becomes the nearest class by its code.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mcp_gateway.errors import (
    ConnectionLost,
    DeadlineExceeded,
    GatewayError,
    HeaderMismatch,
    InvalidArguments,
    InvalidMessage,
    MissingClientCapability,
    NoRoute,
    Overloaded,
    PayloadTooLarge,
    PermissionDenied,
    RateLimited,
    Unauthenticated,
    UnknownMethod,
    UnsupportedProtocolVersion,
    UpstreamError,
    UpstreamRefused,
    UpstreamTimeout,
)


def _tree(root: type[GatewayError]) -> dict[str, type[GatewayError]]:
    found = {root.__name__: root}
    for child in root.__subclasses__():
        found.update(_tree(child))
    return found


# Only the classes of `errors`: whatever else a program derives is its own affair.
_BY_NAME = {
    name: cls
    for name, cls in _tree(GatewayError).items()
    if cls.__module__ == GatewayError.__module__
}

_BY_CODE: Mapping[int, type[GatewayError]] = {
    -32700: InvalidMessage,
    -32600: InvalidMessage,
    -32602: InvalidMessage,
    -32601: UnknownMethod,
    -32020: HeaderMismatch,
    -32021: MissingClientCapability,
    -32022: UnsupportedProtocolVersion,
    400: InvalidArguments,
    401: Unauthenticated,
    403: PermissionDenied,
    404: NoRoute,
    413: PayloadTooLarge,
    429: RateLimited,
    502: UpstreamError,
    503: Overloaded,
    504: DeadlineExceeded,
}


def from_rpc(code: int, message: str, data: object) -> GatewayError:
    """Rebuild the error of a JSON-RPC error object."""
    fields = dict(data) if isinstance(data, Mapping) else {}
    return _build(str(fields.pop("reason", "")), code, message, fields)


def from_tool(error: Mapping[str, Any]) -> GatewayError:
    """Rebuild the error of a tool result: the `error` object of its `structuredContent`."""
    fields = dict(error)
    reason = str(fields.pop("code", ""))
    message = str(fields.pop("message", "the call failed"))
    fields.pop("reason", None)
    return _build(reason, UpstreamError.rpc_code, message, fields)


def from_status(status: int, message: str, retry_after: float | None = None) -> GatewayError:
    """Make an error of an HTTP status that came without a JSON-RPC error.

    Such an answer is of something between here and the gateway, or of the wrong address.
    """
    return _build("", status, message, {"retryAfter": retry_after, "status": status})


def _build(reason: str, code: int, message: str, fields: dict[str, Any]) -> GatewayError:
    provider = str(fields.pop("provider", "") or "")
    after = fields.pop("retryAfter", None)
    retry_after = float(after) if isinstance(after, int | float) else None
    cls = _BY_NAME.get(reason)
    if cls is None:
        cls = _BY_CODE.get(code, GatewayError)
        if reason:
            fields["reason"] = reason
    error = _construct(cls, code, message, provider, fields)
    # The attributes are set here because not every class takes them all.
    error.provider, error.retry_after, error.details = provider, retry_after, fields or None
    return error


def _construct(
    cls: type[GatewayError], code: int, message: str, provider: str, fields: Mapping[str, Any]
) -> GatewayError:
    if issubclass(cls, InvalidMessage):
        return cls(message, code=code)
    if issubclass(cls, UpstreamTimeout):
        return cls(message, phase=str(fields.get("phase", "")))
    if issubclass(cls, UpstreamRefused):
        status = fields.get("status")
        return cls(
            message,
            status=status if isinstance(status, int) else cls.http_status,
            kind=str(fields.get("kind", "")),
            code=str(fields.get("providerCode", "")),
        )
    if issubclass(cls, ConnectionLost):
        return cls(message, provider=provider)
    return cls(message)
