from __future__ import annotations

import pytest

from mcp_gateway.protocol.media import Terms, terms

BOTH = Terms(wants_sse=True)
ONLY_JSON = Terms(wants_sse=False)
JSON = b"application/json"


@pytest.mark.parametrize(
    "content_type",
    [
        b"application/json",
        b"application/json; charset=utf-8",
        b"application/json;charset=utf-8",
        b"Application/JSON",
        b" application/json ; x=y",
    ],
)
def test_json_is_recognised_with_parameters_and_in_any_case(content_type: bytes) -> None:
    assert terms(content_type, b"*/*") == BOTH


@pytest.mark.parametrize(
    "content_type", [b"", b"text/plain", b"application/json-rpc", b"application/jsonx", b";"]
)
def test_any_other_content_type_is_a_bad_request(content_type: bytes) -> None:
    assert terms(content_type, b"*/*").status == 400
    assert "Content-Type" in terms(content_type, b"*/*").problem


@pytest.mark.parametrize(
    "accept",
    [
        b"application/json, text/event-stream",
        b"text/event-stream,application/json",
        b"*/*",
        b"application/*, text/*",
        b"text/event-stream;q=0.5, application/json;q=0.1",
        b"APPLICATION/JSON, Text/Event-Stream",
        b"application/json;charset=utf-8, text/event-stream",
        b"text/plain;q=0, */*",
        b"application/json, text/event-stream;q",
    ],
)
def test_both_answers_are_possible_where_both_are_accepted(accept: bytes) -> None:
    assert terms(JSON, accept) == BOTH


@pytest.mark.parametrize(
    "accept",
    [
        b"application/json",
        b"application/*",
        b"*/*, text/event-stream;q=0",
        b"application/json, text/event-stream; q=0.000",
        b"application/json, text/html",
    ],
)
def test_a_client_without_event_streams_is_answered_in_json(accept: bytes) -> None:
    assert terms(JSON, accept) == ONLY_JSON


@pytest.mark.parametrize(
    "accept",
    [
        b"text/event-stream",
        b"text/*",
        b"text/html",
        b"",
        b"*/*, application/json;q=0",
        b"application/*;q=0, */*",
        b"json",
    ],
)
def test_a_client_that_excludes_json_cannot_be_answered(accept: bytes) -> None:
    assert terms(JSON, accept).status == 406
    assert "Accept" in terms(JSON, accept).problem


def test_the_content_type_is_judged_before_what_is_accepted() -> None:
    assert terms(b"text/plain", b"text/plain").status == 400


def test_a_value_too_long_to_be_remembered_is_read_all_the_same() -> None:
    assert terms(JSON, b"application/json, " + b"x/y, " * 100 + b"text/event-stream") == BOTH
