"""One hop on a lent connection: the request out, and back come an answer or a typed error."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Final

from mcp_gateway.errors import (
    ConnectFailed,
    ConnectionLost,
    DeadlineExceeded,
    GatewayError,
    RemoteProtocolError,
    UpstreamTimeout,
)
from mcp_gateway.protocol.headers import encode_value
from mcp_gateway.protocol.sse import MAX_EVENT, SSEDecoder
from mcp_gateway.providers import completion
from mcp_gateway.providers.base import ChatAnswer, ChatCall, Sink, StreamEvent
from mcp_gateway.providers.streaming import drained, read_rest
from mcp_gateway.proxy import hop
from mcp_gateway.proxy.exchange import Attempt, Exchange
from mcp_gateway.upstream.connection import Connection, StreamedResponse, Timeouts

MARGIN: Final = 1.0
"""Seconds that the other pod is given to say by itself that time is up."""
HEARD: Final = 45.0
"""Seconds without a byte after which a streaming pod is given up: it says something every 15."""
ERROR_BODY: Final = 64 << 10


class Unanswered(Exception):
    """The other pod did not take the request; nothing went to the provider."""


class WrongToken(Unanswered):
    """The other pod knows another token, or does not know this one yet."""


@dataclass(frozen=True, slots=True)
class PeerCall:
    """What one hop is made of.

    Attributes:
        provider: its name in the document.
        origin: this pod's name.
        token: proves that this pod is of the fleet.
        timeouts: the provider's.
        patience: seconds that the request may wait for a slot.
    """

    provider: str
    origin: str
    token: str
    timeouts: Timeouts
    patience: float

    async def make(
        self,
        connection: Connection,
        exchange: Exchange,
        call: ChatCall,
        model: str,
        attempt: Attempt,
    ) -> ChatAnswer:
        """Ask the pod that `connection` leads to; `attempt` takes note of how it went.

        Raises:
            Unanswered: nothing went to the provider.
            Misdirected: the same, because the pod holds no slot.
            UpstreamError, RemoteProtocolError, DeadlineExceeded: what it would have been here.
        """
        loop = asyncio.get_running_loop()
        began = loop.time()
        left = None if exchange.deadline is None else exchange.deadline - began
        payload = self._payload(connection, exchange, hop.body_of(call, model), call, left)
        timeouts = self._timeouts(left, streaming=exchange.sink is not None)
        try:
            if exchange.sink is None:
                answer = await self._whole(connection, payload, timeouts, attempt)
            else:
                answer = await self._streamed(
                    connection, payload, timeouts, attempt, sink=exchange.sink
                )
        except ConnectFailed as error:
            raise Unanswered(str(error)) from error
        except ConnectionLost as error:
            if not error.answered:
                # Not even `102 Processing` came: the request has not left the other pod.
                raise Unanswered(str(error)) from error
            raise
        except UpstreamTimeout as error:
            if left is not None and loop.time() >= began + left:
                raise DeadlineExceeded(
                    "the request's deadline passed before the answer was whole"
                ) from error
            raise
        finally:
            if not attempt.upstream:
                attempt.upstream = loop.time() - began
        if isinstance(answer, GatewayError):
            raise answer
        return answer

    # The request.

    def _payload(
        self,
        connection: Connection,
        exchange: Exchange,
        body: bytes,
        call: ChatCall,
        left: float | None,
    ) -> bytes:
        lines = [
            b"POST %b HTTP/1.1" % hop.path_of(self.provider).encode("ascii"),
            b"host: " + connection.endpoint.authority.encode("ascii"),
            b"authorization: Bearer " + self.token.encode("ascii"),
            b"content-type: application/json",
            b"%b: %b" % (hop.ORIGIN, encode_value(self.origin)),
            b"%b: %b" % (hop.CLIENT, encode_value(exchange.client.name)),
            b"%b: %.3f" % (hop.PATIENCE, max(0.0, self.patience)),
            b"x-request-id: " + exchange.id.encode("ascii"),
        ]
        if left is not None:
            lines.append(b"%b: %.3f" % (hop.TIMEOUT, max(0.001, left)))
        if exchange.sink is not None:
            lines.append(b"accept: " + hop.EVENTS)
        head = b"\r\n".join(lines)
        return b"%b\r\n%bcontent-length: %d\r\n\r\n%b" % (head, call.context, len(body), body)

    def _timeouts(self, left: float | None, *, streaming: bool) -> Timeouts:
        """Longer than what the other pod keeps to, so that its own word comes first."""
        total = self.timeouts.total + self.patience + MARGIN
        if left is not None:
            total = min(total, left + MARGIN)
        # A whole answer is silent until it is there.
        silent = min(HEARD, total) if streaming else total
        return Timeouts(first_byte=silent, idle=silent, total=total)

    # The answer.

    async def _whole(
        self, connection: Connection, payload: bytes, timeouts: Timeouts, attempt: Attempt
    ) -> ChatAnswer | GatewayError:
        response = await connection.exchange(payload, timeouts)
        if response.status != 200:
            return self._failure(response.status, response.body, attempt)
        outcome = hop.read_outcome(response.headers.get(hop.OUTCOME, b""))
        answer = completion.decode_completion(response.body)
        if outcome is None or answer is None:
            raise RemoteProtocolError("expected another pod's answer, got something else")
        _note(attempt, outcome)
        return answer

    async def _streamed(
        self,
        connection: Connection,
        payload: bytes,
        timeouts: Timeouts,
        attempt: Attempt,
        *,
        sink: Sink,
    ) -> ChatAnswer | GatewayError:
        until = asyncio.get_running_loop().time() + timeouts.total
        response = await connection.stream(payload, timeouts)
        try:
            if response.status != 200:
                return self._failure(response.status, await response.body(ERROR_BODY), attempt)
            assembly = completion.StreamAssembly()
            outcome = await _pass_on(response, assembly, sink, until)
            _note(attempt, outcome)
            if outcome.error is not None:
                return hop.error_of(outcome.error, self.provider)
            sink.send(StreamEvent(completion.DONE))
            await read_rest(response)
        finally:
            # Nothing more is read: what is left must not be taken for the next answer.
            response.close()
        answer = assembly.answer()
        answer.prompt_tokens = outcome.prompt_tokens
        answer.completion_tokens = outcome.completion_tokens
        return answer

    def _failure(self, status: int, body: bytes, attempt: Attempt) -> GatewayError:
        """What another status than 200 means: what the other pod says of its attempt.

        Raises:
            Unanswered: it made none.
        """
        if status == 401:
            raise WrongToken("the other pod does not know our token")
        outcome = hop.read_outcome(body)
        if outcome is None or outcome.error is None:
            raise Unanswered(f"the other pod answered with HTTP {status}")
        _note(attempt, outcome)
        return hop.error_of(outcome.error, self.provider)


def _note(attempt: Attempt, outcome: hop.Outcome) -> None:
    attempt.queue += outcome.queue
    attempt.upstream = outcome.upstream
    attempt.status = outcome.status
    attempt.pod = outcome.pod or attempt.pod


async def _pass_on(
    response: StreamedResponse, assembly: completion.StreamAssembly, sink: Sink, until: float
) -> hop.Outcome:
    """Send every event to the client as it comes; how it ended."""
    # A line break in an event costs a few bytes of framing on the way between pods.
    decoder = SSEDecoder(2 * MAX_EVENT)
    while chunk := await response.read():
        for data in decoder.feed(chunk):
            if data.startswith(hop.TRAILER):
                outcome = hop.read_outcome(data[len(hop.TRAILER) :])
                if outcome is None:
                    raise RemoteProtocolError("expected an outcome at the end of the stream")
                return outcome
            try:
                sink.send(assembly.add(data))
            except completion.StreamError as exc:
                raise RemoteProtocolError("expected no error object among events") from exc
        if sink.congested:
            await drained(sink, until)
    raise RemoteProtocolError("expected the stream to end with its outcome, it broke off")
