"""The hop, as bytes: how one pod of a gateway asks another to make an attempt.

```text
POST /v1/providers/NAME/chat           Authorization: Bearer TOKEN
mcp-gateway-hop: ORIGIN POD            mcp-gateway-client: CLIENT
mcp-gateway-patience: SECONDS          mcp-gateway-timeout: SECONDS, if there is a deadline
accept: text/event-stream, if the answer is to be streamed
```

The body is the chat as it goes to the provider. `102 Processing` says that the request is about
to go there: a hop that breaks before it may be made again elsewhere. A whole answer is the
provider's own JSON, with its `Outcome` in a header; a streamed one is the provider's events and,
last, `data: hop:OUTCOME`, which is no JSON and so never a provider's. A failure is an `Outcome`
under the error's status. Times travel as what is left of them: clocks differ.
"""

from __future__ import annotations

import math
from typing import Final

import msgspec

from mcp_gateway import errors
from mcp_gateway.errors import GatewayError
from mcp_gateway.providers.base import ChatCall, RefusalKind

PREFIX: Final = "/v1/providers/"
SUFFIX: Final = "/chat"
ORIGIN: Final = b"mcp-gateway-hop"
CLIENT: Final = b"mcp-gateway-client"
PATIENCE: Final = b"mcp-gateway-patience"
TIMEOUT: Final = b"mcp-gateway-timeout"
OUTCOME: Final = b"mcp-gateway-outcome"
TRAILER: Final = b"hop:"
EVENTS: Final = b"text/event-stream"
MAX_SECONDS: Final = 86_400.0
MAX_MESSAGE: Final = 2_000

_SIMPLE: Final[dict[str, type[GatewayError]]] = {
    kind.__name__: kind
    for kind in (
        errors.ConnectFailed,
        errors.CircuitOpen,
        errors.PoolClosed,
        errors.PoolTimeout,
        errors.PoolSaturated,
        errors.Misdirected,
        errors.DeadlineExceeded,
        errors.RequestCancelled,
        errors.RemoteProtocolError,
        errors.UpstreamError,
    )
}
_KINDS: Final = frozenset(kind.value for kind in RefusalKind)


class Failure(msgspec.Struct, omit_defaults=True):
    """An error, with everything that decides what follows from it.

    Attributes:
        reason: its class's name.
        message: its text, free of secrets.
        retry_after: seconds, as in `GatewayError`.
        status, kind, code: of a provider's refusal.
        phase: of a timeout.
        reused, answered: of a lost connection.
    """

    reason: str
    message: str = ""
    retry_after: float | None = None
    status: int = 0
    kind: str = ""
    code: str = ""
    phase: str = ""
    reused: bool = False
    answered: bool = False


class Outcome(msgspec.Struct, omit_defaults=True):
    """How an attempt went in another pod. Times are seconds.

    Attributes:
        pod: who made it.
        queue, upstream: waited for a connection, and spent on the wire.
        status: of the provider's answer; 0 where there was none.
        prompt_tokens, completion_tokens: as the provider counted them.
        error: why it failed; None where it did not.
    """

    pod: str = ""
    queue: float = 0.0
    upstream: float = 0.0
    status: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    error: Failure | None = None


encode = msgspec.json.Encoder().encode
_outcomes = msgspec.json.Decoder(Outcome)
_fields = msgspec.json.Decoder(dict[str, msgspec.Raw])
_string = msgspec.json.Decoder(str)


def path_of(provider: str) -> str:
    """Where a pod takes hops for a provider."""
    return f"{PREFIX}{provider}{SUFFIX}"


def provider_of(path: str) -> str:
    """The provider in a path of `path_of`; empty for any other path."""
    if not (path.startswith(PREFIX) and path.endswith(SUFFIX)):
        return ""
    return path[len(PREFIX) : -len(SUFFIX)]


def body_of(call: ChatCall, model: str) -> bytes:
    """The chat as it goes to the provider, asked for `model`."""
    if call.body is not None and not call.stream and model == call.model:
        return call.body
    return encode({**call.fields, "model": model})


def read_call(body: bytes) -> ChatCall | None:
    """Read what `body_of` wrote; None for anything else."""
    try:
        fields = _fields.decode(body)
        model = _string.decode(fields["model"])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, KeyError):
        return None
    if not model or "messages" not in fields:
        return None
    return ChatCall(model=model, fields=fields, body=body)


def read_outcome(data: bytes) -> Outcome | None:
    """Read an encoded `Outcome`; None for anything else."""
    try:
        outcome = _outcomes.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    times = (outcome.queue, outcome.upstream)
    return outcome if all(0.0 <= seconds <= MAX_SECONDS for seconds in times) else None


def read_seconds(value: bytes | None) -> float | None:
    """Read a header that tells seconds; None where there is none, or no such number.

    What is over a day reads as a day.
    """
    try:
        seconds = float(value) if value is not None else math.nan
    except ValueError:
        return None
    return min(seconds, MAX_SECONDS) if seconds >= 0.0 else None


def failure_of(error: GatewayError) -> Failure:
    """Describe an error for another pod."""
    failure = Failure(error.reason, str(error)[:MAX_MESSAGE], error.retry_after)
    if isinstance(error, errors.UpstreamRefused):
        details = error.details or {}
        status = details.get("status")
        failure.status = status if isinstance(status, int) else error.http_status
        failure.kind, failure.code = error.kind, error.code
    elif isinstance(error, errors.UpstreamTimeout):
        failure.phase = error.phase
    elif isinstance(error, errors.ConnectionLost):
        failure.reused, failure.answered = error.reused, error.answered
    return failure


def error_of(failure: Failure, provider: str) -> GatewayError:
    """The error that `failure_of` described; one that is not known here is an `UpstreamError`."""
    message, wait = failure.message[:MAX_MESSAGE], failure.retry_after
    if failure.reason == "UpstreamRefused" and failure.kind in _KINDS:
        return errors.UpstreamRefused(
            message,
            status=failure.status,
            kind=failure.kind,
            code=failure.code,
            provider=provider,
            retry_after=wait,
        )
    if failure.reason == "UpstreamTimeout":
        return errors.UpstreamTimeout(message, phase=failure.phase, provider=provider)
    if failure.reason == "ConnectionLost":
        return errors.ConnectionLost(
            message, provider=provider, reused=failure.reused, answered=failure.answered
        )
    kind = _SIMPLE.get(failure.reason, errors.UpstreamError)
    return kind(message, provider=provider, retry_after=wait)
