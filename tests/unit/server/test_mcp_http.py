from __future__ import annotations

import asyncio
import gc
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import pytest
from tests.support.fake_transport import settle
from tests.support.stand_in_engine import StandInEngine, piece
from tests.unit.server.peer import Peer, listening, post, request

from mcp_gateway.errors import (
    DeadlineExceeded,
    GatewayError,
    PoolSaturated,
    RateLimited,
    Unauthenticated,
    UpstreamRefused,
)
from mcp_gateway.protocol.jsonrpc import MessageType
from mcp_gateway.proxy.exchange import Exchange, Face, Operation
from mcp_gateway.server.mcp import MCPService
from mcp_gateway.server.mcp_http import MCPOverHTTP

PREFIX = "io.modelcontextprotocol/"
ARGUMENTS = {"model": "kimi-k2", "messages": [{"role": "user", "content": "Hi"}]}


@asynccontextmanager
async def serving(engine: StandInEngine) -> AsyncIterator[Peer]:
    """A client of the MCP endpoint."""
    async with listening(MCPOverHTTP(MCPService(engine))) as listener:
        yield Peer(listener)


def stateless(
    method: str, params: Mapping[str, Any] | None = None, *, identity: int | str = 1, **meta: Any
) -> bytes:
    """A request of 2026-07-28, headers and all."""
    keys = {f"{PREFIX}protocolVersion": "2026-07-28", f"{PREFIX}clientCapabilities": {}, **meta}
    message = {
        "jsonrpc": "2.0",
        "id": identity,
        "method": method,
        "params": {**(params or {}), "_meta": keys},
    }
    headers = {"mcp-protocol-version": "2026-07-28", "mcp-method": method}
    if params and "name" in params:
        headers["mcp-name"] = params["name"]
    return post("/mcp", message, headers)


def handshake(
    method: str,
    params: Mapping[str, Any] | None = None,
    *,
    identity: int | str | None = 1,
    headers: dict[str, str] | None = None,
) -> bytes:
    """A message of 2025-11-25; without an id it is a notification."""
    message: dict[str, Any] = {"jsonrpc": "2.0", "method": method, "params": params or {}}
    if identity is not None:
        message["id"] = identity
    return post("/mcp", message, {"mcp-protocol-version": "2025-11-25", **(headers or {})})


def chat(**more: Any) -> dict[str, Any]:
    return {"name": "chat", "arguments": ARGUMENTS, **more}


async def test_discovery_names_the_server_and_its_revisions() -> None:
    async with serving(StandInEngine()) as peer:
        answer = await peer.ask(stateless("server/discover"))
        result = answer.json()["result"]
        assert result["supportedVersions"] == ["2026-07-28"]
        assert result["_meta"][f"{PREFIX}serverInfo"]["name"] == "mcp-gateway"
        assert len(answer.headers["x-request-id"]) == 32


async def test_a_handshake_is_answered_without_a_session() -> None:
    async with serving(StandInEngine()) as peer:
        params = {
            "protocolVersion": "2025-11-25",
            "capabilities": {},
            "clientInfo": {"name": "c", "version": "1"},
        }
        answer = await peer.ask(handshake("initialize", params))
        assert answer.json()["result"]["protocolVersion"] == "2025-11-25"
        assert "mcp-session-id" not in answer.headers
        done = await peer.ask(handshake("notifications/initialized", identity=None))
        assert (done.status, done.body) == (202, b"")
        assert (await peer.ask(handshake("ping"))).json()["result"] == {}


async def test_tools_are_listed_in_both_eras() -> None:
    async with serving(StandInEngine()) as peer:
        for data in (stateless("tools/list"), handshake("tools/list")):
            tools = (await peer.ask(data)).json()["result"]["tools"]
            assert [tool["name"] for tool in tools] == ["chat", "models"]


async def test_a_chat_is_answered_whole() -> None:
    engine = StandInEngine()
    async with serving(engine) as peer:
        answer = await peer.ask(stateless("tools/call", chat(), identity="a"))
        assert answer.headers["content-type"] == "application/json"
        body = answer.json()
        assert body["id"] == "a"
        assert body["result"]["content"] == [{"type": "text", "text": "Hello!"}]
        assert body["result"]["structuredContent"]["provider"] == "kimi"
    (exchange,) = engine.exchanges
    assert (exchange.face, exchange.method, exchange.tool) == (Face.HTTP, "tools/call", "chat")
    assert exchange.operation is Operation.CHAT
    assert exchange.request_id == "a"
    assert exchange.sink is None


async def test_a_request_leaves_nothing_to_the_garbage_collector() -> None:
    async with serving(StandInEngine()) as peer:
        await peer.ask(stateless("tools/call", chat()))
        gc.collect()
        gc.set_debug(gc.DEBUG_SAVEALL)
        try:
            await peer.ask(stateless("tools/call", chat(), progressToken=1))
            await peer.ask(stateless("tools/call", chat()))
            gc.collect()
            left = {type(thing).__name__ for thing in gc.garbage}
        finally:
            gc.set_debug(0)
            gc.garbage.clear()
        assert not left & {"Responder", "StreamChannel", "Exchange", "Task", "coroutine"}


async def test_models_are_listed_by_a_tool() -> None:
    engine = StandInEngine()
    async with serving(engine) as peer:
        answer = await peer.ask(stateless("tools/call", {"name": "models", "arguments": {}}))
        models = answer.json()["result"]["structuredContent"]["models"]
        assert {"id": "kimi-k2", "provider": "kimi"} in models
    assert engine.exchanges[0].operation is Operation.MODELS


async def test_a_progress_token_brings_the_text_as_it_is_written() -> None:
    engine = StandInEngine()
    engine.events = [piece("Hel"), piece(""), piece("lo!")]
    async with serving(engine) as peer:
        answer = await peer.ask(stateless("tools/call", chat(), progressToken="t"))
        assert answer.headers["content-type"] == "text/event-stream"
        assert answer.whole
    *progress, last = [json.loads(event) for event in answer.events()]
    assert [p["params"]["message"] for p in progress] == ["Hel", "lo!"]
    assert [p["params"]["progress"] for p in progress] == [1, 2]
    assert {p["params"]["progressToken"] for p in progress} == {"t"}
    assert last["result"]["content"][0]["text"] == "Hello!"
    call = engine.exchanges[0].call
    assert call is not None
    assert call.stream


async def test_a_client_that_takes_no_stream_gets_no_progress() -> None:
    engine = StandInEngine()
    engine.events = [piece("Hello!")]
    async with serving(engine) as peer:
        data = handshake(
            "tools/call",
            chat(_meta={"progressToken": 1}),
            headers={"accept": "application/json"},
        )
        answer = await peer.ask(data)
        assert answer.headers["content-type"] == "application/json"
    assert engine.exchanges[0].sink is None


async def test_an_error_before_the_first_event_keeps_its_status() -> None:
    engine = StandInEngine()
    engine.error = RateLimited("slower", retry_after=3.2)
    async with serving(engine) as peer:
        answer = await peer.ask(stateless("tools/call", chat(), progressToken="t"))
        assert answer.status == 429
        assert answer.headers["retry-after"] == "4"
        assert answer.json()["error"]["code"] == 429


async def test_an_error_in_a_stream_ends_it() -> None:
    engine = StandInEngine()
    engine.events = [piece("Hel")]
    engine.error = DeadlineExceeded("too late")
    async with serving(engine) as peer:
        answer = await peer.ask(stateless("tools/call", chat(), progressToken="t"))
        assert answer.status == 200
        assert answer.whole
        assert '"code":504' in answer.events()[-1]


@pytest.mark.parametrize(
    "error",
    [
        PoolSaturated("full", provider="kimi"),
        UpstreamRefused("no", status=429, kind="tokens", provider="kimi", retry_after=2.0),
    ],
)
async def test_a_failure_of_the_provider_is_a_result(error: GatewayError) -> None:
    engine = StandInEngine()
    engine.error = error
    async with serving(engine) as peer:
        for data in (stateless("tools/call", chat()), handshake("tools/call", chat())):
            answer = await peer.ask(data)
            assert answer.status == 200
            result = answer.json()["result"]
            assert result["isError"] is True
            assert result["structuredContent"]["error"]["code"] == error.reason


async def test_wrong_arguments_are_a_result() -> None:
    engine = StandInEngine()
    async with serving(engine) as peer:
        answer = await peer.ask(stateless("tools/call", {"name": "chat", "arguments": {}}))
        assert answer.json()["result"]["isError"] is True
    assert [e.operation for e in engine.exchanges] == [Operation.PROTOCOL]


async def test_an_unknown_tool_is_a_protocol_error() -> None:
    async with serving(StandInEngine()) as peer:
        answer = await peer.ask(stateless("tools/call", {"name": "nope", "arguments": {}}))
        assert (answer.status, answer.json()["error"]["code"]) == (400, -32602)


@pytest.mark.parametrize(
    ("data", "status", "code"),
    [
        (post("/mcp", b"{"), 400, -32700),
        (post("/mcp", b'{"jsonrpc":"2.0","id":1,"method":"\xff"}'), 400, -32700),
        (post("/mcp", b'{"jsonrpc":"2.0","id":1,"method":"ping","params":{"x":NaN}}'), 400, -32700),
        (post("/mcp", b"[" * 100_000), 400, -32700),
        (post("/mcp", [{"jsonrpc": "2.0", "id": 1, "method": "ping"}]), 400, -32600),
        (post("/mcp", {"jsonrpc": "2.0", "id": None, "method": "ping"}), 400, -32600),
        (post("/mcp", {"jsonrpc": "2.0", "id": 1, "method": 7}), 400, -32600),
        (stateless("initialize"), 404, -32601),
        (stateless("no/such"), 404, -32601),
        (handshake("no/such"), 200, -32601),
        (
            post("/mcp", {"jsonrpc": "2.0", "id": 1, "method": "ping"}, {"accept": "text/html"}),
            406,
            -32600,
        ),
        (
            post(
                "/mcp",
                {"jsonrpc": "2.0", "id": 1, "method": "ping"},
                {"content-type": "text/plain"},
            ),
            400,
            -32600,
        ),
    ],
)
async def test_bad_messages_get_the_right_error(data: bytes, status: int, code: int) -> None:
    engine = StandInEngine()
    async with serving(engine) as peer:
        answer = await peer.ask(data)
        assert (answer.status, answer.json()["error"]["code"]) == (status, code)
        assert (await peer.ask(handshake("ping"))).status == 200
    # What cannot be served runs through the layers as well: garbage meets the rate limit.
    assert len(engine.exchanges) == 2


async def test_a_header_that_says_another_thing_than_the_body_is_refused() -> None:
    async with serving(StandInEngine()) as peer:
        data = stateless("tools/list").replace(b"mcp-method: tools/list", b"mcp-method: tools/call")
        answer = await peer.ask(data)
        assert (answer.status, answer.json()["error"]["code"]) == (400, -32020)
        assert answer.json()["id"] == 1


async def test_who_may_not_ask_learns_nothing_else() -> None:
    engine = StandInEngine()
    engine.refuse = lambda exchange: Unauthenticated("who are you")
    async with serving(engine) as peer:
        for data in (
            stateless("tools/list"),
            handshake("tools/list"),
            handshake("notifications/initialized", identity=None),
            stateless("tools/call", {"name": "chat", "arguments": {}}),
            post("/mcp", b"{"),
        ):
            answer = await peer.ask(data)
            assert answer.status == 401
            assert answer.headers["www-authenticate"].startswith("Bearer")
            assert answer.json()["error"]["code"] == 401


@pytest.mark.parametrize("method", ["GET", "DELETE", "PUT", "HEAD"])
async def test_only_post_is_served(method: str) -> None:
    async with serving(StandInEngine()) as peer:
        if method == "HEAD":
            peer.transport.send(request(method, "/mcp"))
            await settle()
            assert peer.transport.take().startswith(b"HTTP/1.1 405 ")
            return
        answer = await peer.ask(request(method, "/mcp"))
        assert (answer.status, answer.headers["allow"]) == (405, "POST")


async def test_a_client_that_goes_cancels_its_stateless_request() -> None:
    engine = StandInEngine()
    engine.gate = asyncio.Event()
    async with serving(engine) as peer:
        peer.transport.send(stateless("tools/call", chat()))
        await settle()
        peer.transport.vanish()
        await settle()
        assert engine.cancelled == [engine.exchanges[0].id]


async def test_a_client_that_goes_does_not_cancel_in_the_handshake_era() -> None:
    engine = StandInEngine()
    engine.gate = asyncio.Event()
    async with listening(MCPOverHTTP(MCPService(engine))) as listener:
        peer = Peer(listener)
        peer.transport.send(handshake("tools/call", chat()))
        await settle()
        peer.transport.vanish()
        await settle()
        assert engine.cancelled == []
        engine.gate.set()
        await settle()
        assert listener.stats().exchanges == 0


def _cancel(identity: int | str, **headers: str) -> bytes:
    return handshake(
        "notifications/cancelled", {"requestId": identity}, identity=None, headers=headers
    )


async def test_a_notification_cancels_in_the_handshake_era() -> None:
    engine = StandInEngine()
    engine.gate = asyncio.Event()
    async with listening(MCPOverHTTP(MCPService(engine))) as listener:
        one, other = Peer(listener), Peer(listener)
        one.transport.send(handshake("tools/call", chat(), identity=7))
        await settle()
        assert (await other.ask(_cancel(8))).status == 202
        assert (await other.ask(_cancel("7"))).status == 202
        assert (await other.ask(_cancel(7, authorization="Bearer someone-else"))).status == 202
        assert engine.cancelled == []
        assert (await other.ask(_cancel(7))).status == 202
        await settle()
        assert engine.cancelled == [engine.exchanges[0].id]
        (answer,) = one.answers()
        assert answer.json()["error"]["data"]["reason"] == "RequestCancelled"
        engine.gate = None
        assert (await one.ask(handshake("ping"))).status == 200
        kinds = [exchange.kind for exchange in engine.exchanges]
        assert kinds.count(MessageType.NOTIFICATION) == 4


async def test_a_cancelled_stream_is_ended() -> None:
    engine = StandInEngine()
    engine.events = [piece("Hel")]
    engine.gate = asyncio.Event()
    async with listening(MCPOverHTTP(MCPService(engine))) as listener:
        one, other = Peer(listener), Peer(listener)
        one.transport.send(handshake("tools/call", chat(_meta={"progressToken": 1}), identity=7))
        await settle()
        await other.ask(_cancel(7))
        (answer,) = one.answers()
        assert answer.whole
        assert "RequestCancelled" in answer.events()[-1]


async def test_the_client_says_how_long_it_waits() -> None:
    engine = StandInEngine()
    async with serving(engine) as peer:
        data = handshake("tools/call", chat(), headers={"x-request-timeout": "5"})
        assert (await peer.ask(data)).status == 200
        exchange = engine.exchanges[0]
        assert exchange.deadline == exchange.started + 5
        bad = await peer.ask(handshake("ping", headers={"x-request-timeout": "soon"}))
        assert (bad.status, bad.json()["error"]["code"]) == (400, -32600)
        engine.refuse = lambda exchange: Unauthenticated("who")
        bad = await peer.ask(handshake("ping", headers={"x-request-timeout": "soon"}))
        assert bad.status == 401  # who may not ask is not told what is wrong with the question


async def test_the_trace_of_the_message_wins_over_the_header() -> None:
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    engine = StandInEngine()
    async with serving(engine) as peer:
        await peer.ask(stateless("server/discover", traceparent=trace))
    assert engine.exchanges[0].traceparent == trace


async def test_a_refused_exchange_is_seen_by_the_engine_with_its_peer_and_key() -> None:
    seen: list[Exchange] = []

    def refuse(exchange: Exchange) -> GatewayError:
        seen.append(exchange)
        return Unauthenticated("no")

    engine = StandInEngine()
    engine.refuse = refuse
    async with serving(engine) as peer:
        await peer.ask(handshake("tools/call", chat(), headers={"x-api-key": "k"}))
    assert [(e.peer, e.credential) for e in seen] == [("127.0.0.1", "k")]
