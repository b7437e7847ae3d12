"""The OpenAI face: the same routes for any client that speaks OpenAI's chat API.

`POST /v1/chat/completions` (plain and streamed), `GET /v1/models` and `GET /v1/models/{id}`.
A provider's answer and its events are passed on as they came; errors have OpenAI's shape.
"""

from __future__ import annotations

import asyncio
import re
from urllib.parse import unquote

import msgspec

from mcp_gateway.errors import GatewayError, NoRoute
from mcp_gateway.protocol.sse import encode_plain
from mcp_gateway.providers.base import StreamEvent
from mcp_gateway.proxy.exchange import Exchange, Face, Operation
from mcp_gateway.server.backend import Engine, Model
from mcp_gateway.server.intake import answer_head, begin_http, error_head, refuse
from mcp_gateway.server.message import EVENT_STREAM, JSON, HTTPRequest
from mcp_gateway.server.responder import Responder
from mcp_gateway.server.stream import EventStream

CHAT_PATH = "/v1/chat/completions"
MODELS_PATH = "/v1/models"
PREFIX = "/v1/"

DONE = b"[DONE]"
_PARAM = re.compile(r"([a-z][a-z_]{0,40}): ")
_WORD = re.compile(r"(?<=[a-z])(?=[A-Z])")
_TYPES = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    429: "rate_limit_error",
}


def error_object(error: GatewayError) -> bytes:
    """An error as OpenAI's clients read it: `{"error": {message, type, param, code}}`."""
    message = str(error)
    status = error.http_status
    named = _PARAM.match(message) if status == 400 else None
    fields = {
        "message": message,
        "type": _TYPES.get(
            status, "invalid_request_error" if 400 <= status < 500 else "server_error"
        ),
        "param": named[1] if named else None,
        "code": _WORD.sub("_", error.reason).lower(),
    }
    return msgspec.json.encode({"error": fields})


class ChatStream:
    """Passes a provider's events on to one client; the `Sink` of its exchange."""

    __slots__ = ("_done", "_events")

    def __init__(self, events: EventStream) -> None:
        self._events = events
        self._done = False

    def send(self, event: StreamEvent) -> None:
        """Pass one event on, but for the end marker, which is sent when the exchange has ended."""
        if event.data == DONE:
            self._done = True
        elif not self._done:
            self._events.send(encode_plain(event.data))

    @property
    def congested(self) -> bool:
        """The client reads slower than the provider writes."""
        return self._events.congested

    async def drained(self) -> None:
        """Return when not congested."""
        await self._events.drained()


class OpenAIFace:
    """The application behind `/v1/`."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._loop = asyncio.get_running_loop()

    async def __call__(self, request: HTTPRequest, responder: Responder) -> None:
        """Answer one request."""
        path, method = request.path, request.method
        if path == CHAT_PATH:
            if method == "POST":
                await self._chat(request, responder)
            else:
                _not_allowed(responder, b"POST")
        elif path == MODELS_PATH or path.startswith(MODELS_PATH + "/"):
            if method in {"GET", "HEAD"}:
                await self._models(request, responder)
            else:
                _not_allowed(responder, b"GET")
        else:
            responder.respond(404, JSON, error_object(NoRoute(f"there is no {path[:128]!r} here")))

    async def _chat(self, request: HTTPRequest, responder: Responder) -> None:
        exchange = self._begin(request, responder, "chat/completions")
        events: EventStream | None = None
        try:
            try:
                call = self._engine.catalog.call_from_openai(request.body)
            except GatewayError as error:
                await refuse(self._engine, exchange, error)
            exchange.operation = Operation.CHAT
            exchange.call = call
            if call.stream:
                events = EventStream(responder, answer_head(exchange, EVENT_STREAM))
                exchange.sink = ChatStream(events)
            answer = await self._engine.handle(exchange)
        except GatewayError as error:
            _fail(exchange, responder, events, error)
            return
        assert answer is not None, "a chat that did not fail has an answer"
        if events is None:
            responder.respond(200, answer_head(exchange), answer.body)
        else:
            events.send(encode_plain(DONE))
            events.finish()

    async def _models(self, request: HTTPRequest, responder: Responder) -> None:
        exchange = self._begin(request, responder, "models")
        exchange.operation = Operation.MODELS
        try:
            await self._engine.handle(exchange)
            models = [_model(model) for model in await self._engine.catalog.models(exchange.client)]
            wanted = unquote(request.path[len(MODELS_PATH) + 1 :])
            if not wanted:
                body = msgspec.json.encode({"object": "list", "data": models})
            else:
                found = next((model for model in models if model["id"] == wanted), None)
                if found is None:
                    raise NoRoute(f"there is no model {wanted[:128]!r} here")
                body = msgspec.json.encode(found)
        except GatewayError as error:
            _fail(exchange, responder, None, error)
            return
        responder.respond(200, answer_head(exchange), body)

    def _begin(self, request: HTTPRequest, responder: Responder, method: str) -> Exchange:
        task = asyncio.current_task()
        assert task is not None, "a listener runs each exchange in a task"
        responder.on_disconnect(task.cancel)
        return begin_http(request, self._engine, self._loop, face=Face.OPENAI, method=method)


def _model(model: Model) -> dict[str, object]:
    return {
        "id": model.id,
        "object": "model",
        "created": model.created,
        "owned_by": model.provider,
    }


def _fail(
    exchange: Exchange, responder: Responder, events: EventStream | None, error: GatewayError
) -> None:
    body = error_object(error)
    if events is not None and events.started:
        # The status has left as 200; OpenAI's clients raise on an event that has `error`.
        events.send(encode_plain(body))
        events.finish()
    else:
        responder.respond(error.http_status, error_head(exchange, error), body)


def _not_allowed(responder: Responder, allowed: bytes) -> None:
    body = error_object(NoRoute(f"only {allowed.decode()} is served here"))
    responder.respond(405, JSON + b"allow: " + allowed + b"\r\n", body)
