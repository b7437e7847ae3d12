from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from tests.unit.server.peer import Peer, listening, request

from mcp_gateway.config.problem import InvalidDocument, Problem
from mcp_gateway.errors import ConfigError
from mcp_gateway.server.admin import AdminFace
from mcp_gateway.server.listener import HTTPListener
from mcp_gateway.server.origin import Guard

TOKEN = "correct horse"


class Backend:
    """A gateway reduced to what the admin port asks of it."""

    def __init__(self) -> None:
        self.is_ready = True
        self.applied: list[bytes] = []
        self.refuse: ConfigError | None = None
        self.busy = 0

    def ready(self) -> tuple[bool, dict[str, Any]]:
        return self.is_ready, {} if self.is_ready else {"draining": "shutting down"}

    def status(self) -> dict[str, Any]:
        return {"name": "gw <one>", "generation": 7, "ready": True, "providers": []}

    def metrics(self) -> bytes:
        return b"mcp_gateway_up 1\n"

    async def apply_config(self, document: bytes) -> dict[str, Any]:
        self.busy += 1
        assert self.busy == 1, "one change at a time"
        await asyncio.sleep(0)
        self.busy -= 1
        if self.refuse is not None:
            raise self.refuse
        self.applied.append(document)
        return {"generation": len(self.applied)}

    async def apply_limits(self, limits: bytes) -> dict[str, Any]:
        return await self.apply_config(b"limits " + limits)


@asynccontextmanager
async def serving(
    backend: Backend, token: str | None = None, *, loopback: bool = True
) -> AsyncIterator[HTTPListener]:
    guard = Guard(allowed_origins=["*"], loopback=loopback)
    async with listening(AdminFace(backend, guard, token)) as listener:
        yield listener


def bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


async def test_probes_and_metrics_answer_anybody() -> None:
    async with serving(Backend(), TOKEN, loopback=False) as listener:
        peer = Peer(listener, peer="10.0.0.9")
        assert (await peer.ask(request("GET", "/livez"))).status == 200
        assert (await peer.ask(request("GET", "/readyz"))).json() == {"ready": True}
        metrics = await peer.ask(request("GET", "/metrics", headers={"host": "10.1.1.1:9079"}))
        assert metrics.body == b"mcp_gateway_up 1\n"
        assert metrics.headers["content-type"].startswith("text/plain; version=0.0.4")


async def test_a_gateway_that_drains_is_alive_and_not_ready() -> None:
    backend = Backend()
    backend.is_ready = False
    async with serving(backend) as listener:
        answer = await Peer(listener).ask(request("GET", "/readyz"))
        assert answer.status == 503
        assert answer.json() == {"ready": False, "draining": "shutting down"}
        assert (await Peer(listener).ask(request("GET", "/livez"))).status == 200


async def test_without_a_token_this_machine_may_do_everything() -> None:
    backend = Backend()
    async with serving(backend) as listener:
        for address in ("127.0.0.1", "::1", "::ffff:127.0.0.1"):
            peer = Peer(listener, peer=address)
            assert (await peer.ask(request("GET", "/status"))).json()["generation"] == 7
        answer = await Peer(listener).ask(request("PUT", "/config", b"kind: x"))
        assert answer.json() == {"generation": 1}
        assert (await Peer(listener).ask(request("PUT", "/limits", b"{}"))).status == 200
    assert backend.applied == [b"kind: x", b"limits {}"]


@pytest.mark.parametrize("address", ["10.0.0.9", "::2", "fe80::1%eth0", ""])
async def test_without_a_token_nobody_else_may(address: str) -> None:
    async with serving(Backend(), loopback=False) as listener:
        answer = await Peer(listener, peer=address).ask(request("GET", "/status"))
        assert answer.status == 403
        assert "adminToken" in answer.json()["error"]["message"]


async def test_a_page_cannot_drive_the_admin_port_through_its_visitors_browser() -> None:
    async with serving(Backend(), loopback=False) as listener:
        # A name that resolves to this machine, asked for by a page of that name.
        rebound = {"host": "evil.example:9079", "origin": "http://evil.example:9079"}
        assert (await Peer(listener).ask(request("GET", "/status", headers=rebound))).status == 403
        foreign = {"host": "localhost:9079", "origin": "https://evil.example"}
        answer = await Peer(listener).ask(request("PUT", "/config", b"x", headers=foreign))
        assert answer.status == 403
        own = {"host": "localhost:9079", "origin": "http://localhost:9079"}
        assert (await Peer(listener).ask(request("GET", "/status", headers=own))).status == 200
    async with serving(Backend()) as listener:
        wrong = {"host": "evil.example"}
        assert (await Peer(listener).ask(request("GET", "/", headers=wrong))).status == 421


async def test_with_a_token_everybody_needs_it() -> None:
    async with serving(Backend(), TOKEN) as listener:
        for headers in ({}, bearer("wrong"), bearer(""), {"authorization": TOKEN}):
            answer = await Peer(listener).ask(request("GET", "/status", headers=headers))
            assert answer.status == 401
            assert "www-authenticate" in answer.headers
        assert (await Peer(listener).ask(request("PUT", "/config", b"x"))).status == 401
        right = request("GET", "/status", headers=bearer(TOKEN))
        assert (await Peer(listener, peer="10.0.0.9").ask(right)).status == 200


async def test_a_browser_gives_the_token_as_a_password() -> None:
    async with serving(Backend(), TOKEN) as listener:
        basic = base64.b64encode(f"anyone:{TOKEN}".encode()).decode()
        headers = {"authorization": f"Basic {basic}"}
        assert (await Peer(listener).ask(request("GET", "/", headers=headers))).status == 200
        for wrong in ("Basic !!!", "Basic " + base64.b64encode(b"a:b").decode()):
            refused = request("GET", "/", headers={"authorization": wrong})
            assert (await Peer(listener).ask(refused)).status == 401


async def test_the_token_can_change() -> None:
    backend = Backend()
    face = AdminFace(backend, Guard(loopback=True), TOKEN)
    async with listening(face) as listener:
        face.change_token("another")
        asked = request("GET", "/status", headers=bearer(TOKEN))
        assert (await Peer(listener).ask(asked)).status == 401


async def test_a_wrong_document_is_refused_with_every_problem() -> None:
    backend = Backend()
    problems = [
        Problem("spec.a", "unknown field", "b", line=3),
        Problem("spec.c", "is missing", severity="warning"),
    ]
    backend.refuse = InvalidDocument("PUT /config", problems)
    async with serving(backend) as listener:
        answer = await Peer(listener).ask(request("PUT", "/config", b"x"))
    assert answer.status == 400
    first, second = answer.json()["problems"]
    assert (first["path"], first["line"], first["expected"]) == ("spec.a", 3, "b")
    assert second["severity"] == "warning"
    assert answer.json()["error"]["code"] == "InvalidDocument"


async def test_limits_that_cannot_be_applied_are_refused() -> None:
    backend = Backend()
    backend.refuse = ConfigError("there is no such provider")
    async with serving(backend) as listener:
        answer = await Peer(listener).ask(request("PUT", "/limits", b"x"))
    assert (answer.status, answer.json()["problems"]) == (400, [])


async def test_changes_are_made_one_after_another() -> None:
    backend = Backend()
    async with serving(backend) as listener:
        peers = [Peer(listener) for _ in range(5)]
        for number, peer in enumerate(peers):
            peer.transport.send(request("PUT", "/config", b"%d" % number))
        await asyncio.sleep(1)
        assert [peer.answers()[0].status for peer in peers] == [200] * 5
    assert backend.applied == [b"0", b"1", b"2", b"3", b"4"]


@pytest.mark.parametrize(
    ("method", "path", "status", "allow"),
    [
        ("GET", "/config", 405, "PUT"),
        ("PUT", "/status", 405, "GET"),
        ("POST", "/livez", 405, "GET"),
        ("GET", "/nope", 404, None),
        ("OPTIONS", "/config", 405, "PUT"),
    ],
)
async def test_other_paths_and_methods_are_refused(
    method: str, path: str, status: int, allow: str | None
) -> None:
    async with serving(Backend()) as listener:
        answer = await Peer(listener).ask(request(method, path))
        assert (answer.status, answer.headers.get("allow")) == (status, allow)


async def test_the_page_is_for_people() -> None:
    async with serving(Backend()) as listener:
        answer = await Peer(listener).ask(request("GET", "/"))
        assert answer.headers["content-type"] == "text/html; charset=utf-8"
        assert "gw &lt;one&gt;" in answer.body.decode()
        assert answer.headers["cache-control"] == "no-store"
        assert "default-src 'none'" in answer.headers["content-security-policy"]
