from __future__ import annotations

import pytest
from tests.support.fake_transport import settle
from tests.unit.server.peer import Peer, listening, post, request

from mcp_gateway.server.front import Front
from mcp_gateway.server.message import TEXT, App, HTTPRequest
from mcp_gateway.server.origin import Guard
from mcp_gateway.server.responder import Responder


def named(name: str) -> App:
    async def app(_request: HTTPRequest, responder: Responder) -> None:
        responder.respond(200, TEXT, name.encode())

    return app


def front(*, mcp: bool = True, websocket: bool = True, openai: bool = True) -> Front:
    return Front(
        Guard(loopback=True, allowed_origins=["https://chat.example"]),
        path="/mcp",
        mcp=named("mcp") if mcp else None,
        websocket=named("websocket") if websocket else None,
        openai=named("openai") if openai else None,
    )


UPGRADE = request("GET", "/mcp", headers={"connection": "upgrade", "upgrade": "websocket"})


@pytest.mark.parametrize(
    ("data", "body"),
    [
        (post("/mcp", {}), b"mcp"),
        (request("GET", "/mcp?x=1"), b"mcp"),
        (UPGRADE, b"websocket"),
        (post("/v1/chat/completions", {}), b"openai"),
    ],
)
async def test_the_path_picks_the_face(data: bytes, body: bytes) -> None:
    async with listening(front()) as listener:
        assert (await Peer(listener).ask(data)).body == body


@pytest.mark.parametrize("path", ["/", "/mcp/", "/MCP", "/v1", "/metrics", "/..%2fmcp"])
async def test_other_paths_are_not_there(path: str) -> None:
    async with listening(front()) as listener:
        answer = await Peer(listener).ask(request("GET", path))
        assert answer.status == 404
        assert "error" in answer.json()


async def test_a_face_that_is_off_is_not_there() -> None:
    async with listening(front(openai=False, websocket=False)) as listener:
        assert (await Peer(listener).ask(post("/v1/models", {}))).status == 404
        assert (await Peer(listener).ask(UPGRADE)).status == 404
    async with listening(front(mcp=False)) as listener:
        answer = await Peer(listener).ask(post("/mcp", {}))
        assert (answer.status, answer.headers["upgrade"]) == (426, "websocket")


async def test_foreign_pages_and_hosts_are_refused_before_any_face() -> None:
    async with listening(front()) as listener:
        evil = await Peer(listener).ask(post("/mcp", {}, {"origin": "https://evil.example"}))
        assert evil.status == 403
        assert "access-control-allow-origin" not in evil.headers
        host = await Peer(listener).ask(post("/mcp", {}, {"host": "evil.example"}))
        assert host.status == 421


async def test_allowed_pages_can_read_the_answer() -> None:
    async with listening(front()) as listener:
        answer = await Peer(listener).ask(post("/mcp", {}, {"origin": "https://chat.example"}))
        assert answer.headers["access-control-allow-origin"] == "https://chat.example"
        assert "x-request-id" in answer.headers["access-control-expose-headers"]


async def test_preflights_are_answered() -> None:
    async with listening(front()) as listener:
        headers = {
            "origin": "https://chat.example",
            "access-control-request-method": "POST",
            "access-control-request-headers": "authorization, mcp-method",
        }
        answer = await Peer(listener).ask(request("OPTIONS", "/mcp", headers=headers))
        assert answer.status == 204
        assert answer.headers["access-control-allow-headers"] == "authorization, mcp-method"
        assert answer.headers["access-control-allow-methods"] == "GET, POST"
        evil = await Peer(listener).ask(
            request("OPTIONS", "/mcp", headers=headers | {"origin": "https://evil.example"})
        )
        assert evil.status == 403


async def test_options_without_a_page_says_what_is_allowed() -> None:
    async with listening(front()) as listener:
        for target in ("*", "/mcp"):
            peer = Peer(listener)
            peer.transport.send(request("OPTIONS", target))
            await settle()
            written = peer.transport.take()
            assert written.startswith(b"HTTP/1.1 204 ")
            assert b"allow: GET, POST, OPTIONS\r\n" in written
            assert b"access-control" not in written
