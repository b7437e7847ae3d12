from __future__ import annotations

import asyncio
import json

from tests.support.fake_transport import settle
from tests.support.stand_in_engine import StandInEngine
from tests.unit.server.websocket_peer import CHAT, WebSocketPeer, call, connected, serving

from mcp_gateway.errors import DeadlineExceeded, PoolSaturated, Unauthenticated
from mcp_gateway.server.message import Bounds


def cancel(identity: object) -> dict[str, object]:
    params = {"requestId": identity}
    return {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": params}


async def test_answers_come_as_they_are_ready() -> None:
    engine = StandInEngine()
    engine.gate = asyncio.Event()
    async with connected(engine) as peer:
        heard = await peer.say(
            call("tools/call", CHAT, identity="slow"), call("tools/list", identity="quick")
        )
        assert [message["id"] for message in heard] == ["quick"]
        engine.gate.set()
        await settle()
        assert [message["id"] for message in peer.heard()] == ["slow"]


async def test_a_cancelled_request_is_cancelled_and_not_answered() -> None:
    engine = StandInEngine()
    engine.gate = asyncio.Event()
    async with connected(engine) as peer:
        await peer.say(call("tools/call", CHAT, identity=1), call("tools/call", CHAT, identity="1"))
        assert await peer.say(cancel(2), cancel(1)) == []
        assert engine.cancelled == [engine.exchanges[1].id]
        engine.gate.set()
        await settle()
        assert [message["id"] for message in peer.heard()] == ["1"]
        engine.gate = None
        (again,) = await peer.say(call("tools/call", CHAT, identity=1))
        assert "result" in again


async def test_a_request_cancelled_before_it_began_is_forgotten() -> None:
    async with connected(StandInEngine(), Bounds(max_in_flight=1)) as peer:
        assert await peer.say(call("tools/call", CHAT), cancel(1)) == []
        assert "result" in (await peer.say(call("tools/list")))[0]


async def test_an_id_in_work_cannot_be_used_again() -> None:
    engine = StandInEngine()
    engine.gate = asyncio.Event()
    async with connected(engine) as peer:
        (refused,) = await peer.say(call("tools/call", CHAT), call("tools/list"))
        assert (refused["id"], refused["error"]["code"]) == (1, -32600)


async def test_an_id_is_free_as_soon_as_its_answer_is_out() -> None:
    async with connected(StandInEngine()) as peer:
        peer.core.send_text(json.dumps(call("tools/list")).encode())
        peer.transport.send(b"".join(peer.core.data_to_send()))
        for _ in range(100):
            if peer.transport.written:
                break
            await asyncio.sleep(0)
        assert "result" in peer.heard()[0]
        assert "result" in (await peer.say(call("tools/list")))[0]


async def test_requests_over_the_bound_are_refused() -> None:
    engine = StandInEngine()
    engine.gate = asyncio.Event()
    async with connected(engine, Bounds(max_in_flight=3)) as peer:
        calls = [call("tools/call", CHAT, identity=number) for number in range(5)]
        refused = await peer.say(*calls)
        assert [(m["id"], m["error"]["code"]) for m in refused] == [(3, 503), (4, 503)]
        assert refused[0]["error"]["data"]["reason"] == "Overloaded"
        engine.gate.set()
        await settle()
        assert sorted(message["id"] for message in peer.heard()) == [0, 1, 2]


async def test_garbage_is_answered_and_runs_through_the_layers() -> None:
    engine = StandInEngine()
    async with connected(engine) as peer:
        codes = []
        for text in (b"{", b"[]", b'{"jsonrpc":"2.0","id":4,"method":"no/such"}', b"\xc3\xa4"):
            (answer,) = await peer.say(text)
            codes.append(answer["error"]["code"])
        assert codes[:2] == [-32700, -32600]
        assert len(engine.exchanges) == 5
        engine.refuse = lambda exchange: Unauthenticated("revoked")
        (answer,) = await peer.say(b"{")
        assert answer["error"]["code"] == 401


async def test_more_garbage_than_is_looked_at_ends_the_connection() -> None:
    async with connected(StandInEngine(), Bounds(max_in_flight=4)) as peer:
        await peer.say(*([b"{"] * 20))
        assert peer.close_code == 1008


async def test_a_revoked_key_ends_with_the_next_message() -> None:
    engine = StandInEngine()
    async with serving(engine) as listener:
        peer = WebSocketPeer(listener)
        await peer.open(headers={"Authorization": "Bearer k", "x-request-timeout": "4"})
        await peer.say(call("tools/call", CHAT))
        exchange = engine.exchanges[-1]
        assert (exchange.credential, exchange.peer) == ("k", "127.0.0.1")
        assert exchange.deadline == exchange.started + 4
        engine.refuse = lambda exchange: Unauthenticated("revoked")
        (answer,) = await peer.say(call("tools/list"))
        assert answer["error"]["code"] == 401


async def test_failures_are_results_and_errors_as_over_http() -> None:
    engine = StandInEngine()
    async with connected(engine) as peer:
        engine.error = PoolSaturated("full", provider="kimi")
        (answer,) = await peer.say(call("tools/call", CHAT))
        assert answer["result"]["isError"] is True
        engine.error = DeadlineExceeded("late")
        (answer,) = await peer.say(call("tools/call", CHAT))
        assert answer["error"]["code"] == 504


async def test_responses_of_the_client_are_dropped() -> None:
    async with connected(StandInEngine()) as peer:
        assert await peer.say({"jsonrpc": "2.0", "id": 9, "result": {}}) == []
