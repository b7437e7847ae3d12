"""The trace of a hop: one span where the attempt is asked for, and the rest where it is made."""

import asyncio
from collections.abc import Sequence

from tests.support.fake_transport import settle
from tests.support.scripted_provider import Script, chat_exchange, says
from tests.unit.server.peer import Peer, listening, post

from mcp_gateway.protocol import trace_context
from mcp_gateway.providers.base import ChatAnswer
from mcp_gateway.proxy import hop
from mcp_gateway.proxy.exchange import Attempt, Exchange
from mcp_gateway.proxy.layers.tracing import TracingLayer
from mcp_gateway.proxy.meters import HopMeters
from mcp_gateway.server.peer import PeerFace
from mcp_gateway.telemetry.metrics import Registry
from mcp_gateway.telemetry.tracing import Kind, Span, Tracer
from mcp_gateway.upstream.endpoint import Endpoint

TRACE, CALLER = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
POD_B = Endpoint.parse("https://10.0.0.2:9082")
CHAT = {"model": "kimi-k2", "messages": [{"role": "user", "content": "Hello!"}]}


async def test_the_pod_that_makes_the_attempt_continues_the_trace() -> None:
    batches: list[Sequence[Span]] = []
    layer = TracingLayer(Tracer(batches.append, 0), {"kimi": "kimi"})
    script = Script("kimi", says("Hi."))
    face = PeerFace({"kimi": script.account}, "pod-b", HopMeters(Registry()), layer)
    headers = {
        "mcp-gateway-hop": "pod-a",
        "mcp-gateway-client": "team-a",
        "traceparent": f"00-{TRACE}-{CALLER}-01",
        "x-request-id": "a" * 32,
    }
    async with listening(face) as listener:
        peer = Peer(listener)
        peer.transport.send(post(hop.path_of("kimi"), CHAT, headers))
        await settle()
        await asyncio.sleep(1.0)
        answer = peer.answers()[-1]
    assert answer.status == 200
    (spans,) = batches
    served, made = spans[0], spans[-1]
    assert (served.name, served.kind, served.parent_id) == ("hop", Kind.SERVER, CALLER)
    assert served.attributes["mcp_gateway.hop.origin"] == "pod-a"
    assert served.attributes["mcp_gateway.client"] == "team-a"
    assert (made.name, made.kind, made.parent_id) == ("chat kimi-k2", Kind.CLIENT, served.span_id)
    assert {span.trace_id for span in spans} == {TRACE}
    (request,) = script.requests
    assert f"traceparent: 00-{TRACE}-{made.span_id}-01\r\n".encode() in request


async def test_the_pod_that_asks_says_whom_and_leaves_the_call_to_it() -> None:
    batches: list[Sequence[Span]] = []
    layer = TracingLayer(Tracer(batches.append, trace_context.threshold(1.0)), {"kimi": "kimi"})
    lines: list[bytes] = []

    async def hopping(exchange: Exchange) -> ChatAnswer | None:
        attempt = Attempt("kimi", "kimi-k2", pod="pod-b")
        exchange.attempts.append(attempt)
        assert exchange.trace is not None
        assert exchange.call is not None
        exchange.trace.begin(attempt, exchange.started)
        exchange.trace.send(exchange.call, exchange.started, POD_B)
        lines.append(exchange.call.context)
        await asyncio.sleep(2.0)
        exchange.trace.end(asyncio.get_running_loop().time())
        return ChatAnswer(prompt_tokens=3)

    await layer(chat_exchange(), hopping)
    (spans,) = batches
    server, span = spans
    assert (span.name, span.kind, span.parent_id) == ("hop", Kind.CLIENT, server.span_id)
    assert span.attributes == {
        "gen_ai.request.model": "kimi-k2",
        "server.address": "10.0.0.2",
        "server.port": 9082,
        "mcp_gateway.provider": "kimi",
        "mcp_gateway.hop.pod": "pod-b",
    }
    assert span.end - span.start == 2.0
    assert lines == [f"traceparent: 00-{span.trace_id}-{span.span_id}-01\r\n".encode()]


async def test_an_attempt_that_was_taken_back_leaves_no_span() -> None:
    batches: list[Sequence[Span]] = []
    layer = TracingLayer(Tracer(batches.append, trace_context.threshold(1.0)), {"kimi": "kimi"})

    async def elsewhere(exchange: Exchange) -> ChatAnswer | None:
        attempt = Attempt("kimi", "kimi-k2")
        exchange.attempts.append(attempt)
        assert exchange.trace is not None
        exchange.trace.begin(attempt, exchange.started)
        exchange.trace.end(exchange.started)
        exchange.attempts.pop()
        return ChatAnswer()

    await layer(chat_exchange(), elsewhere)
    ((server,),) = batches
    assert server.kind is Kind.SERVER
