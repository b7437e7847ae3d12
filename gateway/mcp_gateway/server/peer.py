"""The peer port: where other pods of the same gateway have attempts made, by `proxy.hop`.

A port of its own, because everything on it is from a pod that proves itself: TLS with the fleet's
certificate, and the fleet's token in the head of each request, before any of its body is taken.
Whoever does not have the token learns nothing here, not even which paths there are.

What comes in here is never sent on: a request for which this pod holds no slot goes back to the
pod that sent it, which asks another one.

The files of the control folder are followed: a new certificate holds for the next handshake, a
new token for the next request. Pods learn of a new token at different times, so the former one
is good for a little longer.
"""

from __future__ import annotations

import asyncio
import hmac
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from mcp_gateway.api.server import ServerLimits
from mcp_gateway.config.control_folder import ControlFolder
from mcp_gateway.errors import ConfigError, GatewayError, Misdirected, PoolTimeout
from mcp_gateway.protocol import trace_context
from mcp_gateway.protocol.headers import decode_value
from mcp_gateway.protocol.sse import encode_plain
from mcp_gateway.providers.base import ChatAnswer, StreamEvent
from mcp_gateway.providers.completion import DONE
from mcp_gateway.proxy import hop
from mcp_gateway.proxy.account import Account
from mcp_gateway.proxy.exchange import Client, Exchange, Face, Operation
from mcp_gateway.proxy.meters import HopMeters
from mcp_gateway.proxy.middleware import Handler, Middleware
from mcp_gateway.server.listener import HTTPListener
from mcp_gateway.server.message import (
    EVENT_STREAM,
    JSON,
    Bounds,
    HTTPRequest,
    error_body,
)
from mcp_gateway.server.responder import Responder
from mcp_gateway.server.stream import EventStream
from mcp_gateway.server.tls import Certificate

LOGGER = logging.getLogger(__name__)

MAX_CONNECTIONS: Final = 4096
"""Each hop that waits here holds one; a pod opens at most 256."""
FRAMING: Final = 8 << 10
"""Bytes by which a request may grow on its way between pods: another model's name in it."""
FORMER: Final = 120.0
"""Seconds for which the former token is good: the kubelet takes up to a minute to write a new
one, at another moment on each node."""
_UNKNOWN: Final = (401, "not for you")


class TokenGuard:
    """Knows the fleet's token, and for a little while the one before.

    Args:
        folder: holds it.
        clock: monotonic seconds.

    Raises:
        ConfigError: it cannot be read.
    """

    def __init__(self, folder: ControlFolder, clock: Callable[[], float] = time.monotonic) -> None:
        self._folder = folder
        self._clock = clock
        self._token = folder.read_token().encode()
        self._former = b""
        self._former_until = 0.0

    def reload(self) -> None:
        """Read the token again; the one that is known stays where it cannot be read."""
        try:
            token = self._folder.read_token().encode()
        except ConfigError as exc:
            LOGGER.error("token not reloaded", extra={"fields": {"error": str(exc)}})
            return
        if token != self._token:
            self._former, self._former_until = self._token, self._clock() + FORMER
            self._token = token

    def admit(self, fields: Mapping[bytes, bytes]) -> tuple[int, str] | None:
        """Judge a request's head: None where it shows a token that is good."""
        scheme, _, given = fields.get(b"authorization", b"").partition(b" ")
        given = given.strip()
        # Both are compared, always: how long it takes tells nothing.
        current = hmac.compare_digest(given, self._token)
        former = hmac.compare_digest(given, self._former) and bool(self._former)
        if scheme.lower() != b"bearer":
            return _UNKNOWN
        if current or (former and self._clock() < self._former_until):
            return None
        return _UNKNOWN


def _untraced(exchange: Exchange, handler: Handler) -> Awaitable[ChatAnswer | None]:
    return handler(exchange)


class PeerPort:
    """Listens for the other pods.

    Args:
        folder: the certificate, its key and the token.
        accounts: those in force, by provider name.
        pod: this pod's name.
        meters: count the hops.
        limits: of the document, which every pod has.
        traced: makes an attempt part of the trace it belongs to.

    Raises:
        ConfigError: a file is missing or wrong.
    """

    def __init__(
        self,
        folder: ControlFolder,
        accounts: Mapping[str, Account],
        *,
        pod: str,
        meters: HopMeters,
        limits: ServerLimits,
        traced: Middleware = _untraced,
    ) -> None:
        self._certificate = Certificate(folder.certificate, folder.key)
        self._guard = TokenGuard(folder)
        face = PeerFace(accounts, pod, meters, traced)
        self._listener = HTTPListener(face, self._bounds(limits), tls=self._certificate.context)

    async def start(self, host: str, port: int) -> None:
        """Listen; port 0 lets the system choose.

        Raises:
            OSError: the address cannot be had.
        """
        await self._listener.start(host, port)

    @property
    def address(self) -> tuple[str, int]:
        """Host and port that are listened on."""
        return self._listener.address

    def reload(self) -> None:
        """Read the certificate and the token again."""
        self._certificate.reload()
        self._guard.reload()

    def apply(self, limits: ServerLimits) -> None:
        """Follow another document."""
        self._listener.bounds = self._bounds(limits)

    async def drain(self, grace: float) -> None:
        """Take no more, and let what is in work end within `grace` seconds."""
        await self._listener.drain(grace)

    async def aclose(self) -> None:
        """Close everything now. Idempotent."""
        await self._listener.aclose()

    def _bounds(self, limits: ServerLimits) -> Bounds:
        return Bounds(
            max_body=max(limits.max_body, limits.max_frame) + FRAMING,
            max_connections=MAX_CONNECTIONS,
            max_in_flight=1,
            admit=self._guard.admit,
        )


class PeerFace:
    """The application of the peer port."""

    def __init__(
        self, accounts: Mapping[str, Account], pod: str, meters: HopMeters, traced: Middleware
    ) -> None:
        self._traced = traced
        self._accounts = accounts
        self._pod = pod
        self._meters = meters
        self._loop = asyncio.get_running_loop()

    async def __call__(self, request: HTTPRequest, responder: Responder) -> None:
        """Answer one request of a pod that has shown the token."""
        provider = hop.provider_of(request.path)
        if not provider or request.method != "POST":
            responder.respond(404, JSON, error_body("there is nothing here", "not_found_error"))
            return
        exchange = self._exchange(request)
        if exchange is None:
            text = "expected a chat, and the headers of a hop"
            responder.respond(400, JSON, error_body(text, "invalid_request_error"))
            return
        task = asyncio.current_task()
        assert task is not None, "a listener runs each exchange in a task"
        responder.on_disconnect(task.cancel)
        exchange.on_send = responder.processing
        patience = hop.read_seconds(request.headers.get(hop.PATIENCE))
        try:
            await self._answer(exchange, provider, patience, request, responder)
        except asyncio.CancelledError:
            self._meters.into("cancelled").add()
            raise

    async def _answer(
        self,
        exchange: Exchange,
        provider: str,
        patience: float | None,
        request: HTTPRequest,
        responder: Responder,
    ) -> None:
        events: EventStream | None = None
        if request.headers.get(b"accept", b"").startswith(hop.EVENTS):
            events = EventStream(responder, EVENT_STREAM)
            exchange.sink = _PassOn(events)
        try:
            answer = await self._attempt(exchange, provider, patience)
        except GatewayError as error:
            elsewhere = isinstance(error, Misdirected)
            self._meters.into("elsewhere" if elsewhere else "failed").add()
            outcome = hop.encode(self._outcome(exchange, error=error))
            if events is not None and events.started:
                _end(events, outcome)
            else:
                responder.respond(error.http_status, JSON, outcome)
            return
        self._meters.into("ok").add()
        outcome = hop.encode(self._outcome(exchange, answer=answer))
        if events is None:
            head = JSON + b"%b: %b\r\n" % (hop.OUTCOME, outcome)
            responder.respond(200, head, answer.body)
        else:
            _end(events, outcome)

    async def _attempt(
        self, exchange: Exchange, provider: str, patience: float | None
    ) -> ChatAnswer:
        account = self._accounts.get(provider)
        call = exchange.call
        assert call is not None, "made with one"
        if account is None or account.holds_nothing(call.model):
            raise Misdirected(f"no slot of {provider[:64]} is held here", provider=provider[:64])
        own = account.spec.pool.acquire_timeout
        waits = own if patience is None else min(own, patience)

        async def attempt(exchange: Exchange) -> ChatAnswer:
            return await account.attempt(exchange, call, call.model, patience=waits)

        try:
            answer = await self._traced(exchange, attempt)
        except PoolTimeout as error:
            # The share went while it waited: somebody else may have it by now.
            if account.holds_nothing(call.model):
                raise Misdirected(str(error), provider=provider) from error
            raise
        assert answer is not None, "an attempt that did not fail has an answer"
        return answer

    def _exchange(self, request: HTTPRequest) -> Exchange | None:
        """The exchange of a hop; None where the request is none."""
        headers = request.headers
        origin = decode_value(headers.get(hop.ORIGIN, b""))
        client = decode_value(headers.get(hop.CLIENT, b""))
        call = hop.read_call(request.body)
        if not origin or not client or call is None:
            return None
        parent = trace_context.traceparent_of(headers.get(b"traceparent", b""))
        state = trace_context.tracestate_of(headers.get(b"tracestate", b"").decode("latin-1"))
        if parent:
            call.context = trace_context.header_lines(parent, state)
        started = self._loop.time()
        left = hop.read_seconds(headers.get(hop.TIMEOUT))
        return Exchange(
            id=headers.get(b"x-request-id", b"").decode("latin-1")[:64],
            face=Face.HTTP,
            method="hop",
            started=started,
            wall=time.time(),
            operation=Operation.CHAT,
            call=call,
            deadline=None if left is None else started + left,
            traceparent=parent,
            tracestate=state,
            origin=origin,
            client=Client(name=client),
        )

    def _outcome(
        self,
        exchange: Exchange,
        *,
        answer: ChatAnswer | None = None,
        error: GatewayError | None = None,
    ) -> hop.Outcome:
        attempt = exchange.attempts[-1] if exchange.attempts else None
        outcome = hop.Outcome(pod=self._pod)
        if attempt is not None:
            outcome.queue, outcome.upstream = attempt.queue, attempt.upstream
            outcome.status = attempt.status
        if answer is not None:
            outcome.prompt_tokens = answer.prompt_tokens
            outcome.completion_tokens = answer.completion_tokens
        if error is not None:
            outcome.error = hop.failure_of(error)
        return outcome


class _PassOn:
    """Writes a provider's events for the pod that asked; the `Sink` of its exchange."""

    __slots__ = ("_events",)

    def __init__(self, events: EventStream) -> None:
        self._events = events

    def send(self, event: StreamEvent) -> None:
        """Pass one event on, but for the end marker: the outcome is the end."""
        if event.data != DONE:
            self._events.send(encode_plain(event.data))

    @property
    def congested(self) -> bool:
        """The other pod reads slower than the provider writes."""
        return self._events.congested

    async def drained(self) -> None:
        """Return when not congested."""
        await self._events.drained()


def _end(events: EventStream, outcome: bytes) -> None:
    events.send(encode_plain(hop.TRAILER + outcome))
    events.finish()
