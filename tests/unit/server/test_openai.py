from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from tests.support.fake_transport import settle
from tests.support.stand_in_engine import DONE, StandInEngine, piece
from tests.unit.server.peer import Peer, listening, post, request

from mcp_gateway.errors import (
    InvalidArguments,
    NoRoute,
    PermissionDenied,
    PoolTimeout,
    RateLimited,
    Unauthenticated,
    UpstreamRefused,
)
from mcp_gateway.providers.base import StreamEvent
from mcp_gateway.proxy.exchange import Face, Operation
from mcp_gateway.server.openai import OpenAIFace, error_object

CHAT = {"model": "kimi-k2", "messages": [{"role": "user", "content": "Hi"}]}


@asynccontextmanager
async def serving(engine: StandInEngine) -> AsyncIterator[Peer]:
    async with listening(OpenAIFace(engine)) as listener:
        yield Peer(listener)


def chat(headers: dict[str, str] | None = None, **more: Any) -> bytes:
    return post("/v1/chat/completions", CHAT | more, headers)


async def test_a_chat_gets_the_bytes_of_the_provider() -> None:
    engine = StandInEngine()
    async with serving(engine) as peer:
        answer = await peer.ask(chat({"authorization": "Bearer k", "x-request-timeout": "9"}))
        assert (answer.status, answer.body) == (200, engine.answer.body)
        assert len(answer.headers["x-request-id"]) == 32
    (exchange,) = engine.exchanges
    assert (exchange.face, exchange.operation) == (Face.OPENAI, Operation.CHAT)
    assert exchange.credential == "k"
    assert exchange.deadline == exchange.started + 9
    assert exchange.sink is None


async def test_a_stream_passes_the_providers_events_on() -> None:
    engine = StandInEngine()
    engine.events = [piece("Hel"), StreamEvent(b'{\n"x": 1}'), piece("lo"), DONE, piece("late")]
    async with serving(engine) as peer:
        answer = await peer.ask(chat(stream=True))
    assert answer.headers["content-type"] == "text/event-stream"
    assert answer.whole
    assert b"data: " + engine.events[0].data + b"\n\n" in answer.body
    assert b'data: {\ndata: "x": 1}\n\n' in answer.body
    assert answer.events()[-1] == "[DONE]"
    assert len(answer.events()) == 4


async def test_a_stream_whose_provider_forgot_the_end_still_has_one() -> None:
    engine = StandInEngine()
    engine.events = [piece("Hello")]
    async with serving(engine) as peer:
        assert (await peer.ask(chat(stream=True))).events()[-1] == "[DONE]"


async def test_a_stream_that_fails_before_its_first_event_has_a_status() -> None:
    engine = StandInEngine()
    engine.error = PoolTimeout("busy", provider="kimi")
    async with serving(engine) as peer:
        answer = await peer.ask(chat(stream=True))
    assert (answer.status, answer.headers["content-type"]) == (504, "application/json")


async def test_a_stream_that_fails_later_ends_with_an_error_event() -> None:
    engine = StandInEngine()
    engine.events = [piece("Hel")]
    engine.error = PoolTimeout("busy", provider="kimi")
    async with serving(engine) as peer:
        answer = await peer.ask(chat(stream=True))
    assert answer.status == 200
    assert answer.whole
    assert json.loads(answer.events()[-1])["error"]["code"] == "pool_timeout"
    assert "[DONE]" not in answer.events()


async def test_a_slow_reader_slows_the_provider() -> None:
    engine = StandInEngine()
    engine.events = [piece(str(number)) for number in range(20)]
    async with serving(engine) as peer:
        peer.transport.send(chat(stream=True))
        peer.transport.stall()
        await settle()
        assert peer.transport.written == b""
        peer.transport.flow()
        await settle()
        assert len(peer.answers()[0].events()) == 21


@pytest.mark.parametrize(
    ("error", "status", "kind", "code"),
    [
        (Unauthenticated("x"), 401, "authentication_error", "unauthenticated"),
        (PermissionDenied("x"), 403, "permission_error", "permission_denied"),
        (NoRoute("x"), 404, "not_found_error", "no_route"),
        (RateLimited("x", retry_after=2), 429, "rate_limit_error", "rate_limited"),
        (
            UpstreamRefused("x", status=422, kind="request"),
            422,
            "invalid_request_error",
            "upstream_refused",
        ),
        (UpstreamRefused("x", status=500, kind="server"), 502, "server_error", "upstream_refused"),
    ],
)
async def test_errors_have_the_shape_and_status_of_openai(
    error: Any, status: int, kind: str, code: str
) -> None:
    engine = StandInEngine()
    engine.error = error
    async with serving(engine) as peer:
        answer = await peer.ask(chat())
    assert answer.status == status
    assert answer.json() == {"error": {"message": "x", "type": kind, "param": None, "code": code}}
    assert ("retry-after" in answer.headers) == (status == 429)


def test_a_wrong_field_is_named() -> None:
    named = json.loads(error_object(InvalidArguments("messages: expected a list")))["error"]
    assert (named["param"], named["type"]) == ("messages", "invalid_request_error")
    unnamed = json.loads(error_object(InvalidArguments("expected a JSON object: it is not")))
    assert unnamed["error"]["param"] is None


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"model": 1}', b"\xff", b"[" * 100_000])
async def test_what_is_no_chat_request_is_refused_after_the_layers(body: bytes) -> None:
    engine = StandInEngine()
    async with serving(engine) as peer:
        answer = await peer.ask(post("/v1/chat/completions", body))
        assert answer.status == 400
        assert answer.json()["error"]["type"] == "invalid_request_error"
        engine.refuse = lambda exchange: Unauthenticated("who")
        assert (await peer.ask(post("/v1/chat/completions", body))).status == 401


async def test_models_are_listed_and_found() -> None:
    engine = StandInEngine()
    async with serving(engine) as peer:
        listed = (await peer.ask(request("GET", "/v1/models"))).json()
        assert listed["object"] == "list"
        assert listed["data"][0] == {
            "id": "kimi-k2",
            "object": "model",
            "created": 0,
            "owned_by": "kimi",
        }
        found = await peer.ask(request("GET", "/v1/models/moonshot%2Dv1"))
        assert found.json()["id"] == "moonshot-v1"
        missing = await peer.ask(request("GET", "/v1/models/nope"))
        assert (missing.status, missing.json()["error"]["type"]) == (404, "not_found_error")
    assert {exchange.operation for exchange in engine.exchanges} == {Operation.MODELS}


async def test_models_need_a_credential_too() -> None:
    engine = StandInEngine()
    engine.refuse = lambda exchange: Unauthenticated("who")
    async with serving(engine) as peer:
        assert (await peer.ask(request("GET", "/v1/models"))).status == 401


async def test_other_paths_and_methods_are_refused() -> None:
    async with serving(StandInEngine()) as peer:
        assert (await peer.ask(request("GET", "/v1/embeddings"))).status == 404
        assert (await peer.ask(request("GET", "/v1/modelsandmore"))).status == 404
        wrong = await peer.ask(request("GET", "/v1/chat/completions"))
        assert (wrong.status, wrong.headers["allow"]) == (405, "POST")
        wrong = await peer.ask(post("/v1/models", {}))
        assert (wrong.status, wrong.headers["allow"]) == (405, "GET")


async def test_a_client_that_goes_cancels_its_chat() -> None:
    engine = StandInEngine()
    engine.gate = asyncio.Event()
    async with serving(engine) as peer:
        peer.transport.send(chat())
        await settle()
        peer.transport.vanish()
        await settle()
        assert len(engine.cancelled) == 1
