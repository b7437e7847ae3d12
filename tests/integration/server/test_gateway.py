"""The doors before the whole gateway: real layers, pools and simulated providers behind them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

import pytest
from tests.integration.app.documents import SLOW, document, simulated
from tests.integration.server.doors import Wire, eventually
from tests.support.http_answer import Answer
from tests.unit.server.peer import post, request
from tests.unit.server.test_mcp_http import handshake, stateless
from tests.unit.server.websocket_peer import call
from websockets.asyncio.client import connect

from mcp_gateway.app import Gateway
from mcp_gateway.config import client_keys

pytestmark = pytest.mark.integration

CHAT = {
    "name": "chat",
    "arguments": {"model": "kimi-k2.6", "messages": [{"role": "user", "content": "Hello!"}]},
}


@asynccontextmanager
async def gateway(*providers: dict[str, Any], **spec: Any) -> AsyncIterator[Gateway]:
    spec.setdefault("recording", {"enabled": False})
    async with Gateway(document(*providers, **spec)) as running:
        yield running


def address(running: Gateway, door: str = "http") -> tuple[str, int]:
    """Where a door is."""
    url = urlsplit(running.urls[door])
    assert url.hostname is not None
    assert url.port is not None
    return url.hostname, url.port


async def ask(running: Gateway, data: bytes, door: str = "http") -> Answer:
    """Ask on a connection of its own."""
    async with Wire.connect(address(running, door)) as wire:
        return await wire.ask(data)


def in_flight(running: Gateway) -> int:
    """Requests that hold a connection to a provider."""
    return sum(provider["pool"]["in_flight"] for provider in running.status()["providers"])


async def test_the_same_chat_is_answered_at_every_door() -> None:
    async with gateway() as running:
        over_http = await ask(running, stateless("tools/call", CHAT))
        text = over_http.json()["result"]["content"][0]["text"]
        assert text
        openai = await ask(running, post("/v1/chat/completions", CHAT["arguments"]))
        assert openai.json()["choices"][0]["message"]["content"]
        async with connect(running.urls["websocket"]) as websocket:
            await websocket.send(json.dumps(call("tools/call", CHAT)))
            answer = json.loads(await websocket.recv())
        assert answer["result"]["structuredContent"]["provider"] == "kimi"


async def test_streamed_text_adds_up_to_the_answer() -> None:
    async with gateway(simulated("kimi", **SLOW)) as running:
        answer = await ask(running, stateless("tools/call", CHAT, progressToken="t"))
        *progress, last = [json.loads(event) for event in answer.events()]
        assert len(progress) > 3
        pieces = "".join(event["params"]["message"] for event in progress)
        assert pieces == last["result"]["content"][0]["text"]
        streamed = await ask(
            running,
            post("/v1/chat/completions", {**CHAT["arguments"], "stream": True}),  # type: ignore[dict-item]
        )
        assert streamed.events()[-1] == "[DONE]"


@pytest.mark.parametrize("door", ["http", "openai", "websocket"])
async def test_going_away_ends_the_upstream_call(door: str) -> None:
    slow = simulated("kimi", latency={"firstToken": {"median": "60s"}})
    async with gateway(slow) as running:
        if door == "websocket":
            async with connect(running.urls["websocket"]) as websocket:
                await websocket.send(json.dumps(call("tools/call", CHAT)))
                await eventually(lambda: in_flight(running) == 1)
        else:
            async with Wire.connect(address(running)) as wire:
                chat = stateless("tools/call", CHAT)
                if door == "openai":
                    chat = post("/v1/chat/completions", CHAT["arguments"])
                wire.writer.write(chat)
                await eventually(lambda: in_flight(running) == 1)
        await eventually(lambda: in_flight(running) == 0)


async def test_a_cancellation_ends_the_upstream_call() -> None:
    slow = simulated("kimi", latency={"firstToken": {"median": "60s"}})
    async with gateway(slow) as running, connect(running.urls["websocket"]) as websocket:
        await websocket.send(json.dumps(call("tools/call", CHAT, identity=7)))
        await eventually(lambda: in_flight(running) == 1)
        params = {"requestId": 7}
        cancel = {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": params}
        await websocket.send(json.dumps(cancel))
        await eventually(lambda: in_flight(running) == 0)
        async with Wire.connect(address(running)) as wire:
            wire.writer.write(handshake("tools/call", CHAT, identity=8))
            await eventually(lambda: in_flight(running) == 1)
            params = {"requestId": 8}
            cancelled = handshake("notifications/cancelled", params, identity=None)
            assert (await ask(running, cancelled)).status == 202
            assert (await wire.answer()).json()["error"]["code"] == 499
        await eventually(lambda: in_flight(running) == 0)


async def test_keys_are_asked_for_at_every_door() -> None:
    key, line = client_keys.create("alice")
    async with gateway(auth={"apiKeys": {"value": line}}) as running:
        for data in (
            stateless("tools/list"),
            post("/v1/chat/completions", CHAT["arguments"]),
            request("GET", "/v1/models"),
        ):
            refused = await ask(running, data)
            assert refused.status == 401
            assert "www-authenticate" in refused.headers
            allowed = data.replace(b"\r\n", f"\r\nauthorization: Bearer {key}\r\n".encode(), 1)
            assert (await ask(running, allowed)).status == 200
        headers = {"Authorization": f"Bearer {key}"}
        async with connect(running.urls["websocket"], additional_headers=headers):
            pass
        for door in ("/livez", "/readyz", "/metrics"):
            assert (await ask(running, request("GET", door), "admin")).status == 200


async def test_a_client_over_its_rate_is_told_when_to_come_again() -> None:
    limit = {"requests": 1, "per": "1h", "burst": 1, "by": "client"}
    async with gateway(rateLimit=limit) as running:
        chat = post("/v1/chat/completions", CHAT["arguments"])
        assert (await ask(running, chat)).status == 200
        limited = await ask(running, chat)
        assert limited.status == 429
        assert int(limited.headers["retry-after"]) > 3000
        assert limited.json()["error"]["type"] == "rate_limit_error"


async def test_documents_and_limits_can_be_put() -> None:
    async with gateway() as running:
        share = {"providers": {"kimi": {"share": 3}}}
        put = request("PUT", "/limits", json.dumps(share).encode())
        assert (await ask(running, put, "admin")).status == 200
        assert running.status()["providers"][0]["pool"]["limit"] == 3
        wrong = await ask(running, request("PUT", "/config", b"kind: Nonsense"), "admin")
        assert wrong.status == 400
        assert len(wrong.json()["problems"]) > 1
        assert (await ask(running, stateless("tools/list"))).status == 200
        status = await ask(running, request("GET", "/status"), "admin")
        assert status.json()["generation"] == 1
        page = await ask(running, request("GET", "/"), "admin")
        assert b"kimi" in page.body


async def test_leaving_lets_streams_finish() -> None:
    running = Gateway(document(simulated("kimi", **SLOW), recording={"enabled": False}))
    async with running:
        wire = Wire(*await asyncio.open_connection(*address(running)))
        wire.writer.write(stateless("tools/call", CHAT, progressToken=1))
        await eventually(lambda: in_flight(running) == 1)
    answer = await wire.answer()
    assert answer.whole
    assert "result" in json.loads(answer.events()[-1])
    wire.writer.close()
