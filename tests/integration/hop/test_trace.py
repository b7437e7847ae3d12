"""One trace over two pods: real processes, a real hop, a receiver of OTLP."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from tests.integration.hop.fleet import CHAT, Fleet, fleet_of
from tests.support.gateway_process import simulator
from tests.support.otlp_receiver import Receiver, attributes, otlp_receiver

pytestmark = pytest.mark.integration

FAST = {
    "latency": {"firstToken": {"median": "10ms"}, "perToken": {"median": "1ms"}},
    "answerTokens": {"median": 5, "sigma": 0.0},
}
TRACE, CALLER = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


def below(spans: list[Span], parent: str, name: str) -> Span:
    """The one span of that name under a span."""
    (found,) = [s for s in spans if s.parent_span_id.hex() == parent and s.name == name]
    return found


async def ask(fleet: Fleet, name: str, flags: str, *, stream: bool) -> None:
    headers = {
        "authorization": f"Bearer {fleet.keys['anna'].key}",
        "traceparent": f"00-{TRACE}-{CALLER}-{flags}",
    }
    url = f"{fleet.pod(name).openai}/chat/completions"
    answer = await fleet.http.post(url, json={**CHAT, "stream": stream}, headers=headers)
    assert answer.status_code == 200, answer.text


def whole(receiver: Receiver) -> bool:
    """Spans of both pods came: each sends its own."""
    return len(receiver.named("hop")) == 2 and len(receiver.named("chat kimi-k2.6")) == 1


async def test_a_hop_is_one_trace_of_two_pods(tmp_path: Path) -> None:
    with otlp_receiver() as receiver, simulator(FAST) as provider:
        tracing = {"tracing": {"otlpEndpoint": receiver.url, "sampleRatio": 1.0}}
        async with fleet_of(2, tmp_path / "pods", provider, monitoring=tracing) as fleet:
            holder, other = fleet.names()
            await fleet.operator.grant({holder: 1})
            await ask(fleet, other, "00", stream=True)  # its caller does not sample: no spans
            await ask(fleet, other, "01", stream=True)
            await asyncio.to_thread(receiver.wait, whole)
    spans = receiver.spans
    assert {span.trace_id.hex() for span in spans} == {TRACE}
    asked = below(spans, CALLER, "POST /v1/chat/completions")
    out = below(spans, asked.span_id.hex(), "hop")
    served = below(spans, out.span_id.hex(), "hop")
    made = below(spans, served.span_id.hex(), "chat kimi-k2.6")
    below(spans, out.span_id.hex(), "stream")  # as the client gets it
    assert (out.kind, served.kind) == (Span.SPAN_KIND_CLIENT, Span.SPAN_KIND_SERVER)
    assert attributes(out)["mcp_gateway.hop.pod"] == holder
    assert attributes(served)["mcp_gateway.hop.origin"] == other
    assert "gen_ai.usage.output_tokens" not in attributes(out)
    assert attributes(made)["gen_ai.usage.output_tokens"] > 0
