from __future__ import annotations

import asyncio
import json
import socket
from pathlib import Path

import pytest
from tests.integration.server.doors import PATIENCE, Wire, doors, eventually
from tests.support.stand_in_engine import StandInEngine, piece
from tests.unit.server.peer import post, request
from tests.unit.server.test_mcp_http import chat, handshake, stateless
from tests.unit.server.websocket_peer import CHAT, call
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from mcp_gateway.api.server import Server
from mcp_gateway.errors import ConfigError, Unauthenticated
from mcp_gateway.server.listener import HARD_MARGIN

pytestmark = pytest.mark.integration


async def test_every_door_is_where_its_url_says() -> None:
    async with doors() as listeners:
        assert set(listeners.urls) == {"http", "websocket", "openai", "admin"}
        host, port = listeners.main.address
        assert listeners.urls["http"] == f"http://127.0.0.1:{port}/mcp"
        assert listeners.urls["websocket"] == f"ws://127.0.0.1:{port}/mcp"
        async with Wire.connect((host, port)) as wire:
            assert (await wire.ask(stateless("tools/call", chat()))).status == 200
            assert (await wire.ask(request("GET", "/v1/models"))).status == 200
        async with connect(listeners.urls["websocket"], subprotocols=["mcp"]) as websocket:  # type: ignore[list-item]
            await websocket.send(json.dumps(call("tools/list")))
            assert "result" in json.loads(await websocket.recv())
            assert listeners.stats().websockets == 1
        async with Wire.connect(listeners.admin.address) as wire:
            assert (await wire.ask(request("GET", "/livez"))).status == 200
            assert (await wire.ask(request("PUT", "/config", b"abc"))).json() == {"length": 3}


async def test_faces_that_are_off_have_no_url() -> None:
    async with doors(websocket=False, openai=False, path="/here") as listeners:
        assert set(listeners.urls) == {"http", "admin"}
        assert listeners.urls["http"].endswith("/here")


async def test_a_wildcard_address_reads_as_one_that_can_be_used() -> None:
    async with doors(host="0.0.0.0") as listeners:  # noqa: S104
        assert listeners.urls["http"].startswith("http://127.0.0.1:")
        async with Wire.connect(("127.0.0.1", listeners.main.address[1])) as wire:
            answer = await wire.ask(post("/mcp", {}, {"host": "any.example"}))
            assert answer.status == 400


async def test_a_port_that_is_taken_is_an_error_and_leaves_nothing_open() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(OSError, match="in use"):
            async with doors(port=port):
                pass


async def test_a_refusal_arrives_though_the_client_is_still_sending() -> None:
    async with doors(limits={"maxBody": 1000}) as listeners:
        async with Wire.connect(listeners.main.address) as wire:
            head = b"POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5000000\r\n\r\n"
            wire.writer.write(head + b"x" * 5_000_000)
            answer = await wire.answer()
            assert (answer.status, answer.headers["connection"]) == (413, "close")
        await eventually(lambda: listeners.stats().connections == 0)


async def test_a_slow_client_is_refused_and_cut_off() -> None:
    limits = {"requestTimeout": "400ms"}
    async with doors(limits=limits) as listeners, Wire.connect(listeners.main.address) as wire:
        answer = await wire.ask(b"POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Le")
        assert answer.status == 408
        assert await wire.ended() == b""
        await eventually(lambda: listeners.stats().connections == 0)


async def test_a_flood_of_connections_leaves_room_for_those_that_are_served() -> None:
    async with doors(limits={"maxConnections": 5}) as listeners:
        address = listeners.main.address
        async with Wire.connect(address) as served:
            assert (await served.ask(handshake("ping"))).status == 200
            opened = [await asyncio.open_connection(*address) for _ in range(HARD_MARGIN + 40)]
            await eventually(lambda: listeners.stats().refused >= HARD_MARGIN + 36)
            assert listeners.stats().connections <= 5 + HARD_MARGIN
            assert (await served.ask(handshake("ping"))).status == 200
            told = await Wire(*opened[5]).answer()
            assert (told.status, told.headers["retry-after"]) == (503, "1")
            for _, writer in opened:
                writer.transport.abort()
        await eventually(lambda: listeners.stats().connections == 0)


async def test_a_client_that_goes_cancels_its_upstream_call() -> None:
    engine = StandInEngine()
    engine.gate = asyncio.Event()
    async with doors(engine) as listeners:
        async with Wire.connect(listeners.main.address) as wire:
            wire.writer.write(stateless("tools/call", chat()))
            await eventually(lambda: engine.exchanges)
        await eventually(lambda: engine.cancelled)
        await eventually(lambda: listeners.stats().exchanges == 0)


async def test_a_client_that_does_not_read_stops_the_provider_and_not_the_gateway() -> None:
    engine = StandInEngine()
    engine.events = [piece("x" * 50_000) for _ in range(400)]
    async with doors(engine, limits={"requestTimeout": "1s"}) as listeners:
        async with Wire.connect(listeners.main.address) as wire:
            wire.writer.transport.pause_reading()  # type: ignore[attr-defined]
            wire.writer.write(stateless("tools/call", chat(), progressToken=1))
            await eventually(lambda: engine.cancelled)
        await eventually(lambda: listeners.stats().connections == 0)


async def test_an_upgrade_without_a_credential_is_refused_before_it_happens() -> None:
    engine = StandInEngine()
    engine.refuse = lambda exchange: Unauthenticated("who")
    async with doors(engine) as listeners:
        with pytest.raises(InvalidStatus) as refused:
            async with connect(listeners.urls["websocket"]):
                pass
        assert refused.value.response.status_code == 401
        assert b"who" in (refused.value.response.body or b"")


async def test_a_foreign_page_cannot_open_a_websocket() -> None:
    async with doors() as listeners:
        with pytest.raises(InvalidStatus) as refused:
            async with connect(listeners.urls["websocket"], origin="https://evil.example"):  # type: ignore[arg-type]
                pass
        assert refused.value.response.status_code == 403


async def test_draining_ends_what_is_in_work_and_then_every_connection() -> None:
    engine = StandInEngine()
    engine.gate = asyncio.Event()
    async with doors(engine) as listeners:
        address = listeners.main.address
        async with (
            connect(listeners.urls["websocket"]) as websocket,
            Wire.connect(address) as idle,
            Wire.connect(address) as busy,
        ):
            assert (await idle.ask(handshake("ping"))).status == 200
            await websocket.send(json.dumps(call("tools/call", CHAT)))
            busy.writer.write(stateless("tools/call", chat()))
            await eventually(lambda: listeners.stats().exchanges == 2)
            draining = asyncio.create_task(listeners.drain(PATIENCE))
            assert await idle.ended() == b""
            with pytest.raises(OSError, match=r"refused|failed"):
                await asyncio.open_connection(*address)
            async with Wire.connect(listeners.admin.address) as admin:
                assert (await admin.ask(request("GET", "/livez"))).status == 200
            engine.gate.set()
            answer = await busy.answer()
            assert (answer.status, answer.headers["connection"]) == (200, "close")
            assert "result" in json.loads(await websocket.recv())
            with pytest.raises(ConnectionClosed) as closed:
                await websocket.recv()
            assert closed.value.rcvd is not None
            assert closed.value.rcvd.code == 1001
            busy.writer.close()
            idle.writer.close()
            assert await draining == 0


async def test_another_document_changes_who_may_call_and_how_much(tmp_path: Path) -> None:
    async with doors() as listeners, Wire.connect(listeners.main.address) as wire:
        page = {"origin": "https://chat.example"}
        assert (await wire.ask(post("/mcp", {}, page))).status == 403
        changed = {
            "host": "127.0.0.1",
            "allowedOrigins": ["https://chat.example"],
            "limits": {"maxBody": 100},
            "adminToken": {"value": "secret"},
        }
        listeners.apply(Server.model_validate(changed))
        answer = await wire.ask(
            stateless("tools/list").replace(b"host:", b"origin: https://chat.example\r\nhost:")
        )
        assert answer.headers["access-control-allow-origin"] == "https://chat.example"
        async with Wire.connect(listeners.main.address) as fresh:
            assert (await fresh.ask(stateless("tools/list"))).status == 413
        async with Wire.connect(listeners.admin.address) as admin:
            assert (await admin.ask(request("GET", "/status"))).status == 401
            right = {"authorization": "Bearer secret"}
            assert (await admin.ask(request("GET", "/status", headers=right))).status == 200
        wrong = changed | {"adminToken": {"secretRef": {"name": "a", "key": "b"}}}
        with pytest.raises(ConfigError):
            listeners.apply(Server.model_validate(wrong))
