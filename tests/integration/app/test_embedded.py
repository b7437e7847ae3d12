"""A gateway inside a program: the description's two usage examples, and what goes wrong."""

import asyncio
from pathlib import Path

import pytest
from tests.integration.app.documents import SLOW, document, hello, simulated

from mcp_gateway.api import ChatRequest, MCPGateway, Pool, Provider, Recording, Spec
from mcp_gateway.app import Gateway
from mcp_gateway.errors import (
    ConfigError,
    DeadlineExceeded,
    InvalidArguments,
    NoRoute,
    UpstreamRefused,
    UpstreamTimeout,
)
from mcp_gateway.recording.archive import Archive, Question

pytestmark = pytest.mark.integration


async def test_a_request_is_answered() -> None:
    async with Gateway(document(), listen=False) as gateway:
        request = ChatRequest(
            provider="kimi",
            model="kimi-k2-0905-preview",
            messages=[{"role": "user", "content": "Hello!"}],
            max_tokens=100,
        )
        response = await gateway.chat(request)
    assert "Hello!" in response.content
    assert response.error is None
    assert (response.provider, response.attempts) == ("kimi", 1)
    assert response.usage.total_tokens > 0
    assert 0 <= response.timings.upstream <= response.timings.total


async def test_a_gateway_is_built_from_providers_and_pools_in_code() -> None:
    kimi = Provider(name="kimi", type="simulator", pool=Pool(max_connections=10))
    spec = Spec(providers=[kimi], recording=Recording(enabled=False))
    async with Gateway(MCPGateway.of(spec), listen=False) as gateway:
        assert gateway.spool_path is None
        assert (await gateway.chat(hello())).content


async def test_a_failure_is_typed_and_is_never_read_as_an_empty_answer() -> None:
    async with Gateway(document(simulated("a"), simulated("b")), listen=False) as gateway:
        response = await gateway.chat(hello(model="unheard-of"))
        assert isinstance(response.error, NoRoute)
        with pytest.raises(NoRoute):
            response.content  # noqa: B018 - reading it is what raises
        response = await gateway.chat(hello(messages=[]))
        assert isinstance(response.error, InvalidArguments)
        response = await gateway.chat(hello(extra={"x": object()}))
        assert isinstance(response.error, InvalidArguments)


async def test_a_stream_arrives_in_pieces_and_whole() -> None:
    async with Gateway(document(), listen=False) as gateway, gateway.stream(hello()) as stream:
        pieces = [delta.content async for delta in stream]
    assert len(pieces) > 3
    assert stream.response is not None
    assert "".join(pieces) == stream.response.content


async def test_leaving_a_stream_cancels_the_upstream_call() -> None:
    async with Gateway(document(simulated("kimi", **SLOW)), listen=False) as gateway:
        async with gateway.stream(hello()) as stream:
            await anext(stream)
            assert gateway.engine.accounts.live["kimi"].in_flight == 1
        assert gateway.engine.accounts.live["kimi"].in_flight == 0
        assert [delta async for delta in stream] == []


async def test_a_stream_that_fails_raises_after_its_pieces() -> None:
    broken = simulated("kimi", failures=[{"kind": "reset_midway", "ratio": 1.0}])
    async with Gateway(document(broken), listen=False) as gateway:
        stream = gateway.stream(hello())
        pieces: list[str] = []

        async def read() -> None:
            async for delta in stream:
                pieces.append(delta.content)

        with pytest.raises(Exception, match=r"ended|lost|broke|closed"):
            await read()
        assert stream.response is not None
        assert stream.response.error is not None
        assert stream.response.text == "".join(pieces)


async def test_the_callers_timeout_holds() -> None:
    stalling = simulated("kimi", failures=[{"kind": "stall", "ratio": 1.0}])
    async with Gateway(document(stalling), listen=False) as gateway:
        response = await gateway.chat(hello(timeout=0.2))
    assert isinstance(response.error, UpstreamTimeout | DeadlineExceeded)


async def test_a_providers_refusal_reaches_the_caller_with_its_kind() -> None:
    empty = simulated("kimi", failures=[{"kind": "quota", "ratio": 1.0}])
    async with Gateway(document(empty), listen=False) as gateway:
        response = await gateway.chat(hello())
    assert isinstance(response.error, UpstreamRefused)
    assert response.error.kind == "quota"


async def test_every_interaction_is_in_the_spool_when_the_gateway_has_ended(tmp_path: Path) -> None:
    async with Gateway(document(), data_dir=tmp_path, listen=False) as gateway:
        answers = await asyncio.gather(*(gateway.chat(hello()) for _ in range(20)))
    with Archive(tmp_path / "spool.db") as archive:
        assert {row["id"] for row in archive.latest(Question(), 1000)} == {
            answer.id for answer in answers
        }


async def test_a_document_that_cannot_be_brought_into_force_starts_nothing() -> None:
    missing = {"name": "kimi", "type": "kimi", "apiKey": {"env": "NOT_SET"}}
    with pytest.raises(ConfigError, match="provider 'kimi': variable NOT_SET is not set"):
        async with Gateway(document(missing)):
            pass
