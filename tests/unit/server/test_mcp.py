from __future__ import annotations

import msgspec
import pytest
from tests.support.stand_in_engine import StandInEngine, piece

from mcp_gateway.errors import InvalidMessage, RemoteProtocolError, UpstreamTimeout
from mcp_gateway.protocol.event import Call
from mcp_gateway.protocol.versions import Era, Revision
from mcp_gateway.providers.base import StreamEvent
from mcp_gateway.proxy.exchange import Exchange, Face
from mcp_gateway.server.mcp import MCPService, ProgressSink

ARGUMENTS = msgspec.Raw(b'{"model":"kimi-k2","messages":[{"role":"user","content":"Hi"}]}')


class Channel:
    """Keeps what it is given."""

    congested = False

    def __init__(self) -> None:
        self.messages: list[bytes] = []

    def notify(self, message: bytes) -> None:
        self.messages.append(message)

    async def drained(self) -> None:
        return


def call(method: str, **more: object) -> Call:
    return Call(id=1, method=method, era=Era.STATELESS, version=Revision.R2026_07_28, **more)  # type: ignore[arg-type]


def exchange() -> Exchange:
    return Exchange("e" * 32, Face.HTTP, "", 0.0, 0.0)


def test_progress_counts_the_pieces_that_say_something() -> None:
    channel = Channel()
    sink = ProgressSink(channel, "t")
    for event in (StreamEvent(b"{}", reasoning="hm"), StreamEvent(b"{}"), piece("a"), piece("b")):
        sink.send(event)
    said = [msgspec.json.decode(message)["params"] for message in channel.messages]
    assert [params["progress"] for params in said] == [1, 2, 3]
    assert [params.get("message") for params in said] == [None, "a", "b"]
    assert said[0]["_meta"] == {"gateway.exai.dev/reasoning": "hm"}
    assert not sink.congested


async def test_without_a_channel_nothing_is_streamed() -> None:
    engine = StandInEngine()
    chat = call("tools/call", tool="chat", arguments=ARGUMENTS, progress_token=1)
    await MCPService(engine).answer(chat, exchange(), None)
    assert engine.exchanges[0].sink is None


async def test_a_failure_of_the_provider_is_a_result_with_the_exchanges_id() -> None:
    engine = StandInEngine()
    service = MCPService(engine)
    chat = call("tools/call", tool="chat", arguments=ARGUMENTS)
    engine.error = UpstreamTimeout("silent", phase="first_byte", provider="kimi")
    answer = msgspec.json.decode(await service.answer(chat, exchange(), None))
    assert answer["result"]["structuredContent"]["id"] == "e" * 32
    assert answer["result"]["structuredContent"]["error"]["phase"] == "first_byte"
    engine.error = RemoteProtocolError("nonsense")
    answer = msgspec.json.decode(await service.answer(chat, exchange(), None))
    assert answer["result"]["structuredContent"]["error"]["code"] == "RemoteProtocolError"


async def test_an_unknown_tool_is_refused_after_the_layers() -> None:
    engine = StandInEngine()
    with pytest.raises(InvalidMessage):
        await MCPService(engine).answer(call("tools/call", tool="x"), exchange(), None)
    assert len(engine.exchanges) == 1
