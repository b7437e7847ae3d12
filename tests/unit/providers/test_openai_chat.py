from __future__ import annotations

import asyncio
import json
from typing import Any

import msgspec
import pytest
from tests.unit.providers.scripted import EOF_, Recorder, connection, response, stream

from mcp_gateway.errors import (
    ConnectionLost,
    RemoteProtocolError,
    RequestCancelled,
    UpstreamTimeout,
)
from mcp_gateway.providers.base import ChatCall, ProviderRefused, RefusalKind
from mcp_gateway.providers.credential import RENEW_BEFORE, TOKEN_LIFETIME, BearerKey, SignedToken
from mcp_gateway.providers.glm import GLMProvider
from mcp_gateway.providers.kimi import KimiProvider
from mcp_gateway.providers.openai_chat import OpenAIChatProvider
from mcp_gateway.upstream.connection import Timeouts

TIMEOUTS = Timeouts()
KEY = "sk-very-secret"
ANSWER = json.dumps(
    {
        "model": "kimi-k2.6",
        "choices": [{"message": {"role": "assistant", "content": "Hi"}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 3, "completion_tokens": 1},
    }
).encode()
HELLO = b'{"choices":[{"index":0,"delta":{"content":"Hello"},"finish_reason":null}]}'
STOP = b'{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}'
USAGE = b'{"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":1}}'
DONE = b"[DONE]"


def kimi() -> KimiProvider:
    return KimiProvider("kimi", BearerKey(KEY), clock=lambda: 0.0)


def openai() -> OpenAIChatProvider:
    return OpenAIChatProvider("vllm", BearerKey(KEY), clock=lambda: 0.0)


def call(*, stream: bool = False, body: bytes | None = None, **fields: Any) -> ChatCall:
    fields = {"model": "m", "messages": [{"role": "user", "content": "Hé"}], **fields}
    raw = {name: msgspec.Raw(msgspec.json.encode(value)) for name, value in fields.items()}
    return ChatCall(model=str(fields["model"]), fields=raw, body=body, stream=stream)


def sent_body(written: bytes) -> bytes:
    head, _, body = written.partition(b"\r\n\r\n")
    assert b"content-length: %d" % len(body) in head
    return body


async def test_a_call_is_answered() -> None:
    made, transport = connection([response(ANSWER)])
    answer = await kimi().complete(made, call(), "m", TIMEOUTS)
    assert (answer.content, answer.finish_reason, answer.prompt_tokens) == ("Hi", "stop", 3)
    assert answer.body == ANSWER
    assert transport.written[0].startswith(
        b"POST /v1/chat/completions HTTP/1.1\r\nhost: provider.test\r\n"
    )
    assert made.reusable


async def test_the_clients_own_bytes_are_sent_where_nothing_in_them_changes() -> None:
    own = b'{ "model":"m",  "messages":[] }'
    made, transport = connection([response(ANSWER)])
    await kimi().complete(made, call(body=own), "m", TIMEOUTS)
    assert sent_body(transport.written[0]) == own


async def test_the_clients_own_bytes_are_streamed_where_nothing_in_them_changes() -> None:
    own = b'{ "stream" : true, "model":"m" }'
    made, transport = connection(stream(STOP, DONE))
    await kimi().stream(made, call(body=own, stream=True), "m", TIMEOUTS, Recorder())
    assert sent_body(transport.written[0]) == own


@pytest.mark.parametrize("body", [None, b'{"model":"m","stream":true}'])
async def test_another_model_is_written_in_the_place_of_the_clients(body: bytes | None) -> None:
    made, transport = connection([response(ANSWER)])
    asked = call(body=body, temperature=0.6, stream=body is not None)
    await kimi().complete(made, asked, "other", TIMEOUTS)
    sent = sent_body(transport.written[0])
    assert json.loads(sent)["model"] == "other"
    assert list(json.loads(sent)) == ["model", "messages", "temperature"]
    assert "Hé".encode() in sent


async def test_a_call_that_becomes_a_stream_says_so() -> None:
    made, transport = connection(stream(STOP, DONE))
    await kimi().stream(made, call(body=b'{"model":"m"}'), "m", TIMEOUTS, Recorder())
    assert json.loads(sent_body(transport.written[0]))["stream"] is True


@pytest.mark.parametrize(
    ("status", "body", "kind", "code"),
    [
        (429, {"type": "engine_overloaded_error", "message": "x"}, RefusalKind.OVERLOAD,
         "engine_overloaded_error"),
        (401, {"type": "invalid_authentication_error"}, RefusalKind.CREDENTIAL,
         "invalid_authentication_error"),
        (500, {"message": "x"}, RefusalKind.SERVER, ""),
    ],
)  # fmt: skip
async def test_an_error_answer_is_a_refusal(
    status: int, body: dict[str, str], kind: RefusalKind, code: str
) -> None:
    made, _ = connection([response(json.dumps({"error": body}).encode(), status)])
    with pytest.raises(ProviderRefused) as caught:
        await kimi().complete(made, call(), "m", TIMEOUTS)
    refusal = caught.value.refusal
    assert (refusal.kind, refusal.status, refusal.code) == (kind, status, code)
    assert made.reusable


async def test_an_error_object_under_status_200_is_a_refusal_too() -> None:
    made, _ = connection([response(b'{"error":{"code":"1301","message":"unsafe"}}')])
    provider = GLMProvider("glm", BearerKey(KEY), clock=lambda: 0.0)
    with pytest.raises(ProviderRefused) as caught:
        await provider.complete(made, call(), "m", TIMEOUTS)
    assert caught.value.refusal.kind is RefusalKind.REQUEST
    assert caught.value.refusal.status == 400


async def test_a_refusal_never_repeats_the_key() -> None:
    body = json.dumps({"error": {"message": f"bad key {KEY}"}}).encode()
    made, _ = connection([response(body, 401)])
    with pytest.raises(ProviderRefused) as caught:
        await kimi().complete(made, call(), "m", TIMEOUTS)
    assert KEY not in str(caught.value)


async def test_clocks_of_a_refusal_are_passed_on() -> None:
    error = {"type": "exceeded_current_quota_error", "message": "no balance"}
    body = json.dumps({"error": error}).encode()
    made, _ = connection([response(body, 429, retry_after="90")])
    with pytest.raises(ProviderRefused) as caught:
        await kimi().complete(made, call(), "m", TIMEOUTS)
    assert caught.value.refusal.retry_after == 90.0
    assert caught.value.refusal.reset_after == 90.0


@pytest.mark.parametrize("status", [201, 204, 302])
async def test_a_status_that_is_neither_is_not_the_wire(status: int) -> None:
    made, _ = connection([response(b"" if status == 204 else b"{}", status)])
    with pytest.raises(RemoteProtocolError, match=f"HTTP status {status}"):
        await kimi().complete(made, call(), "m", TIMEOUTS)


async def test_a_stream_passes_each_event_on_and_returns_the_whole() -> None:
    made, _ = connection(stream(HELLO, HELLO, STOP, DONE))
    sink = Recorder()
    answer = await kimi().stream(made, call(stream=True), "m", TIMEOUTS, sink)
    assert answer.content == "HelloHello"
    assert [event.data for event in sink.events] == [HELLO, HELLO, STOP, DONE]
    assert [event.content for event in sink.events] == ["Hello", "Hello", "", ""]
    assert made.reusable


async def test_a_congested_sink_is_waited_for() -> None:
    made, _ = connection(stream(HELLO, STOP, DONE))
    sink = Recorder()
    sink.congested = True
    await kimi().stream(made, call(stream=True), "m", TIMEOUTS, sink)
    assert sink.waited == 1


async def test_a_client_that_never_reads_again_is_given_up() -> None:
    class Stuck(Recorder):
        async def drained(self) -> None:
            await asyncio.get_running_loop().create_future()

    made, _ = connection(stream(HELLO, STOP, DONE))
    sink = Stuck()
    sink.congested = True
    started = asyncio.get_running_loop().time()
    with pytest.raises(RequestCancelled):
        await kimi().stream(made, call(stream=True), "m", TIMEOUTS, sink)
    waited = asyncio.get_running_loop().time() - started
    assert waited == pytest.approx(TIMEOUTS.total, abs=0.1)


async def test_a_stream_that_forgets_its_end_marker_is_given_one() -> None:
    made, _ = connection(stream(HELLO, STOP))
    sink = Recorder()
    answer = await kimi().stream(made, call(stream=True), "m", TIMEOUTS, sink)
    assert answer.finish_reason == "stop"
    assert [event.data for event in sink.events] == [HELLO, STOP, DONE]


async def test_a_last_event_without_its_blank_line_still_counts() -> None:
    head, *rest = stream(HELLO)
    last = b"data: " + STOP
    made, _ = connection([head, rest[0], b"%x\r\n%b\r\n0\r\n\r\n" % (len(last), last)])
    answer = await kimi().stream(made, call(stream=True), "m", TIMEOUTS, Recorder())
    assert answer.finish_reason == "stop"


async def test_a_stream_that_breaks_off_in_order_is_a_failure() -> None:
    made, _ = connection(stream(HELLO))
    sink = Recorder()
    with pytest.raises(RemoteProtocolError, match="broke off"):
        await kimi().stream(made, call(stream=True), "m", TIMEOUTS, sink)
    assert [event.content for event in sink.events] == ["Hello"]


async def test_a_connection_lost_in_a_stream_is_a_failure() -> None:
    made, _ = connection([*stream(HELLO, end=False), EOF_])
    with pytest.raises(ConnectionLost) as caught:
        await kimi().stream(made, call(stream=True), "m", TIMEOUTS, Recorder())
    assert caught.value.answered


async def test_a_stream_that_stalls_is_a_failure() -> None:
    made, _ = connection(stream(HELLO, end=False))
    with pytest.raises(UpstreamTimeout) as caught:
        await kimi().stream(made, call(stream=True), "m", TIMEOUTS, Recorder())
    assert caught.value.phase == "idle"


@pytest.mark.parametrize("event", [b"{", b'{"choices":[{"delta":{"content":7}}]}'])
async def test_garbage_in_a_stream_closes_the_connection(event: bytes) -> None:
    made, transport = connection(stream(HELLO, event, end=False))
    with pytest.raises(RemoteProtocolError):
        await kimi().stream(made, call(stream=True), "m", TIMEOUTS, Recorder())
    assert transport.closed


async def test_an_error_object_in_a_stream_is_a_refusal() -> None:
    error = b'{"error":{"code":"1302","message":"High concurrency"}}'
    made, transport = connection(stream(HELLO, error, end=False))
    provider = GLMProvider("glm", BearerKey(KEY), clock=lambda: 0.0)
    with pytest.raises(ProviderRefused) as caught:
        await provider.stream(made, call(stream=True), "m", TIMEOUTS, Recorder())
    assert caught.value.refusal.kind is RefusalKind.CONCURRENCY
    assert caught.value.refusal.status == 429
    assert transport.closed


async def test_a_stream_may_be_refused_before_it_begins() -> None:
    body = b'{"error":{"type":"engine_overloaded_error"}}'
    made, _ = connection([response(body, 429, content_type="application/json")])
    with pytest.raises(ProviderRefused) as caught:
        await kimi().stream(made, call(stream=True), "m", TIMEOUTS, Recorder())
    assert caught.value.refusal.kind is RefusalKind.OVERLOAD
    assert made.reusable


async def test_an_error_object_in_the_place_of_a_stream_is_a_refusal() -> None:
    body = b'{"error":{"code":"1301"}}'
    made, _ = connection([response(body, content_type="application/json")])
    provider = GLMProvider("glm", BearerKey(KEY), clock=lambda: 0.0)
    with pytest.raises(ProviderRefused):
        await provider.stream(made, call(stream=True), "m", TIMEOUTS, Recorder())


async def test_a_whole_answer_in_the_place_of_a_stream_is_not_the_wire() -> None:
    made, _ = connection([response(ANSWER, content_type="application/json")])
    with pytest.raises(RemoteProtocolError, match="event stream"):
        await kimi().stream(made, call(stream=True), "m", TIMEOUTS, Recorder())


async def test_a_whole_answer_does_not_wait_long_for_the_end_of_the_message() -> None:
    made, transport = connection(stream(HELLO, STOP, DONE, end=False))
    started = asyncio.get_running_loop().time()
    answer = await kimi().stream(made, call(stream=True), "m", TIMEOUTS, Recorder())
    assert answer.content == "Hello"
    assert asyncio.get_running_loop().time() - started < 2.0
    assert transport.closed


async def test_usage_is_asked_for_and_the_extra_event_kept_from_a_client_that_did_not() -> None:
    made, transport = connection(stream(HELLO, STOP, USAGE, DONE))
    sink = Recorder()
    body = b'{"model":"m","stream":true}'
    answer = await openai().stream(made, call(stream=True, body=body), "m", TIMEOUTS, sink)
    assert json.loads(sent_body(transport.written[0]))["stream_options"] == {"include_usage": True}
    assert (answer.prompt_tokens, answer.completion_tokens) == (3, 1)
    assert [event.data for event in sink.events] == [HELLO, STOP, DONE]


async def test_a_client_that_asked_for_usage_gets_its_event() -> None:
    made, _ = connection(stream(STOP, USAGE, DONE))
    sink = Recorder()
    asked = call(stream=True, stream_options={"include_usage": True})
    await openai().stream(made, asked, "m", TIMEOUTS, sink)
    assert [event.data for event in sink.events] == [STOP, USAGE, DONE]


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (429, {"code": "insufficient_quota", "message": "x"}, RefusalKind.QUOTA),
        (429, {"code": "rate_limit_exceeded", "message": "RPM"}, RefusalKind.FREQUENCY),
        (429, {"message": "too many concurrent requests"}, RefusalKind.CONCURRENCY),
        (503, {"message": "x"}, RefusalKind.OVERLOAD),
        (529, {"message": "x"}, RefusalKind.OVERLOAD),
        (404, {"code": "model_not_found"}, RefusalKind.MODEL),
    ],
)  # fmt: skip
async def test_refusals_of_any_compatible_server(
    status: int, body: dict[str, str], kind: RefusalKind
) -> None:
    made, _ = connection([response(json.dumps({"error": body}).encode(), status)])
    with pytest.raises(ProviderRefused) as caught:
        await openai().complete(made, call(), "m", TIMEOUTS)
    assert caught.value.refusal.kind is kind


async def test_models_are_asked_for() -> None:
    made, transport = connection([response(b'{"data":[{"id":"a"},{"id":"b"}]}')])
    assert await kimi().models(made, TIMEOUTS) == ["a", "b"]
    assert transport.written[0].startswith(b"GET /v1/models HTTP/1.1\r\n")
    assert KEY.encode() in transport.written[0]


async def test_models_of_the_document_take_the_place_of_a_list() -> None:
    provider = OpenAIChatProvider("one", BearerKey(None), clock=lambda: 0.0, models=["a"])
    made, transport = connection()
    assert await provider.models(made, TIMEOUTS) == ["a"]
    assert transport.written == []


@pytest.mark.parametrize("status", [200, 404, 405])
async def test_a_provider_that_answers_can_be_called(status: int) -> None:
    made, _ = connection([response(b"{}", status)])
    await kimi().ping(made, TIMEOUTS)


@pytest.mark.parametrize("status", [401, 500, 503])
async def test_a_ping_says_why_not(status: int) -> None:
    made, _ = connection([response(b"{}", status)])
    with pytest.raises(ProviderRefused):
        await kimi().ping(made, TIMEOUTS)


async def test_a_token_is_used_until_shortly_before_its_end_and_then_made_anew() -> None:
    now = [1_790_000_000.0]
    credential = SignedToken("id.secret", lambda: now[0])
    provider = GLMProvider("glm", credential, clock=lambda: now[0])
    made, transport = connection(*[[response(ANSWER)]] * 3)

    async def head_at(seconds: float) -> bytes:
        now[0] = 1_790_000_000.0 + seconds
        await provider.complete(made, call(), "m", TIMEOUTS)
        return transport.written[-1].partition(b"\r\n\r\n")[0]

    first = await head_at(0.0)
    assert await head_at(TOKEN_LIFETIME - RENEW_BEFORE - 1) == first
    assert await head_at(TOKEN_LIFETIME - RENEW_BEFORE) != first


async def test_each_endpoint_has_its_own_head() -> None:
    provider = kimi()
    one, wrote_one = connection([response(ANSWER)], url="https://a.test/v1")
    two, wrote_two = connection([response(ANSWER)], url="http://b.test:8080/x/v1/")
    await provider.complete(one, call(), "m", TIMEOUTS)
    await provider.complete(two, call(), "m", TIMEOUTS)
    assert wrote_one.written[0].startswith(
        b"POST /v1/chat/completions HTTP/1.1\r\nhost: a.test\r\n"
    )
    assert wrote_two.written[0].startswith(
        b"POST /x/v1/chat/completions HTTP/1.1\r\nhost: b.test:8080\r\n"
    )
