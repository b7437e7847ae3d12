"""The official `openai` client against the gateway's OpenAI face."""

from __future__ import annotations

from collections.abc import AsyncIterator

import openai
import pytest
from openai.types.chat import ChatCompletionMessageParam
from tests.integration.official_clients.conftest import Fleet
from tests.integration.official_clients.patience import until

pytestmark = pytest.mark.integration

MESSAGES: list[ChatCompletionMessageParam] = [{"role": "user", "content": "Hello!"}]


def _client(fleet: Fleet, key: str) -> openai.AsyncOpenAI:
    return openai.AsyncOpenAI(
        base_url=fleet.guarded.openai, api_key=key, max_retries=0, timeout=60.0
    )


@pytest.fixture
async def client(fleet: Fleet) -> AsyncIterator[openai.AsyncOpenAI]:
    async with _client(fleet, fleet.key.key) as connected:
        yield connected


@pytest.mark.parametrize("model", ["kimi-k2.5", "glm-5"])
async def test_a_plain_completion(client: openai.AsyncOpenAI, model: str) -> None:
    answer = await client.chat.completions.create(model=model, messages=MESSAGES)
    assert answer.model == model
    assert answer.object == "chat.completion"
    assert answer.choices[0].message.content
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage is not None
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens


@pytest.mark.parametrize("model", ["kimi-k2.5", "glm-5"])
async def test_a_stream_says_the_same_as_a_plain_completion(
    client: openai.AsyncOpenAI, model: str
) -> None:
    pieces, finished, usage = [], [], None
    stream = await client.chat.completions.create(
        model=model, messages=MESSAGES, stream=True, stream_options={"include_usage": True}
    )
    async for chunk in stream:
        usage = chunk.usage or usage
        for choice in chunk.choices:
            pieces.append(choice.delta.content or "")
            finished += [choice.finish_reason] if choice.finish_reason else []
    assert len([piece for piece in pieces if piece]) > 5
    assert finished == ["stop"]
    assert usage is not None
    assert usage.completion_tokens > 0
    plain = await client.chat.completions.create(model=model, messages=MESSAGES)
    assert "".join(pieces)[:9] == (plain.choices[0].message.content or "")[:9]


async def test_lists_the_models(client: openai.AsyncOpenAI) -> None:
    models = [model async for model in client.models.list()]
    assert {"kimi-k2.5", "kimi-slow"} <= {model.id for model in models}
    assert {model.object for model in models} == {"model"}


async def test_every_answer_names_its_exchange(client: openai.AsyncOpenAI) -> None:
    raw = await client.chat.completions.with_raw_response.create(
        model="kimi-k2.5", messages=MESSAGES
    )
    assert len(raw.headers["x-request-id"]) == 32


async def test_a_wrong_key_is_an_authentication_error(fleet: Fleet) -> None:
    async with _client(fleet, "mgw_nobody") as stranger:
        with pytest.raises(openai.AuthenticationError):
            await stranger.models.list()
        with pytest.raises(openai.AuthenticationError):
            await stranger.chat.completions.create(model="kimi-k2.5", messages=MESSAGES)


async def test_a_model_without_a_route_is_not_found(client: openai.AsyncOpenAI) -> None:
    with pytest.raises(openai.NotFoundError) as caught:
        await client.chat.completions.create(model="no-such-model", messages=MESSAGES)
    assert "no-such-model" in caught.value.message
    assert caught.value.code


async def test_a_request_without_messages_is_a_bad_request(client: openai.AsyncOpenAI) -> None:
    with pytest.raises(openai.BadRequestError, match="messages"):
        await client.chat.completions.create(
            model="kimi-k2.5",
            messages="Hello!",  # type: ignore[arg-type]
        )


async def test_a_client_over_its_rate_is_told_when_to_come_back(fleet: Fleet) -> None:
    async with _client(fleet, fleet.tired.key) as tired:
        await tired.chat.completions.create(model="kimi-k2.5", messages=MESSAGES)
        with pytest.raises(openai.RateLimitError) as caught:
            await tired.chat.completions.create(model="kimi-k2.5", messages=MESSAGES)
    assert 0 < int(caught.value.response.headers["retry-after"]) <= 3600


async def test_a_client_that_goes_away_ends_the_call_at_the_provider(
    client: openai.AsyncOpenAI, fleet: Fleet
) -> None:
    slow = fleet.providers.slow
    await until(lambda: slow.stats()["in_flight"] == 0)
    before = slow.stats()["disconnected"]
    with pytest.raises(openai.APITimeoutError):
        await client.with_options(timeout=3.0).chat.completions.create(
            model="kimi-slow", messages=MESSAGES, extra_body={"provider": "slow"}
        )
    await until(lambda: slow.stats()["disconnected"] == before + 1)
    await until(lambda: slow.stats()["in_flight"] == 0)


def test_the_synchronous_client_works_too(fleet: Fleet) -> None:
    with openai.OpenAI(base_url=fleet.guarded.openai, api_key=fleet.key.key) as client:
        answer = client.chat.completions.create(model="kimi-k2.5", messages=MESSAGES)
    assert answer.choices[0].message.content
