"""One interaction as it is recorded: what happened, when, for whom, and what it cost.

A record is built on the request path and read in another thread, so building it must be
cheap: a struct of plain values, no encoding, no copies. Whoever puts it must not touch it
afterwards.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec


class Try(msgspec.Struct, gc=False, omit_defaults=True):
    """One attempt at one provider.

    Attributes:
        provider, model: who was asked, and for what.
        queue_ms, upstream_ms: waiting for a connection, and on the wire.
        outcome: `ok` or an error's class name.
        status: HTTP status of the provider's answer, 0 where there was none.
        pod: the pod of the gateway that made it, where it was not the one that took the request.
    """

    provider: str
    model: str = ""
    queue_ms: float = 0.0
    upstream_ms: float = 0.0
    outcome: str = "ok"
    status: int = 0
    pod: str = ""


class Record(msgspec.Struct, gc=False, omit_defaults=True):
    """Everything kept about one interaction.

    Milliseconds, here and only here, because these are the names of columns that people read.

    Attributes:
        id: the exchange's id; a record is stored once per id however often it is sent.
        started: seconds since the epoch when the request was read.
        face: the door it came in by: http, websocket, openai, embedded.
        kind: class of the message: request, response, notification, error.
        method, tool: JSON-RPC method, and the tool's name where one was called.
        request_id: the client's own id of the request, as text.
        client: name of the client's key or token; hashed where that is configured.
        route, provider: where it went; empty where it went nowhere.
        asked_model, model: what the client named, and what answered.
        status: HTTP status of the answer on its face.
        error: class name of the error that ended it; empty for a success.
        error_message: the error's text, free of secrets.
        attempts: tries at providers; `tries` holds them one by one where that is of interest.
        queue_ms, upstream_ms, total_ms: where the time went.
        first_token_ms: from the start to the first streamed token; None where none came.
        prompt_tokens, completion_tokens: as the provider counted them.
        finish_reason: the provider's word; empty for a stream that broke.
        streamed: the answer went out in pieces.
        traceparent: W3C trace context: of the gateway's own span where the interaction was traced,
            else as it came in.
        request, response: the bodies as they travelled, JSON, where content is kept. A request
            may come as its fields, still encoded, where nobody put them together yet.
        events: data of each event of a streamed answer, in place of `response`; put together
            to one response off the request path, also when the stream broke in the middle.
        gateway: name of the pod or host; filled in when the record is stored.
    """

    id: str
    started: float
    face: str = ""
    kind: str = "request"
    method: str = ""
    tool: str = ""
    request_id: str = ""
    client: str = ""
    route: str = ""
    provider: str = ""
    asked_model: str = ""
    model: str = ""
    status: int = 0
    error: str = ""
    error_message: str = ""
    attempts: int = 0
    tries: Sequence[Try] = ()
    queue_ms: float = 0.0
    upstream_ms: float = 0.0
    total_ms: float = 0.0
    first_token_ms: float | None = None
    prompt_tokens: int = 0
    completion_tokens: int = 0
    finish_reason: str = ""
    streamed: bool = False
    traceparent: str = ""
    request: bytes | msgspec.Raw | Mapping[str, msgspec.Raw] | None = None
    response: bytes | msgspec.Raw | None = None
    events: Sequence[bytes] | None = None
    gateway: str = ""

    def content_size(self) -> int:
        """Bytes of content it holds on to; 0 for a record of metadata only."""
        size = 0
        if isinstance(self.request, Mapping):
            size = sum(len(memoryview(part)) for part in self.request.values())
        elif self.request is not None:
            size = len(memoryview(self.request))
        if self.response is not None:
            size += len(memoryview(self.response))
        if self.events is not None:
            size += sum(map(len, self.events))
        return size
