"""Every error the gateway raises, and what each one looks like from outside.

A class carries what a client can see of it: the HTTP status, the JSON-RPC code and whether
another try may succeed. Codes -32768 to -32000 belong to JSON-RPC and MCP; the gateway's own
codes lie outside that range and equal the HTTP status, so that 429 means 429 on every face.

```text
GatewayError                          500  -32603
├─ ConfigError                                      never reaches a client
├─ ProtocolError                      400  -32600
│   ├─ LocalProtocolError             500  -32603   our bug
│   ├─ RemoteProtocolError            502  502      the upstream's
│   ├─ InvalidMessage                 400  -32700 / -32600 / -32602
│   │   └─ PayloadTooLarge            413
│   ├─ UnknownMethod                  404  -32601
│   ├─ HeaderMismatch                 400  -32020
│   ├─ MissingClientCapability        400  -32021
│   └─ UnsupportedProtocolVersion     400  -32022
├─ RequestRefused                                   the client may not, or not now
│   ├─ Unauthenticated                401  401
│   ├─ PermissionDenied               403  403
│   ├─ InvalidArguments               400  400      a tool's arguments
│   ├─ RequestCancelled               499  499
│   ├─ NoRoute                        404  404
│   ├─ RateLimited                    429  429
│   └─ Overloaded                     503  503      another try may succeed
├─ UpstreamError                      502  502
│   ├─ ConnectFailed                  502           nothing was sent
│   ├─ ConnectionLost                 502           the fate of the request is unknown
│   ├─ UpstreamTimeout                504
│   ├─ UpstreamRefused                the provider's own status
│   ├─ NoProviderAvailable            503
│   ├─ CircuitOpen                    503
│   └─ PoolError                      503
│       └─ PoolClosed · PoolTimeout (504) · PoolSaturated · Misdirected (421)
└─ DeadlineExceeded                   504  504
```

Messages start lower-case, say what was expected, and carry no secret. Inside `tools/call`, what a
model can act on or its provider did (`InvalidArguments`, `RemoteProtocolError` and the
`UpstreamError` branch) leaves as a result with `isError: true`; everything else is a JSON-RPC
error.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

INTERNAL_ERROR = -32603
PARSE_ERROR = -32700
INVALID_REQUEST = -32600
METHOD_NOT_FOUND = -32601
INVALID_PARAMS = -32602
HEADER_MISMATCH = -32020
MISSING_CLIENT_CAPABILITY = -32021
UNSUPPORTED_PROTOCOL_VERSION = -32022


class GatewayError(Exception):
    """The root of everything raised on purpose.

    Attributes:
        http_status: status on the HTTP and OpenAI faces.
        rpc_code: code of the JSON-RPC error.
        retryable: another try, now or elsewhere, may succeed.
        retry_after: seconds the sender asks to wait before that, where known.
        provider: name of the provider concerned, empty where there is none.
        details: further fields for the client's eyes, JSON-ready, free of secrets.
    """

    http_status: int = 500
    rpc_code: int = INTERNAL_ERROR
    retryable: ClassVar[bool] = False

    def __init__(
        self,
        message: str,
        *,
        provider: str = "",
        retry_after: float | None = None,
        details: Mapping[str, object] | None = None,
    ) -> None:
        super().__init__(message)
        self.provider = provider
        self.retry_after = retry_after
        self.details = details

    @property
    def reason(self) -> str:
        """The class's name: the stable, typed word a program can branch on."""
        return type(self).__name__

    def data(self) -> dict[str, object]:
        """The `data` member of a JSON-RPC error: reason, provider, retryAfter, details."""
        data: dict[str, object] = {"reason": self.reason}
        if self.provider:
            data["provider"] = self.provider
        if self.retry_after is not None:
            data["retryAfter"] = round(self.retry_after, 3)
        if self.details:
            data.update(self.details)
        return data


class ConfigError(GatewayError):
    """A document, a file it names, or a setting is wrong. Exit status 2; the last good stays."""


class ProtocolError(GatewayError):
    """A message broke the rules of its protocol."""

    http_status = 400
    rpc_code = INVALID_REQUEST


class LocalProtocolError(ProtocolError):
    """This side was about to break the rules: a bug here."""

    http_status = 500
    rpc_code = INTERNAL_ERROR


class RemoteProtocolError(ProtocolError):
    """An upstream answered with something that is not its protocol."""

    http_status = 502
    rpc_code = 502


class InvalidMessage(ProtocolError):
    """The client's message cannot be read: not JSON, not JSON-RPC, or wrong parameters.

    `code` tells the three apart (-32700, -32600, -32602).
    """

    def __init__(
        self,
        message: str,
        *,
        code: int = INVALID_REQUEST,
        details: Mapping[str, object] | None = None,
    ) -> None:
        super().__init__(message, details=details)
        self.rpc_code = code


class PayloadTooLarge(InvalidMessage):
    """A body, a frame or a header block is over its bound."""

    http_status = 413


class UnknownMethod(ProtocolError):
    """No such method in the message's era. MCP 2026-07-28 §transports: HTTP 404."""

    http_status = 404
    rpc_code = METHOD_NOT_FOUND


class HeaderMismatch(ProtocolError):
    """A routing header is missing, malformed, or says another thing than the body."""

    rpc_code = HEADER_MISMATCH


class MissingClientCapability(ProtocolError):
    """The request needs a capability that the client did not declare."""

    rpc_code = MISSING_CLIENT_CAPABILITY


class UnsupportedProtocolVersion(ProtocolError):
    """The message names a protocol revision that is not served here."""

    rpc_code = UNSUPPORTED_PROTOCOL_VERSION


class RequestRefused(GatewayError):
    """The message is fine; this client may not, or not now."""

    http_status = 403
    rpc_code = 403


class Unauthenticated(RequestRefused):
    """No credential, or one that is not known here."""

    http_status = 401
    rpc_code = 401


class PermissionDenied(RequestRefused):
    """The credential is known and does not allow this."""


class RequestCancelled(RequestRefused):
    """The client cancelled this request itself. The status is nginx's convention."""

    http_status = 499
    rpc_code = 499


class InvalidArguments(RequestRefused):
    """A tool's arguments, or a chat request's fields, are not of the stated form."""

    http_status = 400
    rpc_code = 400


class NoRoute(RequestRefused):
    """No route matches the request."""

    http_status = 404
    rpc_code = 404


class RateLimited(RequestRefused):
    """The client is over its rate; `retry_after` says when it is not."""

    http_status = 429
    rpc_code = 429
    retryable = True


class Overloaded(RequestRefused):
    """The gateway has no room for this request now."""

    http_status = 503
    rpc_code = 503
    retryable = True


class UpstreamError(GatewayError):
    """A provider, or the way to it, failed."""

    http_status = 502
    rpc_code = 502


class ConnectFailed(UpstreamError):
    """No connection came about; nothing was sent."""

    retryable = True


class ConnectionLost(UpstreamError):
    """The connection ended before the answer did; the fate of the request is unknown.

    Attributes:
        reused: the connection had carried an earlier exchange.
        answered: at least one byte of the answer had arrived.
    """

    def __init__(
        self, message: str, *, provider: str = "", reused: bool = False, answered: bool = False
    ) -> None:
        super().__init__(message, provider=provider)
        self.reused = reused
        self.answered = answered


class UpstreamTimeout(UpstreamError):
    """The provider was silent too long. `phase` is connect, first_byte, idle or total."""

    http_status = 504
    rpc_code = 504

    def __init__(self, message: str, *, phase: str, provider: str = "") -> None:
        super().__init__(message, provider=provider, details={"phase": phase})
        self.phase = phase


class UpstreamRefused(UpstreamError):
    """The provider answered with an error of its own.

    Attributes:
        http_status: the provider's status where it concerns the client's request (400, 404,
            413, 422, 429 and 503), else 502: a provider's 401 is the gateway's trouble, not the
            client's.
        kind: class of the refusal, a word from `providers.base.RefusalKind`.
        code: the provider's own error code or type.
    """

    PASSED_ON: ClassVar[frozenset[int]] = frozenset({400, 404, 413, 422, 429, 503})

    def __init__(
        self,
        message: str,
        *,
        status: int,
        kind: str,
        code: str = "",
        provider: str = "",
        retry_after: float | None = None,
    ) -> None:
        details = {"kind": kind, "status": status, "providerCode": code}
        super().__init__(message, provider=provider, retry_after=retry_after, details=details)
        self.http_status = self.rpc_code = status if status in self.PASSED_ON else 502
        self.kind = kind
        self.code = code


class NoProviderAvailable(UpstreamError):
    """The route matched, and none of its backends can take the request now."""

    http_status = 503
    rpc_code = 503
    retryable = True


class CircuitOpen(UpstreamError):
    """The provider's circuit breaker is open; `retry_after` says until when."""

    http_status = 503
    rpc_code = 503
    retryable = True


class PoolError(UpstreamError):
    """No connection could be lent."""

    http_status = 503
    rpc_code = 503
    retryable = True


class PoolClosed(PoolError):
    """The pool is draining or closed."""


class PoolTimeout(PoolError):
    """A waiter's time ran out before a connection was free."""

    http_status = 504
    rpc_code = 504


class PoolSaturated(PoolError):
    """The pool's wait queue is full: refused at once."""


class Misdirected(PoolError):
    """This process holds no slot of what the request needs; another pod of its gateway may.

    Said between pods, never to a client.
    """

    http_status = 421
    rpc_code = 421


class DeadlineExceeded(GatewayError):
    """The client's own deadline passed."""

    http_status = 504
    rpc_code = 504
