import asyncio
from collections.abc import Callable, Sequence

import pytest
from tests.support.fake_upstream import FakeTransport
from tests.support.scripted_provider import (
    Collector,
    Script,
    Step,
    chat_exchange,
    hangs,
    refuses,
    says,
    streams,
)

from mcp_gateway.api import AccountLimits
from mcp_gateway.errors import GatewayError, NoRoute, PoolTimeout, Unauthenticated, UpstreamRefused
from mcp_gateway.limits.retry import RetryBudget, RetryPolicy
from mcp_gateway.protocol import trace_context
from mcp_gateway.providers.base import ChatAnswer
from mcp_gateway.proxy.balancer import Backend, round_robin
from mcp_gateway.proxy.dispatch import Dispatcher
from mcp_gateway.proxy.exchange import Client, Exchange, Face, Operation
from mcp_gateway.proxy.layers.tracing import TracingLayer
from mcp_gateway.proxy.router import Route, Router
from mcp_gateway.telemetry.tracing import Kind, Span, Tracer
from mcp_gateway.upstream.pool import PoolSettings

CALLER = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
OVERLOADED = refuses(429, "engine_overloaded_error", "busy with: tell me about my illness")
WALL = 1_700_000_000.0


class Traced:
    """A dispatcher in the layer, and the spans that come of it."""

    def __init__(self, *scripts: Script, ratio: float = 1.0) -> None:
        backends = tuple(
            Backend(script.account.name, script.account, priority=number)
            for number, script in enumerate(scripts)
        )
        accounts = {script.account.name: script.account for script in scripts}
        self.dispatch = Dispatcher(
            Router([Route("all", (), backends, round_robin)]),
            accounts,
            RetryPolicy(max_retries=3, backoff_factor=0.5),
            RetryBudget(1.0),
        )
        self.batches: list[Sequence[Span]] = []
        tracer = Tracer(self.batches.append, trace_context.threshold(ratio))
        self.layer = TracingLayer(tracer, dict.fromkeys(accounts, "kimi"))

    async def chat(self, exchange: Exchange) -> ChatAnswer | None:
        return await self.layer(exchange, self.dispatch)

    @property
    def spans(self) -> Sequence[Span]:
        (spans,) = self.batches
        return spans

    @property
    def shape(self) -> list[tuple[str, str]]:
        """Each span's name, with its parent's; the root's is the caller's id."""
        names = {span.span_id: span.name for span in self.spans}
        return [(span.name, names.get(span.parent_id, span.parent_id)) for span in self.spans]

    def named(self, name: str) -> list[Span]:
        return [span for span in self.spans if span.name == name]


def after(seconds: float, step: Step) -> Step:
    def later(transport: FakeTransport) -> None:
        asyncio.get_running_loop().call_later(seconds, step, transport)

    return later


def traced(*steps: Step, ratio: float = 1.0, settings: PoolSettings | None = None) -> Traced:
    return Traced(Script("kimi", *steps, settings=settings), ratio=ratio)


async def test_a_chat_is_a_server_span_with_an_attempt_in_it() -> None:
    run = traced(says("Hello!"))
    exchange = chat_exchange(request_id="7", client=Client("team-a"))
    await run.chat(exchange)
    assert run.shape == [("tools/call chat", ""), ("chat kimi-k2", "tools/call chat")]
    server, attempt = run.spans
    assert (server.kind, attempt.kind) == (Kind.SERVER, Kind.CLIENT)
    assert server.trace_id == attempt.trace_id == exchange.id
    assert server.attributes == {
        "mcp.method.name": "tools/call",
        "network.protocol.name": "http",
        "jsonrpc.request.id": "7",
        "gen_ai.operation.name": "execute_tool",
        "gen_ai.tool.name": "chat",
        "gen_ai.request.model": "kimi-k2",
        "mcp_gateway.exchange.id": exchange.id,
        "mcp_gateway.client": "team-a",
        "mcp_gateway.route": "all",
        "mcp_gateway.attempts": 1,
    }
    assert attempt.attributes == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "moonshot_ai",
        "gen_ai.request.model": "kimi-k2",
        "gen_ai.response.model": "kimi-k2",
        "gen_ai.response.finish_reasons": ("stop",),
        "gen_ai.usage.input_tokens": 3,
        "gen_ai.usage.output_tokens": 5,
        "server.address": "provider.test",
        "server.port": 80,
        "http.response.status_code": 200,
        "mcp_gateway.provider": "kimi",
    }
    assert not server.failed
    assert not attempt.failed


async def test_the_callers_trace_goes_on() -> None:
    script = Script("kimi", says("Hello!"))
    run = Traced(script, ratio=0.0)
    exchange = chat_exchange(traceparent=CALLER, tracestate="vendor=1")
    await run.chat(exchange)
    server, attempt = run.spans
    assert server.parent_id == "b7ad6b7169203331"
    assert server.remote_parent
    assert {span.trace_id for span in run.spans} == {"0af7651916cd43dd8448eb211c80319c"}
    assert {span.state for span in run.spans} == {"vendor=1"}
    (request,) = script.requests
    went_out = f"traceparent: 00-{attempt.trace_id}-{attempt.span_id}-01\r\ntracestate: vendor=1"
    assert went_out.encode() in request


async def test_what_is_not_sampled_makes_no_span_and_says_so_to_the_provider() -> None:
    script = Script("kimi", says("Hello!"))
    run = Traced(script, ratio=0.0)
    exchange = chat_exchange()
    await run.chat(exchange)
    assert run.batches == []
    assert exchange.trace is not None
    assert exchange.trace.steps == []
    (request,) = script.requests
    assert f"traceparent: 00-{exchange.id}-{exchange.trace.span_id}-00\r\n".encode() in request


async def test_a_caller_that_does_not_sample_is_followed() -> None:
    run = traced(says("Hello!"))
    await run.chat(chat_exchange(traceparent=CALLER[:-1] + "0"))
    assert run.batches == []


async def test_each_retry_is_an_attempt_of_its_own_and_takes_its_own_context() -> None:
    script = Script("kimi", OVERLOADED, OVERLOADED, says("Hello!"))
    run = Traced(script)
    await run.chat(chat_exchange())
    attempts = run.named("chat kimi-k2")
    assert [each.failed for each in attempts] == [True, True, False]
    assert [each.attributes.get("error.type") for each in attempts] == ["overload"] * 2 + [None]
    assert [each.attributes["http.response.status_code"] for each in attempts] == [429, 429, 200]
    assert [each.attributes.get("http.request.resend_count") for each in attempts] == [None, 1, 2]
    for attempt, request in zip(attempts, script.requests, strict=True):
        assert f"-{attempt.span_id}-01\r\n".encode() in request
    assert run.spans[0].attributes["mcp_gateway.attempts"] == 3
    assert not run.spans[0].failed


async def test_failover_is_two_attempts_at_two_providers() -> None:
    run = Traced(Script("kimi", OVERLOADED), Script("glm", says("Hello!")))
    await run.chat(chat_exchange())
    providers = [span.attributes["mcp_gateway.provider"] for span in run.named("chat kimi-k2")]
    assert providers == ["kimi", "glm"]


async def test_no_word_of_a_prompt_an_answer_or_an_error_is_in_a_span() -> None:
    script = Script("kimi", refuses(400, "invalid_request_error", "not allowed: my illness"))
    run = Traced(script)
    with pytest.raises(UpstreamRefused, match="my illness"):
        await run.chat(chat_exchange(credential="mgw_secret"))
    answered = traced(says("Cogito, ergo sum."))
    await answered.chat(chat_exchange())
    for word in ("illness", "Hello!", "Cogito", "mgw_secret", "sk-test"):
        assert word not in repr([run.spans, answered.spans])
    server, attempt = run.spans
    assert (server.attributes["error.type"], attempt.attributes["error.type"]) == (
        "UpstreamRefused",
        "request",
    )


async def test_a_wait_for_a_slot_is_a_span_before_the_attempt() -> None:
    script = Script(
        "kimi",
        after(2.0, says("1")),
        says("2"),
        limits=AccountLimits(concurrency=1),
    )
    run = Traced(script)
    await asyncio.gather(run.chat(chat_exchange()), run.chat(chat_exchange()))
    (waited,) = [spans for spans in run.batches if len(spans) == 3]
    server, queue, attempt = waited
    assert (queue.name, queue.kind, queue.parent_id) == ("queue", Kind.INTERNAL, server.span_id)
    assert queue.end - queue.start == pytest.approx(2.0, abs=0.01)
    assert attempt.start == queue.end
    assert not queue.failed


async def test_a_wait_in_vain_says_why_and_has_no_attempt() -> None:
    script = Script(
        "kimi",
        hangs,
        limits=AccountLimits(concurrency=1),
        settings=PoolSettings(acquire_timeout=3.0),
    )
    run = Traced(script)
    holder = asyncio.ensure_future(run.chat(chat_exchange()))
    await asyncio.sleep(0)
    with pytest.raises(PoolTimeout):
        await run.chat(chat_exchange())
    assert {span.name for span in run.spans} == {"tools/call chat", "queue"}
    server, *queues = run.spans
    assert server.failed
    assert {queue.attributes["error.type"] for queue in queues} == {"PoolTimeout"}
    assert queues[0].end - queues[0].start == pytest.approx(3.0, abs=0.01)
    holder.cancel()
    with pytest.raises(asyncio.CancelledError):
        await holder


async def test_a_stream_is_a_span_in_its_attempt_from_the_first_token_on() -> None:
    run = traced(streams("Hel", "lo!"))
    await run.chat(chat_exchange(sink=Collector()))
    assert run.shape == [
        ("tools/call chat", ""),
        ("chat kimi-k2", "tools/call chat"),
        ("stream", "chat kimi-k2"),
    ]
    _, attempt, stream = run.spans
    ((event, at),) = attempt.events
    assert (event, at) == ("first_token", stream.start)
    assert attempt.start <= stream.start <= stream.end == attempt.end
    assert attempt.attributes["gen_ai.request.stream"] is True
    assert attempt.attributes["gen_ai.response.time_to_first_chunk"] == stream.start - attempt.start


async def test_a_stream_that_breaks_fails() -> None:
    run = traced(streams("Hel", ends=False))
    with pytest.raises(GatewayError):
        await run.chat(chat_exchange(sink=Collector()))
    assert [span.failed for span in run.spans] == [True, True, True]
    assert run.spans[1].attributes["error.type"] == "lost"


async def test_a_client_that_leaves_is_no_failure() -> None:
    run = traced(hangs)
    task = asyncio.ensure_future(run.chat(chat_exchange()))
    await asyncio.sleep(1.0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    server, attempt = run.spans[0], run.spans[-1]
    assert [server.failed, attempt.failed] == [False, False]
    assert server.attributes["error.type"] == attempt.attributes["error.type"] == "cancelled"
    assert server.end - server.start == pytest.approx(1.0, abs=0.01)


def refuse(error: GatewayError) -> Callable[[Exchange], object]:
    async def handler(_: Exchange) -> ChatAnswer | None:
        raise error

    return handler


@pytest.mark.parametrize(
    ("error", "failed"), [(Unauthenticated("no"), False), (GatewayError("bug"), True)]
)
async def test_only_the_gateways_own_failures_mark_a_server_span(
    error: GatewayError, failed: bool
) -> None:
    run = traced(says("Hello!"))
    with pytest.raises(GatewayError):
        await run.layer(chat_exchange(), refuse(error))  # type: ignore[arg-type]
    (server,) = run.spans
    assert (server.failed, server.attributes["error.type"]) == (failed, error.reason)


async def test_what_a_client_makes_up_becomes_no_name() -> None:
    run = traced(says("Hello!"))
    exchange = Exchange("a" * 32, Face.WEBSOCKET, "x" * 99, 0.0, WALL, tool="drop table")
    with pytest.raises(NoRoute):
        await run.layer(exchange, refuse(NoRoute("there is no such tool")))  # type: ignore[arg-type]
    (server,) = run.spans
    assert server.name == server.attributes["mcp.method.name"] == "_OTHER"
    assert server.attributes["network.protocol.name"] == "websocket"


async def test_the_opening_of_a_websocket_is_no_message() -> None:
    run = traced(says("Hello!"))
    exchange = Exchange("a" * 32, Face.WEBSOCKET, "websocket/open", 0.0, WALL)
    await run.layer(exchange, run.dispatch)
    (server,) = run.spans
    assert server.name == "websocket/open"
    assert "mcp.method.name" not in server.attributes
    assert server.attributes["network.protocol.name"] == "websocket"


async def test_the_openai_face_is_named_by_http() -> None:
    run = traced(says("Hello!"))
    exchange = chat_exchange()
    exchange.face, exchange.method, exchange.tool = Face.OPENAI, "chat/completions", ""
    await run.chat(exchange)
    server = run.spans[0]
    assert server.name == "POST /v1/chat/completions"
    assert server.attributes["http.request.method"] == "POST"
    assert server.attributes["http.route"] == "/v1/chat/completions"
    assert server.attributes["http.response.status_code"] == 200
    assert "mcp.method.name" not in server.attributes


async def test_a_chat_inside_a_program_is_internal() -> None:
    run = traced(says("Hello!"))
    exchange = chat_exchange()
    exchange.face, exchange.method, exchange.operation = Face.EMBEDDED, "chat", Operation.CHAT
    await run.chat(exchange)
    assert (run.spans[0].name, run.spans[0].kind) == ("chat", Kind.INTERNAL)


async def test_times_are_of_the_day() -> None:
    run = traced(after(1.5, says("Hi.")))
    await run.chat(chat_exchange())
    server, attempt = run.spans[0], run.spans[-1]
    assert server.start == WALL
    assert attempt.start >= WALL
    assert attempt.end - attempt.start == pytest.approx(1.5, abs=0.01)
    assert attempt.end <= server.end
