"""A hundred thousand mutated messages: the gateway stays healthy, and keeps nothing of them.

Three kinds, all seeded: whole HTTP requests mutated as bytes, JSON-RPC messages mutated inside
sound requests, and WebSocket frames. What counts is the end: no connection and no request in
work is left, memory is flat, and an ordinary request is answered.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.integration.app.documents import document, simulated
from tests.integration.server.doors import PATIENCE, Wire, eventually
from tests.integration.server.test_gateway import CHAT, address, in_flight
from tests.unit.server.peer import JSON_HEADERS, request
from tests.unit.server.test_mcp_http import handshake, stateless
from tests.unit.server.websocket_peer import call
from websockets.frames import Frame, Opcode

from mcp_gateway.app import Gateway

pytestmark = pytest.mark.integration

SEED = 20260728
HTTP_MESSAGES = 25_000
JSON_MESSAGES = 40_000
FRAMES = 35_000
PER_CONNECTION = 50
RAW_PER_CONNECTION = 5
LANES = 8

SOUND = [stateless("tools/list"), stateless("tools/call", CHAT), handshake("ping")]
BODIES = [json.dumps(call("tools/call", CHAT)).encode(), json.dumps(call("tools/list")).encode()]
OPCODES = [Opcode.TEXT, Opcode.PING, Opcode.CONT, Opcode.BINARY]
SPICE = [
    b"\r\n", b"\n", b"\0", b"\xff", b"\xed\xa0\x80", b": ", b"chunked", b"Content-Length: 5\r\n",
    b"Transfer-Encoding: chunked\r\n", b"Upgrade: websocket\r\n", b"Connection: close\r\n",
    b"{", b"}", b"[", b'"', b"null", b"NaN", b"1e999", b"-1", b"\\ud800", b'"id":1,', b"[" * 500,
    b"9" * 400, b'"_meta":', b'"method":"tools/call"',
]  # fmt: skip


def mutated(data: bytes, rng: random.Random) -> bytes:
    """Cut, repeat, overwrite and season `data`."""
    mutable = bytearray(data)
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(len(mutable) + 1)
        match rng.randrange(5):
            case 0:
                del mutable[at : at + rng.randint(1, 40)]
            case 1:
                mutable[at:at] = rng.choice(SPICE)
            case 2 if at < len(mutable):
                mutable[at] = rng.randrange(256)
            case 3:
                mutable[at:at] = mutable[at : at + rng.randint(1, 60)]
            case _:
                mutable[at : at + 8] = rng.choice(SPICE)
    return bytes(mutable)


def http_messages(rng: random.Random) -> bytes:
    """Requests mutated as bytes. What follows one that cannot be read is lost, so few at once."""
    return b"".join(mutated(rng.choice(SOUND), rng) for _ in range(RAW_PER_CONNECTION))


def json_messages(rng: random.Random) -> bytes:
    """Sound requests with mutated bodies: the connection survives, so all are read."""
    bodies = (mutated(rng.choice(BODIES), rng) or b"x" for _ in range(PER_CONNECTION))
    *most, last = [request("POST", "/mcp", body, JSON_HEADERS) for body in bodies]
    return b"".join(most) + last.replace(b"\r\n", b"\r\nConnection: close\r\n", 1)


def frames(rng: random.Random) -> bytes:
    """An upgrade, then frames with mutated texts, some of them mutated as frames."""
    fields = {
        "connection": "upgrade",
        "upgrade": "websocket",
        "sec-websocket-version": "13",
        "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
    }
    pieces = [request("GET", "/mcp", headers=fields)]
    for _ in range(PER_CONNECTION):
        opcode = rng.choices([Opcode.TEXT, Opcode.PING, Opcode.CONT, Opcode.BINARY], [90, 4, 3, 1])[
            0
        ]
        body = mutated(rng.choice(BODIES), rng) if opcode is Opcode.TEXT else b"x"
        fin = opcode is Opcode.PING or rng.random() < 0.995
        frame = Frame(opcode, body, fin).serialize(mask=True)
        pieces.append(mutated(frame, rng) if rng.random() < 0.01 else frame)
    return b"".join([*pieces, Frame(Opcode.CLOSE, b"").serialize(mask=True)])


async def pour(running: Gateway, data: bytes, patience: float) -> bytes:
    """Send on a connection of its own, and read until the gateway ends it.

    A frame that swallowed the closing one leaves a connection that is merely idle: then the
    client vanishes after `patience` seconds, which the gateway has to live with as well.
    """
    async with Wire.connect(address(running)) as wire:
        wire.writer.write(data)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(patience):
                return await wire.ended()
    return b""


async def crowd(
    running: Gateway, kind: Callable[[random.Random], bytes], connections: int, seed: int
) -> None:
    """Open so many connections of one kind, several at a time."""

    async def lane(number: int) -> None:
        rng = random.Random(f"{seed} {kind.__name__} {number}")
        # Where every request is sound the gateway ends the connection, however slow it is.
        patience = PATIENCE if kind is json_messages else 1.5
        for _ in range(connections // LANES):
            received = await pour(running, kind(rng), patience)
            if kind is json_messages:
                assert received.count(b"HTTP/1.1 ") == PER_CONNECTION

    async with asyncio.TaskGroup() as group:
        for number in range(LANES):
            group.create_task(lane(number), name=f"lane {number}")


def resident() -> int:
    """Bytes of this process in memory."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    raise AssertionError("Linux tells VmRSS")


async def test_mutated_messages_leave_nothing_behind() -> None:
    print(f"seed {SEED}")
    fast = simulated("kimi")
    spec: dict[str, Any] = {
        "middleware": ["auth", "rate_limit"],
        "recording": {"enabled": False},
        # A message whose end was cut away is waited for; not for long here.
        "server": {"limits": {"requestTimeout": "400ms", "idleTimeout": "400ms"}},
    }
    async with Gateway(document(fast, **spec)) as running:
        for kind in (http_messages, json_messages, frames):
            await crowd(running, kind, LANES * 8, SEED + 1)
        gc.collect()
        before = resident()
        await crowd(running, http_messages, HTTP_MESSAGES // RAW_PER_CONNECTION, SEED)
        await crowd(running, json_messages, JSON_MESSAGES // PER_CONNECTION, SEED)
        await crowd(running, frames, FRAMES // PER_CONNECTION, SEED)
        listener = running.status()["listener"]
        assert listener["accepted"] >= 6000
        await eventually(lambda: running.status()["listener"]["connections"] == 0)
        await eventually(lambda: running.status()["listener"]["exchanges"] == 0)
        await eventually(lambda: in_flight(running) == 0)
        gc.collect()
        assert resident() - before < 8 << 20
        async with Wire.connect(address(running)) as wire, asyncio.timeout(PATIENCE):
            answer = await wire.ask(stateless("tools/call", CHAT))
            assert answer.json()["result"]["content"]
