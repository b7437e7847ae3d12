"""The same demands on every official MCP client: what one can do, all can."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

import pytest
from tests.integration.official_clients.client import CallFailed, OfficialClient
from tests.integration.official_clients.conftest import Fleet
from tests.integration.official_clients.kinds import KINDS, Kind
from tests.integration.official_clients.patience import until

pytestmark = pytest.mark.integration

every_client = pytest.mark.parametrize("kind", KINDS, ids=str)
# MCP 2025-11-25 §transports: on a handshake-era HTTP request a lost connection cancels nothing.
every_client_whose_leaving_counts = pytest.mark.parametrize(
    "kind", [kind for kind in KINDS if (kind.transport, kind.mode) != ("http", "legacy")], ids=str
)

TOOLS = {"chat", "kimi_chat", "glm_chat", "slow_chat", "down_chat", "models"}
HELLO = [{"role": "user", "content": "Hello!"}]
INVALID_PARAMS = -32602


def _chat(model: str) -> dict[str, object]:
    return {"model": model, "messages": HELLO}


@contextlib.asynccontextmanager
async def connected(kind: Kind, fleet: Fleet) -> AsyncIterator[OfficialClient]:
    """Connect where this client can come in."""
    gateway = fleet.open if kind.transport == "websocket" else fleet.guarded
    key = "" if kind.transport == "websocket" else fleet.key.key
    url = gateway.websocket if kind.transport == "websocket" else gateway.http
    async with kind.connect(url, key) as client:
        yield client


@every_client
async def test_lists_the_tools(kind: Kind, fleet: Fleet) -> None:
    async with connected(kind, fleet) as client:
        names = await client.tools()
    assert set(names) == TOOLS
    assert len(names) == len(TOOLS)


@pytest.mark.parametrize(
    ("tool", "model", "provider"),
    [
        ("chat", "kimi-k2.5", "kimi"),
        ("chat", "glm-5", "glm"),
        ("kimi_chat", "kimi-k2.5", "kimi"),
        ("glm_chat", "glm-5", "glm"),
    ],
)
@every_client
async def test_a_chat_is_answered_by_its_provider(
    kind: Kind, fleet: Fleet, tool: str, model: str, provider: str
) -> None:
    async with connected(kind, fleet) as client:
        await client.tools()  # clients check results against the schemas they have seen
        outcome = await client.call(tool, _chat(model))
    assert not outcome.failed
    assert outcome.text
    assert outcome.structured is not None
    assert outcome.structured["content"] == outcome.text
    assert outcome.structured["provider"] == provider
    assert outcome.structured["model"] == model
    assert outcome.structured["usage"]["completion_tokens"] > 0
    assert outcome.progress == []


@every_client
async def test_lists_the_models_that_can_be_called(kind: Kind, fleet: Fleet) -> None:
    async with connected(kind, fleet) as client:
        await client.tools()
        outcome = await client.call("models", {})
    assert not outcome.failed
    assert outcome.structured is not None
    pairs = {(model["id"], model["provider"]) for model in outcome.structured["models"]}
    assert {("kimi-k2.5", "kimi"), ("kimi-slow", "slow")} <= pairs
    assert {provider for _, provider in pairs} == {"kimi", "glm", "slow"}


@every_client
async def test_progress_carries_the_text_as_it_comes(kind: Kind, fleet: Fleet) -> None:
    async with connected(kind, fleet) as client:
        outcome = await client.call("chat", _chat("kimi-k2.5"), progress=True)
    assert not outcome.failed
    assert len(outcome.progress) > 5
    # The client reports each piece from a task of its own, and the result as soon as it came:
    # pieces can be missing at the end, never in the middle.
    assert outcome.text.startswith("".join(outcome.progress))


@every_client
async def test_a_provider_that_is_down_is_a_failed_result(kind: Kind, fleet: Fleet) -> None:
    async with connected(kind, fleet) as client:
        await client.tools()
        outcome = await client.call("down_chat", _chat("any"))
    assert outcome.failed
    assert outcome.structured is not None
    assert outcome.structured["error"]["provider"] == "down"
    assert outcome.structured["error"]["message"] in outcome.text


@every_client
async def test_wrong_arguments_are_a_failed_result(kind: Kind, fleet: Fleet) -> None:
    async with connected(kind, fleet) as client:
        await client.tools()
        outcome = await client.call("chat", {"model": "kimi-k2.5", "messages": "Hello!"})
    assert outcome.failed
    assert "messages" in outcome.text
    assert outcome.structured is not None
    assert outcome.structured["error"]["code"] == "InvalidArguments"


@every_client
async def test_an_unknown_tool_is_a_protocol_error(kind: Kind, fleet: Fleet) -> None:
    async with connected(kind, fleet) as client:
        with pytest.raises(CallFailed, match="nothing_here") as caught:
            await client.call("nothing_here", {})
    assert caught.value.code == INVALID_PARAMS


@every_client
async def test_cancelling_a_call_ends_it_at_the_provider(kind: Kind, fleet: Fleet) -> None:
    slow = fleet.providers.slow
    async with connected(kind, fleet) as client:
        await until(lambda: slow.stats()["in_flight"] == 0)
        before = slow.stats()["disconnected"]
        await client.begin("slow_chat", _chat("kimi-slow"))
        await until(lambda: slow.stats()["in_flight"] == 1)
        assert await client.abandon() == "ended"
        await until(lambda: slow.stats()["in_flight"] == 0)
        assert slow.stats()["disconnected"] == before + 1
        # The client and the gateway go on.
        assert "chat" in await client.tools()


@every_client_whose_leaving_counts
async def test_leaving_in_the_middle_of_a_call_leaves_nothing_behind(
    kind: Kind, fleet: Fleet
) -> None:
    slow = fleet.providers.slow
    await until(lambda: slow.stats()["in_flight"] == 0)
    async with connected(kind, fleet) as client:
        await client.begin("slow_chat", _chat("kimi-slow"))
        await until(lambda: slow.stats()["in_flight"] == 1)
    await until(lambda: slow.stats()["in_flight"] == 0)
