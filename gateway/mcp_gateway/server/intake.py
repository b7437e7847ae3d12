"""What every door reads of a request besides its message, and adds to every answer."""

from __future__ import annotations

import math
import time
from asyncio import AbstractEventLoop
from typing import NoReturn

from mcp_gateway.errors import GatewayError, InvalidMessage, Unauthenticated
from mcp_gateway.protocol.headers import Headers
from mcp_gateway.protocol.trace_context import traceparent_of
from mcp_gateway.proxy.exchange import Exchange, Face
from mcp_gateway.server.backend import Engine
from mcp_gateway.server.message import JSON, HTTPRequest

MAX_TIMEOUT = 3600.0
"""Seconds a client may ask to wait at most; a longer wish is shortened to this."""
MAX_REQUEST_ID = 128
"""Characters kept of the id a client gives its request."""

_CHALLENGE = b'www-authenticate: Bearer realm="mcp-gateway"\r\n'


def credential_of(headers: Headers) -> str:
    """The bearer token of `Authorization`, or the value of `x-api-key`, or an empty string."""
    authorization = headers.get(b"authorization")
    if authorization is None:
        key = headers.get(b"x-api-key")
        return "" if key is None else key.decode("latin-1")
    scheme, _, token = authorization.partition(b" ")
    return token.strip().decode("latin-1") if scheme.lower() == b"bearer" else ""


def timeout_of(headers: Headers) -> float | None:
    """How long the client waits, by its header `x-request-timeout` (seconds).

    Raises:
        InvalidMessage: the header is not a positive number.
    """
    value = headers.get(b"x-request-timeout")
    if value is None:
        return None
    try:
        seconds = float(value)
    except ValueError:
        seconds = math.nan
    if not seconds > 0:
        raise InvalidMessage("x-request-timeout: expected a positive number of seconds")
    return min(seconds, MAX_TIMEOUT)


def begin(
    engine: Engine, loop: AbstractEventLoop, *, face: Face, method: str, credential: str, peer: str
) -> Exchange:
    """Begin an exchange now."""
    return Exchange(
        id=engine.new_id(),
        face=face,
        method=method,
        started=loop.time(),
        wall=time.time(),
        credential=credential,
        peer=peer,
    )


def begin_http(
    request: HTTPRequest, engine: Engine, loop: AbstractEventLoop, *, face: Face, method: str
) -> Exchange:
    """Begin the exchange of an HTTP request.

    What is wrong with its headers becomes the exchange's `invalid`: it is told when the layers
    have agreed that this client may ask at all.
    """
    headers = request.headers
    exchange = begin(
        engine,
        loop,
        face=face,
        method=method,
        credential=credential_of(headers),
        peer=request.peer,
    )
    try:
        seconds = timeout_of(headers)
    except InvalidMessage as error:
        exchange.invalid = error
    else:
        exchange.deadline = None if seconds is None else exchange.started + seconds
    request_id = headers.get(b"x-request-id")
    if request_id is not None:
        exchange.request_id = request_id[:MAX_REQUEST_ID].decode("latin-1")
    traceparent = headers.get(b"traceparent")
    if traceparent is not None:
        exchange.traceparent = traceparent_of(traceparent)
        exchange.tracestate = headers.get(b"tracestate", b"").decode("latin-1")
    return exchange


async def refuse(engine: Engine, exchange: Exchange, error: GatewayError) -> NoReturn:
    """Refuse a request that is wrong in itself, once the layers had their say.

    Who may not ask at all is told that, and not what is wrong with the question.

    Raises:
        GatewayError: `error`, or what a layer said instead.
    """
    exchange.invalid = error
    await engine.handle(exchange)
    raise error


def answer_head(exchange: Exchange, content_type: bytes = JSON) -> bytes:
    """Header lines of an answer to `exchange`."""
    return content_type + b"x-request-id: " + exchange.id.encode() + b"\r\n"


def error_head(exchange: Exchange, error: GatewayError, content_type: bytes = JSON) -> bytes:
    """Header lines of an error answer: also when to come again, and how to say who one is."""
    head = answer_head(exchange, content_type)
    if error.retry_after is not None:
        # RFC 9110 §10.2.3: whole seconds. Rounded up, or the next try is refused as well.
        head += b"retry-after: %d\r\n" % max(1, math.ceil(error.retry_after))
    if isinstance(error, Unauthenticated):
        head += _CHALLENGE
    return head
