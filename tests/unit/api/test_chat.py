import pytest

from mcp_gateway.api import ChatRequest, ChatResponse, Usage
from mcp_gateway.errors import NoRoute


def test_a_request_becomes_the_fields_of_the_providers_api() -> None:
    request = ChatRequest(
        provider="kimi",
        model="kimi-k2",
        messages=({"role": "user", "content": "Hello!"},),
        max_tokens=100,
        temperature=0.0,
        extra={"thinking": {"type": "disabled"}},
    )
    assert request.fields() == {
        "model": "kimi-k2",
        "messages": [{"role": "user", "content": "Hello!"}],
        "max_tokens": 100,
        "temperature": 0.0,
        "thinking": {"type": "disabled"},
    }


def test_what_is_not_said_is_left_to_the_provider() -> None:
    assert set(ChatRequest(model="m", messages=[]).fields()) == {"model", "messages"}


def test_content_is_the_text_and_never_that_of_a_failure() -> None:
    assert ChatResponse(text="Hi.").content == "Hi."
    failed = ChatResponse(text="Hi", error=NoRoute("no route matches"))
    with pytest.raises(NoRoute):
        failed.content  # noqa: B018 - reading it is what raises


def test_total_tokens_are_both_kinds() -> None:
    assert Usage(3, 5).total_tokens == 8
