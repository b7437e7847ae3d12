import asyncio
import contextlib
import io
import json
from typing import Any

import pytest
from tests.support.scripted_provider import chat_exchange

from mcp_gateway.errors import RateLimited
from mcp_gateway.providers.base import ChatAnswer
from mcp_gateway.proxy.exchange import Attempt, Client, Exchange
from mcp_gateway.proxy.layers.logging import LoggingLayer
from mcp_gateway.telemetry.logs import LineWriter


async def answer(exchange: Exchange) -> ChatAnswer:
    exchange.route, exchange.provider, exchange.model = "kimi", "kimi", "kimi-k2"
    exchange.attempts.append(Attempt("kimi", "kimi-k2"))
    exchange.queued, exchange.upstream = 0.25, 1.5
    await asyncio.sleep(2.0)
    return ChatAnswer(content="a secret plan", prompt_tokens=7, completion_tokens=9)


async def refuse(_: Exchange) -> ChatAnswer:
    raise RateLimited("client 'ann' is over its rate", retry_after=1.0)


async def cancel(_: Exchange) -> ChatAnswer:
    raise asyncio.CancelledError


async def logged(handler: Any, **settings: Any) -> list[dict[str, Any]]:
    stream = io.BytesIO()
    writer = LineWriter(stream)
    exchange = chat_exchange(credential="mgw_top_secret", request_id="7", traceparent="00-ab-cd-01")
    exchange.client = Client("ann")
    with contextlib.suppress(RateLimited, asyncio.CancelledError):
        await LoggingLayer(writer, **settings)(exchange, handler)
    writer.flush()
    assert b"mgw_top_secret" not in stream.getvalue()
    return [json.loads(line) for line in stream.getvalue().splitlines()]


async def test_the_line_says_what_was_asked_who_answered_and_where_the_time_went() -> None:
    (line,) = await logged(answer)
    assert line["message"] == "exchange"
    assert (line["face"], line["method"], line["tool"]) == ("http", "tools/call", "chat")
    assert (line["route"], line["provider"], line["model"]) == ("kimi", "kimi", "kimi-k2")
    assert (line["status"], line["attempts"], line["client"]) == (200, 1, "ann")
    assert (line["queue_ms"], line["upstream_ms"]) == (250.0, 1500.0)
    assert line["total_ms"] == pytest.approx(2000.0)
    assert (line["prompt_tokens"], line["completion_tokens"]) == (7, 9)
    assert (line["request_id"], line["traceparent"]) == ("7", "00-ab-cd-01")


async def test_the_line_names_the_pod_that_made_the_attempt_where_it_was_another() -> None:
    async def elsewhere(exchange: Exchange) -> ChatAnswer:
        made = await answer(exchange)
        exchange.attempts[-1].pod = "web-3"
        return made

    (line,) = await logged(elsewhere)
    assert line["pod"] == "web-3"
    (line,) = await logged(answer)
    assert "pod" not in line


async def test_nobodys_words_are_logged_unless_asked_for() -> None:
    (line,) = await logged(answer)
    assert "Hello!" not in str(line)
    assert "secret plan" not in str(line)
    (line,) = await logged(answer, content=True)
    assert line["prompt"] == [{"role": "user", "content": "Hello!"}]
    assert line["content"] == "a secret plan"


async def test_a_refusal_has_its_name_and_words() -> None:
    (line,) = await logged(refuse)
    assert (line["status"], line["error"], line["level"]) == (429, "RateLimited", "info")
    assert line["error_message"] == "client 'ann' is over its rate"


async def test_a_client_that_went_away_is_a_499() -> None:
    (line,) = await logged(cancel)
    assert (line["status"], line["error"]) == (499, "CancelledError")


async def test_above_the_level_only_errors_are_written() -> None:
    assert await logged(answer, level="warning") == []
