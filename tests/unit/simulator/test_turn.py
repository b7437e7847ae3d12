from __future__ import annotations

import asyncio
import json

import pytest
from tests.unit.simulator.line import chat, replies

from mcp_gateway.simulator.account import Account
from mcp_gateway.simulator.chat import Answer, decode
from mcp_gateway.simulator.settings import FailureKind, Limits
from mcp_gateway.simulator.turn import BATCH, DRIP_INTERVAL, GARBAGE, Turn
from mcp_gateway.simulator.wire import WIRES

TOKENS = 10


class Line:
    """A line that keeps what it is sent, and when."""

    def __init__(self) -> None:
        self.chunked = True
        self.congested = False
        self.written = b""
        self.times: list[float] = []
        self.ended = ""

    def write(self, data: bytes) -> None:
        self.written += data
        self.times.append(now())

    def finished(self) -> None:
        self.ended = "finished"

    def reset(self) -> None:
        self.ended = "reset"

    def close(self) -> None:
        self.ended = "closed"


def now() -> float:
    return asyncio.get_running_loop().time()


def turn(
    line: Line,
    *,
    first_token: float = 0.5,
    per_token: float = 0.02,
    failure: FailureKind | None = None,
    length: int = TOKENS,
) -> tuple[Turn, Account]:
    account = Account()
    assert account.enter(Limits(), 0.0, 1) is None
    answer = Answer(
        decode(json.dumps(chat()).encode()),
        number=1,
        wire=WIRES["kimi"],
        prompt_tokens=3,
        length=length,
        created=0.0,
    )
    made = Turn(
        line,
        account,
        answer,
        headers=b"",
        first_token=first_token,
        per_token=per_token,
        failure=failure,
    )
    return made, account


async def test_a_whole_answer_comes_when_all_its_tokens_would_have() -> None:
    line = Line()
    made, account = turn(line)
    start = now()
    made.begin(stream=False)
    await asyncio.sleep(0.69)
    assert (line.written, account.in_flight) == (b"", 1)
    await asyncio.sleep(0.02)
    assert line.times == [pytest.approx(start + 0.5 + TOKENS * 0.02)]
    assert line.ended == "finished"
    assert account.in_flight == 0
    assert account.stats()["answered"] == 1
    assert (account.prompt_tokens, account.completion_tokens) == (3, TOKENS)


async def test_without_delay_an_answer_is_there_at_once() -> None:
    line = Line()
    made, account = turn(line, first_token=0.0, per_token=0.0)
    made.begin(stream=False)
    assert replies(line.written)[0].status == 200
    assert account.in_flight == 0


async def test_a_stream_comes_token_by_token() -> None:
    line = Line()
    made, account = turn(line)
    start = now()
    made.begin(stream=True)
    await asyncio.sleep(2)
    [reply] = replies(line.written)
    assert reply.events[-1] == "[DONE]"
    assert line.times[0] == pytest.approx(start + 0.5)
    gaps = [later - earlier for earlier, later in zip(line.times[1:], line.times[2:], strict=False)]
    assert len(gaps) >= TOKENS
    assert gaps == [pytest.approx(0.02)] * len(gaps)
    assert (line.ended, account.in_flight) == ("finished", 0)


async def test_fast_tokens_share_a_write() -> None:
    line = Line()
    made, _ = turn(line, per_token=0.0001)
    made.begin(stream=True)
    await asyncio.sleep(2)
    assert replies(line.written)[0].events[-1] == "[DONE]"
    assert len(line.times) < 6


async def test_a_stream_without_delay_is_whole_at_once() -> None:
    line = Line()
    made, account = turn(line, first_token=0.0, per_token=0.0)
    made.begin(stream=True)
    assert replies(line.written)[0].events[-1] == "[DONE]"
    assert account.in_flight == 0


async def test_a_congested_client_stops_the_stream_until_it_has_caught_up() -> None:
    line = Line()
    made, account = turn(line)
    made.begin(stream=True)
    await asyncio.sleep(0.55)
    line.congested = True
    await asyncio.sleep(10)
    assert account.in_flight == 1
    written = len(line.times)
    line.congested = False
    made.resume()
    assert len(line.times) == written + 1
    await asyncio.sleep(10)
    assert replies(line.written)[0].events[-1] == "[DONE]"


class Fussy(Line):
    """A line that wants a rest after every write."""

    largest = 0

    def write(self, data: bytes) -> None:
        super().write(data)
        self.largest = max(self.largest, data.count(b"data: "))
        self.congested = True


@pytest.mark.parametrize("per_token", [0.0, 0.0001])
async def test_a_long_stream_comes_in_parts_that_a_slow_client_can_stop(per_token: float) -> None:
    line = Fussy()
    made, _ = turn(line, first_token=0.0, per_token=per_token, length=5 * BATCH)
    made.begin(stream=True)
    while not line.ended:
        await asyncio.sleep(10)
        line.congested = False
        made.resume()
    assert replies(line.written)[0].events[-1] == "[DONE]"
    assert line.largest == BATCH


async def test_a_lost_connection_gives_the_place_back() -> None:
    line = Line()
    made, account = turn(line)
    made.begin(stream=True)
    await asyncio.sleep(0.6)
    made.lost()
    written = line.written
    await asyncio.sleep(10)
    assert line.written == written
    assert account.stats()["in_flight"] == 0
    assert account.stats()["disconnected"] == 1


async def test_http_1_0_gets_a_stream_without_chunks() -> None:
    line = Line()
    line.chunked = False
    made, _ = turn(line, first_token=0.0, per_token=0.0)
    made.begin(stream=True)
    assert line.written.endswith(b"data: [DONE]\n\n")
    assert b"transfer-encoding" not in line.written


@pytest.mark.parametrize("stream", [False, True])
class TestFailures:
    async def test_a_stall_says_nothing(self, stream: bool) -> None:
        line = Line()
        made, account = turn(line, failure=FailureKind.STALL)
        made.begin(stream=stream)
        await asyncio.sleep(3600)
        assert (line.written, line.ended) == (b"", "")
        assert account.in_flight == 1
        assert account.failed == {"stall": 1}

    async def test_a_stall_midway_stops_in_the_body(self, stream: bool) -> None:
        line = Line()
        made, account = turn(line, failure=FailureKind.STALL_MIDWAY)
        made.begin(stream=stream)
        await asyncio.sleep(3600)
        assert b"chatcmpl" in line.written
        assert b"\r\n\r\n" in line.written
        assert replies(line.written) == []
        assert (line.ended, account.in_flight) == ("", 1)

    async def test_a_reset_comes_before_a_byte(self, stream: bool) -> None:
        line = Line()
        made, _ = turn(line, failure=FailureKind.RESET)
        made.begin(stream=stream)
        await asyncio.sleep(10)
        assert (line.written, line.ended) == (b"", "reset")

    async def test_a_reset_midway_comes_in_the_body(self, stream: bool) -> None:
        line = Line()
        made, _ = turn(line, failure=FailureKind.RESET_MIDWAY)
        made.begin(stream=stream)
        await asyncio.sleep(10)
        assert b"HTTP/1.1 200 OK" in line.written
        assert replies(line.written) == []
        assert line.ended == "reset"

    async def test_garbage_is_not_http(self, stream: bool) -> None:
        line = Line()
        made, _ = turn(line, failure=FailureKind.GARBAGE)
        made.begin(stream=stream)
        await asyncio.sleep(10)
        assert (line.written, line.ended) == (GARBAGE, "closed")

    async def test_broken_json_is_good_http(self, stream: bool) -> None:
        line = Line()
        made, account = turn(line, failure=FailureKind.BROKEN_JSON)
        made.begin(stream=stream)
        await asyncio.sleep(10)
        [reply] = replies(line.written)
        parts = reply.body.removesuffix(b"\n\n").split(b"\n\n") if stream else [reply.body]
        with pytest.raises(json.JSONDecodeError):
            json.loads(parts[-1].removeprefix(b"data: "))
        assert account.in_flight == 0

    async def test_a_slow_body_comes_whole_but_late(self, stream: bool) -> None:
        line = Line()
        made, account = turn(line, failure=FailureKind.SLOW_BODY)
        made.begin(stream=stream)
        await asyncio.sleep(0.5 + 10 * DRIP_INTERVAL)
        assert account.in_flight == 1
        await asyncio.sleep(3600)
        assert replies(line.written)[0].status == 200
        assert len(line.times) > 30
        assert account.in_flight == 0

    async def test_a_slow_body_waits_for_a_congested_client(self, stream: bool) -> None:
        line = Line()
        made, account = turn(line, failure=FailureKind.SLOW_BODY)
        line.congested = True
        made.begin(stream=stream)
        await asyncio.sleep(3600)
        assert line.written == b""
        line.congested = False
        made.resume()
        await asyncio.sleep(3600)
        assert account.in_flight == 0
