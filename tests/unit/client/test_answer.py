from __future__ import annotations

from typing import Any

import pytest

from mcp_gateway.api.chat import ChatDelta, Timings, Usage
from mcp_gateway.client import answer
from mcp_gateway.client.answer import Model
from mcp_gateway.client.wire import Progress, Result
from mcp_gateway.errors import (
    NoRoute,
    RateLimited,
    RemoteProtocolError,
    UpstreamError,
    UpstreamTimeout,
)

WHOLE: dict[str, Any] = {
    "content": [{"type": "text", "text": "Hello!"}],
    "structuredContent": {
        "id": "a1",
        "content": "Hello!",
        "reasoning_content": "They greet.",
        "finish_reason": "stop",
        "tool_calls": [{"id": "1"}],
        "provider": "kimi",
        "model": "kimi-k3",
        "attempts": 2,
        "usage": {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7},
        "timings": {"queue": 0.1, "upstream": 0.2, "total": 0.3, "first_token": 0.05},
    },
}
FAILED: dict[str, Any] = {
    "content": [{"type": "text", "text": "UpstreamTimeout: silent"}],
    "structuredContent": {
        "id": "e1",
        "error": {"code": "UpstreamTimeout", "message": "silent", "phase": "idle", "provider": "k"},
    },
    "isError": True,
}


def test_a_whole_answer_is_read() -> None:
    response = answer.chat_response(Result(1, WHOLE))

    assert response.content == "Hello!"
    assert response.id == "a1"
    assert response.reasoning == "They greet."
    assert response.finish_reason == "stop"
    assert response.tool_calls == [{"id": "1"}]
    assert (response.provider, response.model, response.attempts) == ("kimi", "kimi-k3", 2)
    assert response.usage == Usage(3, 4)
    assert response.timings == Timings(0.1, 0.2, 0.3, 0.05)
    assert response.error is None


def test_an_answer_of_another_mcp_server_is_its_text() -> None:
    value = {"content": [{"type": "text", "text": "a"}, {"type": "image"}, {"type": "text"}]}

    response = answer.chat_response(Result(1, value))

    assert response.content == "a"
    assert response.timings == Timings()


def test_fields_of_other_types_count_as_absent() -> None:
    value = {
        "structuredContent": {"content": "x", "usage": [], "timings": {"total": "long"}, "id": 5}
    }

    response = answer.chat_response(Result(1, value))

    assert (response.content, response.id, response.usage) == ("x", "", Usage())
    assert response.timings.total == 0.0


def test_a_failed_tool_is_a_typed_error_with_what_was_heard() -> None:
    response = answer.chat_response(Result(1, FAILED), "Hel", "hm")

    assert isinstance(response.error, UpstreamTimeout)
    assert response.id == "e1"
    assert (response.text, response.reasoning, response.provider) == ("Hel", "hm", "k")
    with pytest.raises(UpstreamTimeout, match="silent"):
        _ = response.content


def test_a_failed_tool_without_a_typed_error_says_its_text() -> None:
    value = {"content": [{"type": "text", "text": "it broke"}], "isError": True}

    error = answer.failure(Result(1, value))

    assert type(error) is UpstreamError
    assert str(error) == "it broke"


def test_a_json_rpc_error_is_the_responses_error() -> None:
    response = answer.chat_response(Result(1, {}, NoRoute("nowhere")))

    assert isinstance(response.error, NoRoute)


def test_an_answer_that_is_no_chat_is_an_error() -> None:
    assert isinstance(answer.chat_response(Result(1, {})).error, RemoteProtocolError)


def test_an_empty_answer_is_an_answer() -> None:
    response = answer.chat_response(Result(1, {"structuredContent": {"content": ""}}))

    assert response.content == ""


def test_progress_is_a_piece_of_the_answer() -> None:
    assert answer.delta(Progress(1, "Hel")) == ChatDelta("Hel")
    assert answer.delta(Progress(1, "", "hm")) == ChatDelta("", "hm")


def test_models_are_read() -> None:
    value = {
        "structuredContent": {
            "models": [{"id": "kimi-k3", "provider": "kimi", "created": 5}, {"id": "m"}, "odd"]
        }
    }

    assert answer.models(Result(1, value)) == [Model("kimi-k3", "kimi", 5), Model("m")]


def test_models_that_are_refused_raise() -> None:
    with pytest.raises(RateLimited):
        answer.models(Result(1, {}, RateLimited("later")))
