"""The peer port: who may ask there, and what is made of what they send."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from tests.support.fake_transport import settle
from tests.support.pods_in_memory import MemoryFleet, memory_fleet
from tests.support.scripted_provider import hangs, says
from tests.unit.server.peer import Peer, post, request

from mcp_gateway.config.control_folder import ControlFolder
from mcp_gateway.errors import ConfigError
from mcp_gateway.server.peer import FORMER, TokenGuard
from mcp_gateway.upstream.pool import NOTICED

CHAT = {"model": "kimi-k2", "messages": [{"role": "user", "content": "Hello!"}]}
PATH = "/v1/providers/kimi/chat"


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def guard(folder: Path, token: str = "right") -> tuple[TokenGuard, Clock]:
    (folder / "token").write_text(token)
    clock = Clock()
    return TokenGuard(ControlFolder(folder), clock), clock


def shows(token: str) -> dict[bytes, bytes]:
    return {b"authorization": f"Bearer {token}".encode()}


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {b"authorization": b""},
        {b"authorization": b"Bearer"},
        {b"authorization": b"Bearer "},
        {b"authorization": b"Basic right"},
        {b"authorization": b"right"},
        {b"authorization": b"Bearer righ"},
        {b"authorization": b"Bearer right, Bearer right"},
        {b"authorization": b"Bearer \xff\xfe"},
        {b"x-api-key": b"right"},
    ],
)
def test_a_head_without_the_token_is_refused(fields: dict[bytes, bytes], tmp_path: Path) -> None:
    known, _ = guard(tmp_path)
    verdict = known.admit(fields)
    assert verdict is not None
    assert verdict[0] == 401


def test_a_head_with_the_token_passes(tmp_path: Path) -> None:
    known, _ = guard(tmp_path)
    assert known.admit(shows("right")) is None
    assert known.admit({b"authorization": b"bearer right "}) is None


def test_the_former_token_is_good_for_a_little_longer(tmp_path: Path) -> None:
    known, clock = guard(tmp_path)
    (tmp_path / "token").write_text("new")
    known.reload()
    assert known.admit(shows("new")) is None
    assert known.admit(shows("right")) is None
    clock.now += FORMER
    assert known.admit(shows("right")) is not None
    assert known.admit(shows("new")) is None


def test_a_token_that_cannot_be_read_leaves_the_one_that_is_known(tmp_path: Path) -> None:
    known, _ = guard(tmp_path)
    (tmp_path / "token").write_text("")
    known.reload()
    assert known.admit(shows("right")) is None
    assert known.admit(shows("")) is not None


def test_without_a_token_there_is_no_port(tmp_path: Path) -> None:
    with pytest.raises(ConfigError):
        TokenGuard(ControlFolder(tmp_path))


@pytest.fixture
async def fleet(tmp_path: Path) -> AsyncIterator[MemoryFleet]:
    async with memory_fleet(tmp_path) as made:
        yield made


def hop(fleet: MemoryFleet, body: Any = CHAT, path: str = PATH, **headers: str) -> bytes:
    token = (fleet.folder / "token").read_text()
    fields = {
        "authorization": f"Bearer {token}",
        "accept": "application/json",
        "mcp-gateway-hop": "web-9",
        "mcp-gateway-client": "anna",
        **{name.replace("_", "-"): value for name, value in headers.items()},
    }
    return post(path, body, {name: value for name, value in fields.items() if value})


async def test_a_hop_is_answered_by_the_providers_own_answer(fleet: MemoryFleet) -> None:
    pod = fleet.add("web-1", says("Hi."), share=1)
    answer = await Peer(pod.listener).ask(hop(fleet))
    assert answer.status == 200
    assert answer.json()["choices"][0]["message"]["content"] == "Hi."
    assert '"pod":"web-1"' in answer.headers["mcp-gateway-outcome"]


@pytest.mark.parametrize(
    ("path", "headers", "body", "status"),
    [
        ("/", {}, CHAT, 404),
        ("/v1/chat/completions", {}, CHAT, 404),
        ("/v1/providers/unknown/chat", {}, CHAT, 421),
        (PATH, {"mcp_gateway_hop": ""}, CHAT, 400),
        (PATH, {"mcp_gateway_client": ""}, CHAT, 400),
        (PATH, {"mcp_gateway_client": "=?base64?broken?="}, CHAT, 400),
        (PATH, {}, b"not JSON", 400),
        (PATH, {}, {"model": "kimi-k2"}, 400),
    ],
)
async def test_what_is_no_hop_reaches_no_provider(
    path: str, headers: dict[str, str], body: Any, status: int, fleet: MemoryFleet
) -> None:
    pod = fleet.add("web-1", says("Hi."), share=1)
    answer = await Peer(pod.listener).ask(hop(fleet, body, path, **headers))
    assert answer.status == status
    assert pod.script.requests == []


async def test_without_the_token_nothing_is_told_and_no_body_taken(fleet: MemoryFleet) -> None:
    pod = fleet.add("web-1", says("Hi."), share=1)
    told = set()
    for path in (PATH, "/", "/metrics"):
        peer = Peer(pod.listener)
        head = f"POST {path} HTTP/1.1\r\nhost: x\r\ncontent-length: 4000000\r\n\r\n"
        answer = await peer.ask(head.encode())
        told.add((answer.status, answer.body))
    assert len(told) == 1
    assert {status for status, _ in told} == {401}
    assert pod.script.requests == []
    assert (await Peer(pod.listener).ask(request("GET", "/"))).status == 401


async def test_a_pod_without_a_slot_says_so_and_asks_nobody(fleet: MemoryFleet) -> None:
    pod = fleet.add("web-1", says("Hi."), share=0)
    other = fleet.add("web-2", says("Hi."), share=1)
    fleet.grant(0, 1)
    answer = await Peer(pod.listener).ask(hop(fleet))
    assert (answer.status, answer.json()["error"]["reason"]) == (421, "Misdirected")
    assert (pod.script.requests, other.script.requests) == ([], [])


async def test_a_deadline_and_a_bound_on_the_wait_are_kept_to(fleet: MemoryFleet) -> None:
    pod = fleet.add("web-1", hangs, share=1)
    busy = Peer(pod.listener)
    busy.transport.send(hop(fleet))
    await settle()
    for headers, reason in (
        ({"mcp_gateway_patience": "0"}, "PoolTimeout"),
        ({"mcp_gateway_timeout": "0"}, "DeadlineExceeded"),
    ):
        peer = Peer(pod.listener)
        peer.transport.send(hop(fleet, **headers))
        # A timer of no time at all still takes a turn of the clock.
        for _ in range(10):
            await settle()
        (answer,) = peer.answers()
        assert (answer.status, answer.json()["error"]["reason"]) == (504, reason)
    busy.transport.vanish()
    await settle()
    await asyncio.sleep(NOTICED)
    assert pod.script.account.pool.in_flight == 0
