"""Traces of a whole gateway, as a receiver of OTLP gets them."""

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status
from tests.integration.app.documents import document, hello, simulated
from tests.support.eventually import eventually
from tests.support.mcp_request import stateless, stateless_headers
from tests.support.otlp_receiver import Receiver, attributes, otlp_receiver
from tests.support.port import free_port
from tests.support.raw_server import Peer, serving
from websockets.asyncio.client import connect

from mcp_gateway.app import Gateway
from mcp_gateway.errors import ConfigError
from mcp_gateway.recording.archive import Archive

pytestmark = pytest.mark.integration

TRACE, CALLER = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
PARENT = f"00-{TRACE}-{CALLER}-01"
CHAT = {"model": "kimi-k2.6", "messages": [{"role": "user", "content": "Say the secret word"}]}


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with otlp_receiver() as running:
        yield running


def tracing(receiver: Receiver | str, ratio: float = 1.0) -> dict[str, Any]:
    url = receiver if isinstance(receiver, str) else receiver.url
    return {"monitoring": {"tracing": {"otlpEndpoint": url, "sampleRatio": ratio}}}


@asynccontextmanager
async def running(
    *providers: dict[str, Any], **spec: Any
) -> AsyncIterator[tuple[Gateway, httpx.AsyncClient]]:
    async with (
        Gateway(document(*providers, **spec)) as gateway,
        httpx.AsyncClient(trust_env=False, timeout=60.0) as client,
    ):
        yield gateway, client


async def ask(gateway: Gateway, client: httpx.AsyncClient, **more: Any) -> httpx.Response:
    url = gateway.urls["openai"] + "/chat/completions"
    return await client.post(url, json={**CHAT, **more.pop("fields", {})}, **more)


def the(receiver: Receiver, name: str) -> Span:
    (span,) = receiver.named(name)
    return span


def ids(span: Span) -> tuple[str, str, str]:
    return span.trace_id.hex(), span.span_id.hex(), span.parent_span_id.hex()


async def arrived(receiver: Receiver, name: str, count: int = 1) -> None:
    await asyncio.to_thread(receiver.wait, lambda r: len(r.named(name)) >= count)


async def test_a_chat_is_traced_from_its_caller_to_its_provider(receiver: Receiver) -> None:
    heads: list[bytes] = []
    body = json.dumps(
        {
            "model": "kimi-k2.6",
            "choices": [{"message": {"content": "Swordfish."}, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 7, "completion_tokens": 2},
        }
    ).encode()

    async def provider(peer: Peer) -> None:
        while request := await peer.request():
            heads.append(request.partition(b"\r\n\r\n")[0])
            await peer.send(
                b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"
                b"content-length: %d\r\n\r\n%b" % (len(body), body)
            )

    async with serving(provider) as server:
        raw = {
            "name": "raw",
            "type": "kimi",
            "endpoints": [{"url": f"http://127.0.0.1:{server.port}/v1"}],
            "apiKey": {"value": "sk-of-the-account"},
            "models": ["kimi-k2.6"],
        }
        async with running(raw, **tracing(receiver, 0.0)) as (gateway, client):
            headers = {"traceparent": PARENT, "tracestate": "vendor=1"}
            answer = await ask(gateway, client, headers=headers)
            assert answer.status_code == 200
            await arrived(receiver, "chat kimi-k2.6")
    face, attempt = the(receiver, "POST /v1/chat/completions"), the(receiver, "chat kimi-k2.6")
    assert ids(face) == (TRACE, face.span_id.hex(), CALLER)
    assert ids(attempt) == (TRACE, attempt.span_id.hex(), face.span_id.hex())
    assert (face.kind, attempt.kind) == (Span.SPAN_KIND_SERVER, Span.SPAN_KIND_CLIENT)
    assert face.trace_state == attempt.trace_state == "vendor=1"
    (head,) = heads
    assert f"traceparent: 00-{TRACE}-{attempt.span_id.hex()}-01\r\n".encode() in head
    assert b"tracestate: vendor=1" in head
    said = attributes(attempt)
    assert said["gen_ai.provider.name"] == "moonshot_ai"
    assert (said["server.address"], said["server.port"]) == ("127.0.0.1", server.port)
    assert (said["gen_ai.usage.input_tokens"], said["gen_ai.usage.output_tokens"]) == (7, 2)
    assert said["gen_ai.response.finish_reasons"] == ["stop"]
    assert face.start_time_unix_nano <= attempt.start_time_unix_nano
    assert attempt.end_time_unix_nano <= face.end_time_unix_nano
    assert receiver.resources[0]["service.name"] == "test"
    assert set(receiver.paths) == {"/v1/traces"}
    everything = b"".join(receiver.bodies)
    for word in (b"secret word", b"Swordfish", b"sk-of-the-account"):
        assert word not in everything


async def test_a_stream_has_a_span_from_its_first_token_on(receiver: Receiver) -> None:
    async with running(**tracing(receiver)) as (gateway, client):
        await ask(gateway, client, fields={"stream": True})
        await arrived(receiver, "stream")
    attempt, stream = the(receiver, "chat kimi-k2.6"), the(receiver, "stream")
    assert stream.parent_span_id == attempt.span_id
    (event,) = attempt.events
    assert (event.name, event.time_unix_nano) == ("first_token", stream.start_time_unix_nano)
    assert attributes(stream)["gen_ai.response.time_to_first_chunk"] >= 0.0


async def test_mcp_over_http_continues_the_context_of_its_message(receiver: Receiver) -> None:
    async with running(**tracing(receiver, 0.0)) as (gateway, client):
        body = stateless(
            "tools/call",
            {"name": "chat", "arguments": CHAT},
            traceparent=PARENT,
            tracestate="vendor=1",
        )
        headers = [
            *stateless_headers("tools/call", "chat").items(),
            (b"traceparent", f"00-{'1' * 32}-{'2' * 16}-01".encode()),
        ]
        answer = await client.post(gateway.urls["http"], content=body, headers=headers)
        assert answer.status_code == 200
        await arrived(receiver, "tools/call chat")
    span = the(receiver, "tools/call chat")
    assert ids(span)[0::2] == (TRACE, CALLER)
    assert span.trace_state == "vendor=1"
    said = attributes(span)
    assert (said["mcp.method.name"], said["gen_ai.tool.name"]) == ("tools/call", "chat")
    assert said["network.protocol.name"] == "http"


async def test_mcp_over_http_falls_back_to_the_context_of_its_request(receiver: Receiver) -> None:
    async with running(**tracing(receiver, 0.0)) as (gateway, client):
        headers = [*stateless_headers("tools/list").items(), (b"traceparent", PARENT.encode())]
        body = stateless("tools/list")
        answer = await client.post(gateway.urls["http"], content=body, headers=headers)
        assert answer.status_code == 200
        await arrived(receiver, "tools/list")
    assert ids(the(receiver, "tools/list"))[0::2] == (TRACE, CALLER)


async def test_each_message_of_a_websocket_has_its_own_context(receiver: Receiver) -> None:
    other = f"00-{'3' * 32}-{'4' * 16}-01"
    async with running(**tracing(receiver, 0.0)) as (gateway, _):
        url = gateway.urls["websocket"]
        async with connect(url, subprotocols=["mcp"], proxy=None) as socket:  # type: ignore[list-item]
            for parent in (PARENT, other):
                await socket.send(stateless("tools/list", traceparent=parent).decode())
                await asyncio.wait_for(socket.recv(), 60.0)
        await arrived(receiver, "tools/list", 2)
    assert [ids(span)[0::2] for span in receiver.named("tools/list")] == [
        (TRACE, CALLER),
        ("3" * 32, "4" * 16),
    ]
    span = receiver.named("tools/list")[0]
    assert attributes(span)["network.protocol.name"] == "websocket"


async def test_retries_are_attempts_of_one_trace(receiver: Receiver) -> None:
    busy = simulated("kimi", failures=[{"kind": "overload", "ratio": 1.0}])
    retry = {"maxRetries": 2, "backoffFactor": 0.01, "budget": 1.0}
    async with running(busy, retry=retry, **tracing(receiver)) as (gateway, client):
        answer = await ask(gateway, client)
        assert answer.status_code >= 429
        await arrived(receiver, "chat kimi-k2.6", 3)
    face = the(receiver, "POST /v1/chat/completions")
    attempts = receiver.named("chat kimi-k2.6")
    assert len(attempts) == 3
    assert {span.parent_span_id for span in attempts} == {face.span_id}
    assert len({span.span_id for span in attempts}) == 3
    for span in attempts:
        assert span.status.code == Status.STATUS_CODE_ERROR
        assert attributes(span)["error.type"] == "overload"


@pytest.mark.parametrize(("flags", "ratio", "traced"), [("00", 1.0, 0), ("01", 0.0, 1)])
async def test_the_callers_decision_counts_before_the_ratio(
    receiver: Receiver, flags: str, ratio: float, traced: int
) -> None:
    async with running(**tracing(receiver, ratio)) as (gateway, client):
        await ask(gateway, client, headers={"traceparent": PARENT[:-2] + flags})
    # Leaving the gateway flushed what there was.
    assert len(receiver.named("POST /v1/chat/completions")) == traced


@pytest.mark.parametrize(("ratio", "traced"), [(0.0, 0), (1.0, 5)])
async def test_the_ratio_decides_where_a_trace_begins(
    receiver: Receiver, ratio: float, traced: int
) -> None:
    async with running(**tracing(receiver, ratio)) as (gateway, client):
        for _ in range(5):
            await ask(gateway, client)
    assert len(receiver.named("POST /v1/chat/completions")) == traced


async def test_a_reload_switches_traces_on_moves_them_and_switches_them_off(
    receiver: Receiver,
) -> None:
    with otlp_receiver() as second:
        async with running() as (gateway, client):
            await ask(gateway, client)
            await gateway.apply(document(**tracing(receiver)))
            await ask(gateway, client)
            await arrived(receiver, "POST /v1/chat/completions")
            await gateway.apply(document(**tracing(second)))
            await ask(gateway, client)
            await arrived(second, "POST /v1/chat/completions")
            await gateway.apply(document(**tracing(second, 0.0)))
            await ask(gateway, client)
            await gateway.apply(document())
            await ask(gateway, client)
        assert len(receiver.named("POST /v1/chat/completions")) == 1
        assert len(second.named("POST /v1/chat/completions")) == 1


async def test_a_receiver_that_is_down_costs_spans_only() -> None:
    dead = f"http://127.0.0.1:{free_port()}"
    spec = {**tracing(dead), "server": {"shutdownGrace": "1s"}}
    async with asyncio.timeout(90.0), running(**spec) as (gateway, client):
        for _ in range(20):
            assert (await ask(gateway, client)).status_code == 200
    assert b'mcp_gateway_spans_total{outcome="exported"} 0.0' in gateway.metrics()


async def test_a_receiver_that_hangs_costs_spans_only(receiver: Receiver) -> None:
    receiver.hangs.set()
    spec = {**tracing(receiver), "server": {"shutdownGrace": "1s"}}
    async with asyncio.timeout(90.0), running(**spec) as (gateway, client):
        await ask(gateway, client)
        await asyncio.to_thread(receiver.wait, lambda r: len(r.paths) > 0)
        for _ in range(20):
            assert (await ask(gateway, client)).status_code == 200


async def test_what_became_of_spans_is_counted(receiver: Receiver) -> None:
    async with running(**tracing(receiver)) as (gateway, client):
        assert b'mcp_gateway_spans_total{outcome="dropped"} 0.0' in gateway.metrics()
        await ask(gateway, client)
        await arrived(receiver, "chat kimi-k2.6")
        # The server's, the wait for a first connection, and the attempt.
        exported = b'mcp_gateway_spans_total{outcome="exported"} 3.0'
        await eventually(lambda: exported in gateway.metrics())


async def test_without_tracing_there_is_no_metric_of_it_and_no_header_goes_out() -> None:
    heads: list[bytes] = []

    async def provider(peer: Peer) -> None:
        while request := await peer.request():
            heads.append(request.lower())
            await peer.send(b"HTTP/1.1 500 X\r\ncontent-length: 2\r\n\r\n{}")

    async with serving(provider) as server:
        raw = {
            "name": "raw",
            "type": "kimi",
            "endpoints": [{"url": f"http://127.0.0.1:{server.port}/v1"}],
            "apiKey": {"value": "sk-x"},
            "models": ["kimi-k2.6"],
        }
        async with running(raw) as (gateway, client):
            await ask(gateway, client, headers={"traceparent": PARENT})
            assert b"mcp_gateway_spans" not in gateway.metrics()
    assert heads
    assert not [head for head in heads if b"traceparent" in head]


async def test_the_log_and_the_record_lead_to_the_trace(
    receiver: Receiver, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    spec = {**tracing(receiver), "middleware": ["auth", "logging"]}
    async with running(**spec) as (gateway, client):
        await ask(gateway, client)
        await arrived(receiver, "POST /v1/chat/completions")
        await eventually(lambda: len(records(gateway)) == 1)
        (record,) = records(gateway)
    trace_id, span_id, _ = ids(the(receiver, "POST /v1/chat/completions"))
    lines = [json.loads(line) for line in capfdbinary.readouterr().err.splitlines() if line]
    (line,) = [line for line in lines if line.get("message") == "exchange"]
    assert (line["trace_id"], line["span_id"]) == (trace_id, span_id)
    assert record["traceparent"] == f"00-{trace_id}-{span_id}-01"
    assert record["id"] == trace_id


def records(gateway: Gateway) -> list[dict[str, Any]]:
    path = gateway.spool_path
    assert path is not None
    with Archive(path) as archive:
        return archive.find("")


async def test_the_absent_library_is_told_with_the_line_that_installs_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http", None)
    with pytest.raises(ConfigError, match=r"pip install 'mcp-gateway\[tracing\]'"):
        async with Gateway(document(**tracing("http://127.0.0.1:4318")), listen=False):
            pass
    async with Gateway(document(), listen=False) as gateway:
        with pytest.raises(ConfigError, match=r"mcp-gateway\[tracing\]"):
            await gateway.apply(document(**tracing("http://127.0.0.1:4318")))
        assert (await gateway.chat(hello())).content


PROGRAM = """
import asyncio, sys
from tests.integration.app.documents import document, hello
from mcp_gateway.app import Gateway

async def main():
    async with Gateway(document(**eval(sys.argv[1]))) as gateway:
        await gateway.chat(hello())
        print(any(name.split(".")[0] in ("opentelemetry", "requests") for name in sys.modules))

asyncio.run(main())
"""


@pytest.mark.parametrize(
    ("spec", "loaded"), [({}, "False"), (tracing("http://127.0.0.1:9"), "True")]
)
def test_the_library_is_loaded_only_where_traces_are_asked_for(
    spec: dict[str, Any], loaded: str
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, repr({**spec, "server": {"shutdownGrace": "1s"}})],
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stdout.strip() == loaded
