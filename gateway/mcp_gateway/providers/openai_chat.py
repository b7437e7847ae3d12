"""The core of every provider that speaks the OpenAI chat wire.

One request is a head compiled in advance with the body spliced on. The body is the client's own
bytes wherever nothing in it changes. What a refusal means is one function that a provider's
module replaces.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Mapping, Sequence

import msgspec

from mcp_gateway.errors import RemoteProtocolError
from mcp_gateway.protocol.sse import SSEDecoder
from mcp_gateway.providers import completion, head, refusal
from mcp_gateway.providers.base import (
    ChatAnswer,
    ChatCall,
    ProviderRefused,
    Refusal,
    RefusalKind,
    Sink,
    StreamEvent,
)
from mcp_gateway.providers.credential import Credential
from mcp_gateway.providers.streaming import drained, read_rest
from mcp_gateway.upstream.connection import Connection, Response, StreamedResponse, Timeouts
from mcp_gateway.upstream.endpoint import Endpoint

ERROR_BODY_LIMIT = 256 * 1024
"""Bytes of an error answer that are read from a stream's connection."""

_TRUE = msgspec.Raw(b"true")
_USAGE_WANTED = msgspec.Raw(b'{"include_usage":true}')
_encoder = msgspec.json.Encoder()


class _Heads:
    """The compiled heads of one endpoint, good until `until`."""

    __slots__ = ("chat", "models", "until")

    def __init__(self, endpoint: Endpoint, headers: Mapping[bytes, bytes], until: float) -> None:
        host, path = endpoint.authority, endpoint.base_path
        self.chat = head.compile_post(host, path + "/chat/completions", headers)
        self.models = head.compile_get(host, path + "/models", headers)
        self.until = until


class OpenAIChatProvider:
    """One account of an OpenAI-compatible server.

    Args:
        name: the provider's name in the document.
        credential: what its requests are authorized with.
        clock: wall-clock seconds, for dates in answers and the ends of tokens.
        models: the models to list where the server has no list of its own.
    """

    type = "openai"
    asks_for_usage = True
    """Streams carry the usage only when asked for it."""

    def __init__(
        self,
        name: str,
        credential: Credential,
        *,
        clock: Callable[[], float],
        models: Sequence[str] = (),
    ) -> None:
        self.name = name
        self._credential = credential
        self._clock = clock
        self._models = list(models)
        self._heads: dict[Endpoint, _Heads] = {}

    def classify(self, answer: refusal.ErrorAnswer) -> RefusalKind:
        """What an error answer means here.

        A 429 is frequency unless the body says otherwise (the OpenAI error guide: rate limit,
        tokens, quota), 503 and 529 are overload.
        """
        if answer.code == "insufficient_quota" or answer.type == "insufficient_quota":
            return RefusalKind.QUOTA
        kind = refusal.by_status(answer.status)
        if kind is not RefusalKind.FREQUENCY:
            return kind
        return refusal.kind_of_429(answer)

    def quota_reset(self, answer: refusal.ErrorAnswer) -> float | None:
        """Seconds until a used-up quota is there again, where the answer says so."""
        return refusal.retry_after(answer, RefusalKind.QUOTA)

    async def complete(
        self, connection: Connection, call: ChatCall, model: str, timeouts: Timeouts
    ) -> ChatAnswer:
        """See `Provider.complete`."""
        body = call.body
        if body is None or call.stream or model != call.model:
            body = _body(call, model)
        payload = head.splice(self._heads_of(connection.endpoint).chat, body, call.context)
        response = await connection.exchange(payload, timeouts)
        self._check(response)
        answer = completion.decode_completion(response.body)
        if answer is None:
            raise self._refused(response.status, response.headers, response.body)
        return answer

    async def stream(
        self, connection: Connection, call: ChatCall, model: str, timeouts: Timeouts, sink: Sink
    ) -> ChatAnswer:
        """See `Provider.stream`."""
        ask_usage = self.asks_for_usage and "stream_options" not in call.fields
        body = call.body
        if body is None or not call.stream or ask_usage or model != call.model:
            body = _stream_body(call, model, ask_usage=ask_usage)
        payload = head.splice(self._heads_of(connection.endpoint).chat, body, call.context)
        until = asyncio.get_running_loop().time() + timeouts.total
        response = await connection.stream(payload, timeouts)
        if response.status != 200 or not _is_event_stream(response.headers):
            raise await self._not_a_stream(response)
        try:
            return await _read_stream(response, sink, until, hide_usage=ask_usage)
        except completion.StreamError as exc:
            raise self._refused(response.status, response.headers, exc.body) from exc
        finally:
            # Nothing more is read: what is left must not be taken for the next answer.
            response.close()

    async def models(self, connection: Connection, timeouts: Timeouts) -> list[str]:
        """See `Provider.models`."""
        if self._models:
            return list(self._models)
        payload = self._heads_of(connection.endpoint).models
        response = await connection.exchange(payload, timeouts)
        self._check(response)
        return completion.decode_models(response.body)

    async def ping(self, connection: Connection, timeouts: Timeouts) -> None:
        """See `Provider.ping`."""
        payload = self._heads_of(connection.endpoint).models
        response = await connection.exchange(payload, timeouts)
        if response.status not in (404, 405):
            self._check(response)

    def headers(self) -> Mapping[bytes, bytes]:
        """See `Provider.headers`."""
        return self._credential.headers()[0]

    def _heads_of(self, endpoint: Endpoint) -> _Heads:
        heads = self._heads.get(endpoint)
        if heads is None or (heads.until != math.inf and self._clock() >= heads.until):
            headers, until = self._credential.headers()
            heads = self._heads[endpoint] = _Heads(endpoint, headers, until)
        return heads

    def _check(self, response: Response) -> None:
        if response.status == 200:
            return
        raise self._failure(response.status, response.headers, response.body)

    async def _not_a_stream(self, response: StreamedResponse) -> Exception:
        body = await response.body(ERROR_BODY_LIMIT)
        if response.status != 200:
            return self._failure(response.status, response.headers, body)
        # A JSON object under 200: an error object, or a server that does not stream.
        answer = refusal.read(200, response.headers, body, self._clock())
        if answer.code or answer.type:
            return self._refused(200, response.headers, body)
        return RemoteProtocolError("expected an event stream, got another content type")

    def _failure(self, status: int, headers: Mapping[bytes, bytes], body: bytes) -> Exception:
        if status < 400:
            return RemoteProtocolError(f"expected an answer or an error, got HTTP status {status}")
        return self._refused(status, headers, body)

    def _refused(self, status: int, headers: Mapping[bytes, bytes], body: bytes) -> ProviderRefused:
        answer = refusal.read(status, headers, body, self._clock())
        kind = self.classify(answer)
        return ProviderRefused(
            Refusal(
                kind=kind,
                status=refusal.status_of(answer, kind),
                code=answer.code or answer.type,
                message=refusal.scrub(answer.message, self._credential.secrets),
                retry_after=refusal.retry_after(answer, kind),
                reset_after=self.quota_reset(answer) if kind is RefusalKind.QUOTA else None,
            )
        )


def _body(call: ChatCall, model: str) -> bytes:
    if model == call.model:
        return _encoder.encode(call.fields)
    # An existing key keeps its place, so the client's order survives.
    return _encoder.encode({**call.fields, "model": model})


def _stream_body(call: ChatCall, model: str, *, ask_usage: bool) -> bytes:
    fields: dict[str, object] = {**call.fields, "model": model, "stream": _TRUE}
    if ask_usage:
        fields["stream_options"] = _USAGE_WANTED
    return _encoder.encode(fields)


def _is_event_stream(headers: Mapping[bytes, bytes]) -> bool:
    # Servers in the field leave the type out; only another stated type is a contradiction.
    content_type = headers.get(b"content-type", b"text/event-stream")
    return content_type.lstrip().lower().startswith(b"text/event-stream")


async def _read_stream(
    response: StreamedResponse, sink: Sink, until: float, *, hide_usage: bool
) -> ChatAnswer:
    decoder = SSEDecoder()
    assembly = completion.StreamAssembly()
    ended = False
    while not (ended or assembly.done):
        chunk = await response.read()
        ended = not chunk
        for data in decoder.close() if ended else decoder.feed(chunk):
            event = assembly.add(data)
            if assembly.done:
                break
            if not (hide_usage and completion.usage_only(event)):
                sink.send(event)
        if sink.congested:
            await drained(sink, until)
    if not (assembly.done or assembly.finished):
        raise RemoteProtocolError("expected the stream to end with [DONE], it broke off")
    sink.send(StreamEvent(completion.DONE))
    if assembly.done:
        await read_rest(response)
    return assembly.answer()
