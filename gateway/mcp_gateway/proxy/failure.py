"""What a failed attempt means: for the client, for the retry, and for the provider's account.

One table, so that a new error code is one line here or one line in its provider.
"""

from __future__ import annotations

from dataclasses import dataclass

from mcp_gateway.errors import (
    CircuitOpen,
    ConnectFailed,
    ConnectionLost,
    GatewayError,
    PoolError,
    RemoteProtocolError,
    UpstreamRefused,
    UpstreamTimeout,
)
from mcp_gateway.limits.retry import FailureClass
from mcp_gateway.providers.base import Refusal, RefusalKind


@dataclass(frozen=True, slots=True)
class Verdict:
    """How to go on after a failed attempt.

    Attributes:
        failure: the class that `retry.on` names.
        elsewhere: another provider may be asked, because this one generated nothing and the
            cause is its account's or its own, not the request's.
        outcome: the word for metrics and records.
        counts: the circuit breaker counts it as a failure.
    """

    failure: FailureClass
    elsewhere: bool
    outcome: str
    counts: bool


_REFUSALS: dict[RefusalKind, Verdict] = {
    RefusalKind.CONCURRENCY: Verdict(FailureClass.REFUSED, True, "concurrency", False),
    RefusalKind.FREQUENCY: Verdict(FailureClass.REFUSED, True, "frequency", False),
    RefusalKind.TOKENS: Verdict(FailureClass.REFUSED, True, "tokens", False),
    RefusalKind.QUOTA: Verdict(FailureClass.FATAL, True, "quota", False),
    RefusalKind.OVERLOAD: Verdict(FailureClass.OVERLOAD, True, "overload", True),
    RefusalKind.CREDENTIAL: Verdict(FailureClass.FATAL, True, "credential", True),
    RefusalKind.PERMISSION: Verdict(FailureClass.FATAL, True, "permission", False),
    RefusalKind.MODEL: Verdict(FailureClass.FATAL, False, "model", False),
    RefusalKind.REQUEST: Verdict(FailureClass.FATAL, False, "request", False),
    RefusalKind.SERVER: Verdict(FailureClass.SERVER_ERROR, False, "server", True),
}
_CONNECT = Verdict(FailureClass.CONNECT, True, "connect", True)
_STALE = Verdict(FailureClass.STALE, False, "lost", False)
_TIMEOUT = Verdict(FailureClass.TIMEOUT, False, "timeout", True)
_LOST = Verdict(FailureClass.FATAL, False, "lost", True)
_PROTOCOL = Verdict(FailureClass.FATAL, False, "protocol", True)
# Nothing was sent, so another provider may be asked; waiting here again would only add load.
_NO_ROOM = Verdict(FailureClass.FATAL, True, "", False)


_BY_CLASS: tuple[tuple[type[GatewayError], Verdict], ...] = (
    (ConnectFailed, _CONNECT),
    (UpstreamTimeout, _TIMEOUT),
    (ConnectionLost, _LOST),
    (PoolError, _NO_ROOM),
    (CircuitOpen, _NO_ROOM),
    (RemoteProtocolError, _PROTOCOL),
)


def judge(error: GatewayError) -> Verdict:
    """What `error`, raised by one attempt, means for the next."""
    if isinstance(error, UpstreamRefused):
        return _REFUSALS[RefusalKind(error.kind)]
    if isinstance(error, UpstreamTimeout) and error.phase == "connect":
        return _CONNECT
    if isinstance(error, ConnectionLost) and error.reused and not error.answered:
        return _STALE
    return next((verdict for kind, verdict in _BY_CLASS if isinstance(error, kind)), _LOST)


def refused(refusal: Refusal, provider: str) -> UpstreamRefused:
    """The error a client sees for a provider's refusal."""
    wait = refusal.retry_after if refusal.retry_after is not None else refusal.reset_after
    return UpstreamRefused(
        f"{provider} refused the request ({refusal.kind.value}): {refusal.message}",
        status=refusal.status,
        kind=refusal.kind.value,
        code=refusal.code,
        provider=provider,
        retry_after=wait,
    )
