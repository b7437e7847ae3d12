from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, cast

import pytest
import trustme
from websockets.asyncio.server import ServerConnection
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosedOK
from websockets.frames import Close
from websockets.http11 import Request, Response

from mcp_gateway.api.control import (
    PATH,
    REPORT_EVERY,
    SILENCE,
    Ack,
    Config,
    Down,
    Grant,
    Hello,
    Ping,
    Probe,
    ProbeResult,
    Refused,
    Report,
)
from mcp_gateway.errors import ConfigError
from mcp_gateway.server.control import MAX_CHANNELS, MAX_INVALID, ControlChannel, ControlPort
from mcp_gateway.server.reporting import Pulse


class Backend:
    """A gateway that says what a test wants."""

    def __init__(self) -> None:
        self.offered: list[Config] = []
        self.answer: Ack | Refused | None = None
        self.requests = 0
        self.probe_takes = 0.0
        self.probes: list[Sequence[str]] = []
        self.grants: list[Grant] = []
        self.takes = True
        self.heard = 0
        self.contended = False
        self.state = 0
        self.report_every = 1.0
        self.open: list[int] = []

    def hello(self) -> Hello:
        return Hello(pod="web-1", generation=3)

    def offer(self, config: Config) -> Ack | Refused | None:
        self.offered.append(config)
        return self.answer

    def report(self) -> Report:
        return Report(requests=self.requests, errors=0, since=1.0)

    def pulse(self) -> Pulse:
        return Pulse(self.contended, self.state)

    async def grant(self, grant: Grant) -> bool:
        self.grants.append(grant)
        return self.takes

    def hear(self) -> None:
        self.heard += 1

    def channels(self, count: int) -> None:
        self.open.append(count)

    async def probe(self, providers: Sequence[str]) -> list[ProbeResult]:
        self.probes.append(providers)
        await asyncio.sleep(self.probe_takes)
        return [ProbeResult(provider=name, state="Healthy") for name in providers]


class FakeConnection:
    """The library's side of a channel: what is received is a script."""

    def __init__(self) -> None:
        self.inbox: asyncio.Queue[str | None] = asyncio.Queue()
        self.sent: list[dict[str, Any]] = []
        self.closed: tuple[int, str] | None = None

    async def recv(self) -> str:
        text = await self.inbox.get()
        if text is None:
            raise ConnectionClosedOK(Close(1000, ""), None)
        return text

    async def send(self, text: str) -> None:
        self.sent.append(json.loads(text))

    async def close(self, code: int, reason: str) -> None:
        self.closed = (code, reason)

    def types(self) -> list[str]:
        return [message["type"] for message in self.sent]


class Rig:
    """A channel, its backend and its other end."""

    def __init__(self) -> None:
        self.backend = Backend()
        self.connection = FakeConnection()
        channel = ControlChannel(cast("ServerConnection", self.connection), self.backend)
        loop = asyncio.get_running_loop()
        self.task = loop.create_task(channel.run(), name="channel")

    async def say(self, *messages: Down | str, settle: float = 0.01) -> None:
        for message in messages:
            text = message if isinstance(message, str) else message.encode()
            self.connection.inbox.put_nowait(text)
        await asyncio.sleep(settle)

    async def end(self) -> None:
        self.connection.inbox.put_nowait(None)
        await asyncio.wait([self.task])
        self.task.exception()


async def test_a_channel_begins_with_a_greeting_and_the_counts() -> None:
    rig = Rig()
    await asyncio.sleep(0.01)

    assert rig.connection.types() == ["hello", "report"]
    await rig.end()


async def test_a_configuration_is_answered_when_the_answer_is_known() -> None:
    rig = Rig()
    config = Config(generation=4, epoch=1, document={"spec": {}})
    await rig.say(config)
    assert rig.backend.offered == [config]
    assert rig.connection.types() == ["hello", "report"]
    rig.backend.answer = Refused(generation=4, problems=[])
    await rig.say(config)
    assert rig.connection.types()[2:] == ["refused"]
    await rig.end()


async def test_counts_are_sent_when_they_changed_and_before_the_answer_to_a_ping() -> None:
    rig = Rig()
    await asyncio.sleep(10 * REPORT_EVERY - 20.0)
    assert rig.connection.types() == ["hello", "report"]
    rig.backend.requests = 1
    await rig.say(Ping())
    assert rig.connection.types()[2:] == ["report", "pong"]
    await rig.say(Ping())
    assert rig.connection.types()[4:] == ["pong"]
    rig.backend.requests = 2
    await asyncio.sleep(REPORT_EVERY)
    assert rig.connection.types()[5:] == ["report"]
    await rig.end()


async def test_a_grant_that_is_taken_is_answered_at_once_by_a_report() -> None:
    rig = Rig()
    grant = Grant(epoch=1, sequence=1)
    await asyncio.sleep(0.01)
    await rig.say(grant)
    assert rig.backend.grants == [grant]
    assert rig.connection.types()[2:] == ["report"]
    rig.backend.takes = False
    await rig.say(grant, Ping())
    assert rig.connection.types()[3:] == ["pong"]
    assert rig.backend.heard == 3
    await rig.end()


async def test_questions_do_not_hold_up_the_channel_and_the_last_one_counts() -> None:
    rig = Rig()
    rig.backend.probe_takes = 5.0
    await rig.say(Probe(id="1", providers=["kimi"]), Probe(id="2", providers=["glm"]), Ping())
    assert rig.connection.types()[-1] == "pong"
    await asyncio.sleep(6.0)
    answers = [message for message in rig.connection.sent if message["type"] == "probed"]
    assert [answer["id"] for answer in answers] == ["2"]
    assert rig.backend.probes[-1] == ["glm"]
    await rig.end()


async def test_a_question_that_is_open_ends_with_the_channel() -> None:
    rig = Rig()
    rig.backend.probe_takes = 1e6
    await rig.say(Probe(id="1", providers=["kimi"]))
    await rig.end()

    assert not [task for task in asyncio.all_tasks() if task.get_name().startswith("probe")]


async def test_garbage_is_passed_over_until_it_is_too_much() -> None:
    rig = Rig()
    await rig.say(*["{"] * (MAX_INVALID - 1), '{"type":"of a newer operator"}', Ping())
    assert rig.connection.types()[-1] == "pong"
    assert rig.connection.closed is None
    await rig.say("[]")
    assert rig.connection.closed == (1008, "too many invalid messages")
    await asyncio.wait([rig.task])


async def test_an_operator_that_falls_silent_is_let_go() -> None:
    rig = Rig()
    await rig.say(Ping(), settle=SILENCE - 1.0)
    await rig.say(Ping(), settle=SILENCE - 1.0)
    assert rig.connection.closed is None
    await asyncio.sleep(2.0)
    assert rig.connection.closed == (1001, "silent for 35 seconds")
    await asyncio.wait([rig.task])


# --- who may come in -----------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    issued = trustme.CA().issue_cert("web.test")
    issued.cert_chain_pems[0].write_to_path(tmp_path / "tls.crt")
    issued.private_key_pem.write_to_path(tmp_path / "tls.key")
    (tmp_path / "token").write_text("s3cret\n")
    return tmp_path


class Door:
    """The upgrade request's side of a connection."""

    def respond(self, status: int, text: str) -> Response:
        return Response(status, text, Headers())


def admitted(port: ControlPort, *authorization: str, path: str = PATH) -> int:
    headers = Headers()
    for value in authorization:
        headers["Authorization"] = value
    answer = port._admit(cast("ServerConnection", Door()), Request(path, headers))
    return 101 if answer is None else answer.status_code


@pytest.fixture
def quiet(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    with caplog.at_level(logging.INFO):
        yield caplog


async def test_only_the_token_opens_the_door(folder: Path, quiet: pytest.LogCaptureFixture) -> None:
    port = ControlPort(folder, Backend())

    assert admitted(port, "Bearer s3cret") == 101
    assert admitted(port, "bearer  s3cret ") == 101
    for wrong in ("", "s3cret", "Bearer", "Bearer s3cre", "Basic s3cret", "Bearer é\udce9"):
        assert admitted(port, wrong) == 401
    assert admitted(port) == 401
    assert admitted(port, "Bearer s3cret", "Bearer s3cret") == 401
    assert admitted(port, "Bearer s3cret", path="/") == 404
    assert "s3cret" not in quiet.text


async def test_there_is_room_for_a_few_leaders_and_no_more(folder: Path) -> None:
    port = ControlPort(folder, Backend())
    port._open.update(cast("ServerConnection", Door()) for _ in range(MAX_CHANNELS))

    assert admitted(port, "Bearer s3cret") == 503


async def test_another_token_holds_from_its_file_on(
    folder: Path, quiet: pytest.LogCaptureFixture
) -> None:
    port = ControlPort(folder, Backend())
    (folder / "token").write_text("another")
    port._reload()
    assert (admitted(port, "Bearer s3cret"), admitted(port, "Bearer another")) == (401, 101)
    (folder / "token").write_text("")
    port._reload()
    assert admitted(port, "Bearer another") == 101, "the last good one stays"
    assert "token not reloaded" in quiet.text


@pytest.mark.parametrize("content", [None, b"", b" \n", b"\xff\xfe"])
async def test_without_a_token_there_is_no_port(folder: Path, content: bytes | None) -> None:
    (folder / "token").unlink()
    if content is not None:
        (folder / "token").write_bytes(content)
    with pytest.raises(ConfigError, match=r"token .*/token"):
        ControlPort(folder, Backend())
