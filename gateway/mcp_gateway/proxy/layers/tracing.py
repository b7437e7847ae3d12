"""Makes spans of an exchange, where the document asks for traces. There only then, outermost.

Names and attributes are those of OpenTelemetry's semantic conventions for HTTP, MCP and generative
AI; what those do not know begins with `mcp_gateway.`. A span holds no prompt, no answer, no
credential, and no message of an error, because a provider's message may quote the prompt.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Mapping

from mcp_gateway.errors import GatewayError
from mcp_gateway.protocol.inbound import SERVED
from mcp_gateway.providers.base import ChatAnswer
from mcp_gateway.proxy import trace as tracing
from mcp_gateway.proxy.exchange import Exchange, Face, Operation
from mcp_gateway.proxy.middleware import Handler
from mcp_gateway.proxy.outcome import status_code
from mcp_gateway.proxy.trace import Step, Trace, new_span_id
from mcp_gateway.telemetry.tracing import Kind, Span, Tracer, Value

# The registry of `gen_ai.provider.name` has no word for GLM's; one may be made up then.
PROVIDER_NAMES = {"kimi": "moonshot_ai", "glm": "zhipu_ai", "openai": "openai"}

_METHODS = frozenset({"notifications/initialized", "notifications/cancelled"}).union(
    *SERVED.values()
)
OPENING = "websocket/open"
"""The method of the exchange that lets a WebSocket in. No message, so MCP has no word for it."""
_OPENAI_NAMES = {
    "chat/completions": ("POST", "/v1/chat/completions"),
    "models": ("GET", "/v1/models"),
}


class TracingLayer:
    """Begins a trace or continues the caller's, and makes spans when the exchange ends.

    Args:
        tracer: takes the spans, and says how many traces begin here.
        providers: type of each provider of the document, by its name.
    """

    def __init__(self, tracer: Tracer, providers: Mapping[str, str]) -> None:
        self._put = tracer.put
        self._limit = tracer.limit
        self._providers = providers
        self._loop = asyncio.get_running_loop()

    def __call__(self, exchange: Exchange, handler: Handler) -> Awaitable[ChatAnswer | None]:
        """Go on; what is not sampled costs no coroutine."""
        trace = exchange.trace = tracing.begin(exchange, self._limit)
        if not trace.sampled:
            return handler(exchange)
        return self._traced(exchange, trace, handler)

    async def _traced(
        self, exchange: Exchange, trace: Trace, handler: Handler
    ) -> ChatAnswer | None:
        try:
            answer = await handler(exchange)
        except BaseException as error:
            self._put(self._spans(exchange, trace, None, error))
            raise
        self._put(self._spans(exchange, trace, answer, None))
        return answer

    def _spans(
        self,
        exchange: Exchange,
        trace: Trace,
        answer: ChatAnswer | None,
        error: BaseException | None,
    ) -> list[Span]:
        # What `loop.time()` has to be added to, to be the time of day.
        day = exchange.wall - exchange.started
        spans = [_exchange_span(exchange, trace, day + self._loop.time(), error)]
        sent = 0
        for step in trace.steps:
            if not any(step.attempt is attempt for attempt in exchange.attempts):
                continue  # it was taken back: it was made elsewhere
            if step.sent is None or step.attempt.queue > 0.0:
                spans.append(_queue_span(trace, step, day))
            if step.sent is not None:
                whole = answer if step is trace.steps[-1] else None
                span = self._attempt_span(trace, step, day, whole)
                if sent:
                    span.attributes["http.request.resend_count"] = sent
                spans.append(span)
                sent += 1
        if exchange.first_token is not None and spans[-1].kind is Kind.CLIENT:
            spans.append(_stream_span(exchange, trace, spans[-1]))
        return spans

    def _attempt_span(
        self, trace: Trace, step: Step, day: float, answer: ChatAnswer | None
    ) -> Span:
        attempt = step.attempt
        if attempt.pod:
            return _hop_span(trace, step, day)
        kind = self._providers.get(attempt.provider, "")
        attributes: dict[str, Value] = {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": PROVIDER_NAMES.get(kind, kind or attempt.provider),
            "gen_ai.request.model": attempt.model,
            "server.address": step.address,
            "server.port": step.port,
            "mcp_gateway.provider": attempt.provider,
        }
        if attempt.status:
            attributes["http.response.status_code"] = attempt.status
        if attempt.outcome != "ok":
            attributes["error.type"] = attempt.outcome
        elif answer is not None:
            attributes["gen_ai.response.model"] = answer.model or attempt.model
            attributes["gen_ai.usage.input_tokens"] = answer.prompt_tokens
            attributes["gen_ai.usage.output_tokens"] = answer.completion_tokens
            if answer.finish_reason:
                attributes["gen_ai.response.finish_reasons"] = (answer.finish_reason,)
        return Span(
            name=f"chat {attempt.model}",
            kind=Kind.CLIENT,
            trace_id=trace.trace_id,
            span_id=step.span_id,
            parent_id=trace.span_id,
            start=day + (step.sent or step.began),
            end=day + step.ended,
            attributes=attributes,
            state=trace.state,
            failed=attempt.outcome not in {"ok", "cancelled"},
        )


def _exchange_span(
    exchange: Exchange, trace: Trace, end: float, error: BaseException | None
) -> Span:
    attributes: dict[str, Value] = {
        "mcp_gateway.exchange.id": exchange.id,
        "mcp_gateway.client": exchange.client.name,
    }
    name = _face(exchange, attributes)
    if exchange.face is Face.OPENAI:
        attributes["http.response.status_code"] = status_code(error)
    if exchange.route:
        attributes["mcp_gateway.route"] = exchange.route
        attributes["mcp_gateway.attempts"] = len(exchange.attempts)
    if exchange.call is not None:
        attributes["gen_ai.request.model"] = exchange.call.model
    if error is not None:
        attributes["error.type"] = _error_type(error)
    return Span(
        name=name,
        kind=Kind.INTERNAL if exchange.face is Face.EMBEDDED else Kind.SERVER,
        trace_id=trace.trace_id,
        span_id=trace.span_id,
        parent_id=trace.parent_id,
        start=exchange.wall,
        end=end,
        attributes=attributes,
        remote_parent=bool(trace.parent_id),
        state=trace.state,
        failed=status_code(error) >= 500,
    )


def _hop_span(trace: Trace, step: Step, day: float) -> Span:
    """An attempt that another pod made; the spans of the call itself are that pod's."""
    attempt = step.attempt
    attributes: dict[str, Value] = {
        "gen_ai.request.model": attempt.model,
        "server.address": step.address,
        "server.port": step.port,
        "mcp_gateway.provider": attempt.provider,
        "mcp_gateway.hop.pod": attempt.pod,
    }
    if attempt.outcome != "ok":
        attributes["error.type"] = attempt.outcome
    return Span(
        name="hop",
        kind=Kind.CLIENT,
        trace_id=trace.trace_id,
        span_id=step.span_id,
        parent_id=trace.span_id,
        start=day + (step.sent or step.began),
        end=day + step.ended,
        attributes=attributes,
        state=trace.state,
        failed=attempt.outcome not in {"ok", "cancelled"},
    )


def _face(exchange: Exchange, attributes: dict[str, Value]) -> str:
    """Say by which door the request came; the span's name, of few different ones."""
    if exchange.origin:
        attributes["mcp_gateway.hop.origin"] = exchange.origin
        return "hop"
    if exchange.face is Face.OPENAI:
        verb, route = _OPENAI_NAMES.get(exchange.method, ("", exchange.method))
        attributes["http.request.method"] = verb
        attributes["http.route"] = route
        return f"{verb} {route}".strip()
    if exchange.face is Face.EMBEDDED:
        return exchange.method
    attributes["network.protocol.name"] = exchange.face.value
    if exchange.method == OPENING:
        return OPENING
    # What a client makes up must not become a name, nor a value that is looked for.
    method = exchange.method if exchange.method in _METHODS else "_OTHER"
    attributes["mcp.method.name"] = method
    if exchange.request_id:
        attributes["jsonrpc.request.id"] = exchange.request_id
    if exchange.tool and exchange.operation is not Operation.PROTOCOL:
        attributes["gen_ai.operation.name"] = "execute_tool"
        attributes["gen_ai.tool.name"] = exchange.tool
        return f"{method} {exchange.tool}"
    return method


def _queue_span(trace: Trace, step: Step, day: float) -> Span:
    """The wait for a slot and for a turn of the rates; where it was in vain, why."""
    end = step.ended if step.sent is None else step.sent
    attributes: dict[str, Value] = {
        "mcp_gateway.provider": step.attempt.provider,
        "gen_ai.request.model": step.attempt.model,
    }
    if step.sent is None:
        attributes["error.type"] = step.attempt.outcome
    return Span(
        name="queue",
        kind=Kind.INTERNAL,
        trace_id=trace.trace_id,
        span_id=new_span_id(),
        parent_id=trace.span_id,
        start=day + step.began,
        end=day + end,
        attributes=attributes,
        state=trace.state,
        failed=step.sent is None and step.attempt.outcome != "cancelled",
    )


def _stream_span(exchange: Exchange, trace: Trace, attempt: Span) -> Span:
    """From the first token to the last, inside the attempt that streamed."""
    assert exchange.first_token is not None, "asked only about what was streamed"
    first = exchange.wall + exchange.first_token
    since_sent = max(0.0, first - attempt.start)
    attempt.events.append(("first_token", first))
    attempt.attributes["gen_ai.request.stream"] = True
    attempt.attributes["gen_ai.response.time_to_first_chunk"] = since_sent
    return Span(
        name="stream",
        kind=Kind.INTERNAL,
        trace_id=trace.trace_id,
        span_id=new_span_id(),
        parent_id=attempt.span_id,
        start=first,
        end=attempt.end,
        attributes={"gen_ai.response.time_to_first_chunk": since_sent},
        state=trace.state,
        failed=attempt.failed,
    )


def _error_type(error: BaseException) -> str:
    if isinstance(error, GatewayError):
        return error.reason
    return "cancelled" if isinstance(error, asyncio.CancelledError) else type(error).__name__
