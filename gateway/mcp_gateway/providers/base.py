"""What the gateway asks of a provider: the call, the answer, and the meaning of a refusal.

A provider translates. It never opens a connection, retries or waits: it is handed a lent
connection and one call, and says in these words what came back.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

import msgspec

from mcp_gateway.upstream.connection import Connection, Timeouts


class RefusalKind(Enum):
    """Why a provider refused. Each kind moves another part of the gateway.

    concurrency: the pool's limit; frequency and tokens: a token bucket; quota: the breaker,
    until the stated reset; overload: back off and fail over; the rest: nothing but this call.
    """

    CONCURRENCY = "concurrency"
    FREQUENCY = "frequency"
    TOKENS = "tokens"
    QUOTA = "quota"
    OVERLOAD = "overload"
    CREDENTIAL = "credential"
    PERMISSION = "permission"
    MODEL = "model"
    REQUEST = "request"
    SERVER = "server"


@dataclass(frozen=True, slots=True)
class Refusal:
    """A provider's error answer, understood.

    Attributes:
        kind: what it means here.
        status: HTTP status of the answer.
        code: the provider's own code or type, as text.
        message: the provider's message, bounded to 500 characters, without secrets.
        retry_after: seconds the provider asks to wait, where it says so.
        reset_after: seconds until a quota window ends, where it says so.
    """

    kind: RefusalKind
    status: int
    code: str = ""
    message: str = ""
    retry_after: float | None = None
    reset_after: float | None = None


class ProviderRefused(Exception):
    """Raised by `Provider.complete` and `Provider.stream`: the provider answered with an error."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(f"{refusal.status} {refusal.code}: {refusal.message}")
        self.refusal = refusal


class ChatCall(msgspec.Struct):
    """One chat completion as it travels to a provider.

    Attributes:
        model: the model the client asked for.
        fields: every field of the chat API, still encoded, in the client's order; without
            `provider` and `stream`. Holds `model` and `messages`.
        provider: the provider the client asked for, or empty.
        body: the client's own bytes, where they can be passed on as they are when neither
            model nor stream is rewritten; None where they must be built from `fields`.
        stream: the client wants the answer in pieces.
        context: header lines of the trace it belongs to; empty where there is none.
    """

    model: str
    fields: dict[str, msgspec.Raw]
    provider: str = ""
    body: bytes | None = None
    stream: bool = False
    context: bytes = b""


class StreamEvent(msgspec.Struct):
    """One event of a streamed answer: the provider's bytes and what they say.

    Attributes:
        data: the JSON of the event, without SSE framing (`b"[DONE]"` for the end marker).
        content: text it adds to the answer.
        reasoning: text it adds to the reasoning.
    """

    data: bytes
    content: str = ""
    reasoning: str = ""


class ChatAnswer(msgspec.Struct):
    """A whole answer.

    Attributes:
        body: the provider's JSON as it came; for a stream, empty.
        content: the first choice's text.
        reasoning: the first choice's `reasoning_content`.
        finish_reason: the first choice's.
        tool_calls: the first choice's, still encoded; None where there are none.
        model: as the provider names it.
        prompt_tokens, completion_tokens: its `usage`, 0 where it said none.
    """

    body: bytes = b""
    content: str = ""
    reasoning: str = ""
    finish_reason: str = ""
    tool_calls: msgspec.Raw | None = None
    model: str = ""
    prompt_tokens: int = 0
    completion_tokens: int = 0


class Sink(Protocol):
    """Where the pieces of a streamed answer go: the listener's side of one exchange."""

    def send(self, event: StreamEvent) -> None:
        """Pass one event on to the client. Never blocks."""

    @property
    def congested(self) -> bool:
        """The client reads slower than the provider writes."""

    async def drained(self) -> None:
        """Return when `congested` has become false."""


class Provider(Protocol):
    """One configured provider account."""

    name: str
    type: str

    async def complete(
        self, connection: Connection, call: ChatCall, model: str, timeouts: Timeouts
    ) -> ChatAnswer:
        """Make the call on a lent connection and return the whole answer.

        Raises:
            ProviderRefused: it answered with an error.
            RemoteProtocolError: it answered with something that is not its wire.
            UpstreamError: connection lost or timed out.
        """

    async def stream(
        self, connection: Connection, call: ChatCall, model: str, timeouts: Timeouts, sink: Sink
    ) -> ChatAnswer:
        """Like `complete`, streamed: `sink` gets each event, the return value is the whole.

        Waits for `sink.drained()` between reads while the sink is congested, so a slow client
        slows its provider and not the gateway's memory.
        """

    async def models(self, connection: Connection, timeouts: Timeouts) -> list[str]:
        """The models this account can call, from `GET /models` where the provider has it.

        A list in the document takes its place and nothing is asked.

        Raises:
            ProviderRefused, RemoteProtocolError, UpstreamError: as for `complete`.
        """

    async def ping(self, connection: Connection, timeouts: Timeouts) -> None:
        """Ask for the cheapest thing the provider has, to learn whether it can be called.

        A provider without a list of models counts as well when it says so.

        Raises:
            ProviderRefused, RemoteProtocolError, UpstreamError: as for `complete`.
        """

    def headers(self) -> Mapping[bytes, bytes]:
        """The constant request headers, for tests; never logged."""
