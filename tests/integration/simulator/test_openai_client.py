"""The official `openai` client cannot tell the simulator from a provider."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import openai
import pytest
from tests.integration.simulator.conftest import Start

from mcp_gateway.simulator import Failure, FailureKind, Latency, Limits, LogNormal, Settings

pytestmark = pytest.mark.integration

HELLO: Any = [{"role": "user", "content": "Hello, who is there?"}]
MODELS = {"kimi": "kimi-k2.6", "glm": "glm-5"}
Connect = Callable[[Settings], Awaitable[openai.AsyncOpenAI]]


@pytest.fixture
async def connect(start: Start) -> AsyncIterator[Connect]:
    async with AsyncExitStack() as stack:

        async def connect_one(settings: Settings) -> openai.AsyncOpenAI:
            _, url = await start(settings)
            client = openai.AsyncOpenAI(base_url=url, api_key="sk-1", max_retries=0, timeout=60)
            return await stack.enter_async_context(client)

        yield connect_one


@pytest.mark.parametrize("wire", ["kimi", "glm"])
async def test_a_plain_answer(connect: Connect, wire: Any) -> None:
    client = await connect(Settings(wire=wire))
    answer = await client.chat.completions.create(model=MODELS[wire], messages=HELLO)
    assert answer.choices[0].message.content is not None
    assert "Hello, who is there?" in answer.choices[0].message.content
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage is not None
    assert answer.usage.completion_tokens == 40


@pytest.mark.parametrize("wire", ["kimi", "glm"])
async def test_a_streamed_answer(connect: Connect, wire: Any) -> None:
    latency = Latency(first_token=LogNormal(0.002), per_token=LogNormal(0.001))
    client = await connect(Settings(wire=wire, latency=latency))
    pieces = []
    stream = await client.chat.completions.create(model=MODELS[wire], messages=HELLO, stream=True)
    async for chunk in stream:
        pieces.append(chunk.choices[0].delta.content or "")
    assert chunk.choices[0].finish_reason == "stop"
    assert len([piece for piece in pieces if piece]) == 40
    assert "".join(pieces).startswith("You said: “Hello, who is there?”.")


async def test_usage_in_a_stream_when_asked_for(connect: Connect) -> None:
    client = await connect(Settings())
    stream = await client.chat.completions.create(
        model="kimi-k2.6", messages=HELLO, stream=True, stream_options={"include_usage": True}
    )
    chunks = [chunk async for chunk in stream]
    assert chunks[-1].choices == []
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.completion_tokens == 40


async def test_reasoning_and_tool_calls(connect: Connect) -> None:
    client = await connect(Settings())
    tool: Any = {
        "type": "function",
        "function": {"name": "look", "parameters": {"properties": {"at": {"type": "string"}}}},
    }
    answer = await client.chat.completions.create(
        model="kimi-k2.6",
        messages=HELLO,
        tools=[tool],
        tool_choice="required",
        extra_body={"thinking": {"type": "enabled"}},
    )
    message = answer.choices[0].message
    assert message.tool_calls is not None
    assert message.tool_calls[0].type == "function"
    assert message.tool_calls[0].function.name == "look"
    assert message.model_extra is not None
    assert message.model_extra["reasoning_content"]


async def test_the_list_of_models(connect: Connect) -> None:
    client = await connect(Settings(models=("a", "b")))
    assert [model.id async for model in client.models.list()] == ["a", "b"]


async def test_errors_have_the_clients_own_classes(connect: Connect) -> None:
    client = await connect(Settings(limits=Limits(requests_per_minute=1)))
    with pytest.raises(openai.NotFoundError, match="Not found the model"):
        await client.chat.completions.create(model="nope", messages=HELLO)
    with pytest.raises(openai.BadRequestError):
        await client.chat.completions.create(model="kimi-k2.6", messages=[])
    await client.chat.completions.create(model="kimi-k2.6", messages=HELLO)
    with pytest.raises(openai.RateLimitError, match="max RPM: 1"):
        await client.chat.completions.create(model="kimi-k2.6", messages=HELLO)
    with pytest.raises(openai.AuthenticationError):
        await client.with_options(default_headers={"Authorization": ""}).models.list()


async def test_the_client_comes_through_mixed_failures(connect: Connect) -> None:
    failures = (
        Failure(FailureKind.OVERLOAD, 0.2),
        Failure(FailureKind.RESET, 0.2),
        Failure(FailureKind.UNAVAILABLE, 0.2),
    )
    client = await connect(Settings(failures=failures, seed=1))
    patient = client.with_options(max_retries=10)
    answer = await patient.chat.completions.create(model="kimi-k2.6", messages=HELLO)
    assert answer.choices[0].message.content
